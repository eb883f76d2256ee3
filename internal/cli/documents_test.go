package cli

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// An option is one as the usage tells it.
type option struct{ short, long, arg, help string }

var (
	optionLine   = regexp.MustCompile(`^ (?:-(\w), |    )--([a-z-]+)(?:=(\S+))?(?: \.\.\.)? +(\S.*)$`)
	continuation = regexp.MustCompile(`^ {20,}(\S.*)$`)
	taskLine     = regexp.MustCompile(`(?m)^       kresc (\w+)(?: \[(\w+(?: \| \w+)*)\])? \[parameters\]`)
)

// optionsOf reads the options of a usage.
func optionsOf(usage string) (list []option) {
	for line := range strings.Lines(usage) {
		line = strings.TrimRight(line, "\n")
		if m := optionLine.FindStringSubmatch(line); m != nil {
			list = append(list, option{m[1], m[2], m[3], m[4]})
		} else if m := continuation.FindStringSubmatch(line); m != nil && len(list) > 0 && list[len(list)-1].long != "help" {
			list[len(list)-1].help += " " + m[1]
		}
	}
	return list
}

// tasks are those of kresc, by its usage, and the words that may follow one of them.
func tasks() (list []string, further map[string][]string) {
	further = map[string][]string{}
	for _, m := range taskLine.FindAllStringSubmatch(ClientUsage(), -1) {
		list = append(list, m[1])
		if m[2] != "" {
			further[m[1]] = strings.Split(m[2], " | ")
		}
	}
	return list, further
}

// programs are the usages and the options that are parsed.
func programs() map[string]struct {
	usage string
	flags *pflag.FlagSet
} {
	var r raw
	var o ClientOptions
	var count, delay string
	return map[string]struct {
		usage string
		flags *pflag.FlagSet
	}{
		"kresd": {Usage("kresd"), r.flags()},
		"kresc": {ClientUsage(), o.flags(&count, &delay)},
	}
}

// Help tells of all options that are understood, in the letters and with the
// arguments that are, and of no others.
func TestUsageIsOfTheOptionsThatThereAre(t *testing.T) {
	for name, p := range programs() {
		told := map[string]option{}
		for _, o := range optionsOf(p.usage) {
			told[o.long] = o
		}
		p.flags.VisitAll(func(f *pflag.Flag) {
			o, ok := told[f.Name]
			delete(told, f.Name)
			if takes := f.NoOptDefVal == ""; !ok || o.short != f.Shorthand || takes != (o.arg != "") {
				t.Errorf("%s: option -%s/--%s (with an argument: %v) is told as %+v", name, f.Shorthand, f.Name, takes, o)
			}
		})
		if len(told) > 0 {
			t.Errorf("%s: told of and not understood: %v", name, slices.Collect(maps.Keys(told)))
		}
	}
}

var pageOption = regexp.MustCompile(`(?m)^\.It Fl (?:(\w) , Fl )?-([a-z-]+)(?: Ns = Ns Ar \S+.*)?$`)

// The manual pages have the same options, and kresc(8) all tasks.
func TestManualPagesHaveTheOptions(t *testing.T) {
	for name, p := range programs() {
		page, err := os.ReadFile("../../docs/" + name + ".8")
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, m := range pageOption.FindAllStringSubmatch(string(page), -1) {
			got = append(got, fmt.Sprintf("-%s --%s %v", m[1], m[2], strings.Contains(m[0], " Ns Ar ")))
		}
		for _, o := range optionsOf(p.usage) {
			want = append(want, fmt.Sprintf("-%s --%s %v", o.short, o.long, o.arg != ""))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s(8) has the options\n%s\nand the usage\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if name != "kresc" {
			continue
		}
		all, _ := tasks()
		for _, task := range all {
			if !strings.Contains(string(page), "\n.It Cm "+task+"\n") {
				t.Errorf("kresc(8) says nothing of %s", task)
			}
		}
	}
}

// The pages of scripts have the options that the scripts tell of themselves.
func TestManualPagesOfScripts(t *testing.T) {
	line, item := regexp.MustCompile(`(?m)^ (-\w)(?:, (-\w))?(?: \w+)?  `), regexp.MustCompile(`(?m)^\.It Fl (\w)(?: , Fl (\w))?`)
	for _, name := range []string{"kresd-host.lua", "kresd-query.lua"} {
		script, err := os.ReadFile("../../scripts/" + name)
		if err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile("../../docs/" + name + ".1")
		if err != nil {
			t.Fatal(err)
		}
		letters := func(found [][]string) (list []string) {
			for _, m := range found {
				for _, o := range m[1:] {
					if o != "" {
						list = append(list, strings.TrimPrefix(o, "-"))
					}
				}
			}
			slices.Sort(list)
			return list
		}
		got, want := letters(item.FindAllStringSubmatch(string(page), -1)), letters(line.FindAllStringSubmatch(string(script), -1))
		if !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s(1) has the options %v, the script %v", name, got, want)
		}
	}
}

// Every page is without fault for mandoc.
func TestManualPagesAreClean(t *testing.T) {
	pages, _ := filepath.Glob("../../docs/*.[1-8]")
	if len(pages) != 7 {
		t.Errorf("the pages are %v, want 7", pages)
	}
	for _, page := range pages {
		out, err := exec.Command("mandoc", "-T", "lint", page).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			// What else is installed has nothing to do with the page.
			if !strings.Contains(line, "referenced manual not found") && !strings.Contains(line, "outdated mandoc.db") {
				t.Errorf("%s: %s", page, line)
			}
		}
		if _, ended := err.(*exec.ExitError); err != nil && !ended {
			t.Fatal(err)
		}
	}
}
