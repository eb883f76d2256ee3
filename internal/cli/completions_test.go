package cli

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// With this flag the test of completions writes them ('make docs').
var writeDocs = flag.Bool("docs", false, "write the completions that are made from the usage")

const completionsDir = "../../packaging/completions"

const completionsHead = "# Written by 'make docs' from the usage. Change that.\n"

// words are what may stand behind an option that takes one of a few; "" is nothing
// that a shell knows.
var wordsBehind = map[string]string{"log-format": "text json logfmt"}

// What stands behind other options, by the name of the argument.
func takesFile(o option) bool { return o.arg == "PATH" && o.long != "moduledir" || o.arg == "FILE" }
func takesDir(o option) bool  { return o.long == "moduledir" }

// brief is the first sentence of what is told of an option, for a line of choices.
func brief(o option) string {
	text, _, _ := strings.Cut(o.help, "; ")
	text, _, _ = strings.Cut(text, ": ")
	text, _, _ = strings.Cut(text, " (default")
	if i := regexp.MustCompile(`[a-z)]\. `).FindStringIndex(text); i != nil {
		text = text[:i[0]+1]
	}
	return strings.TrimSuffix(strings.NewReplacer("'", "", "[", "(", "]", ")").Replace(text), ".")
}

// names are how an option is written, the short one first.
func names(o option) (list []string) {
	if o.short != "" {
		list = append(list, "-"+o.short)
	}
	return append(list, "--"+o.long)
}

func bashOf(function string, programs []string, options []option, tasks []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n", function)
	b.WriteString("\tif [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n\tCOMPREPLY=()\n\tcase $prev in\n")
	var silent []string
	for _, o := range options {
		pattern := strings.Join(names(o), "|")
		switch {
		case wordsBehind[o.long] != "":
			fmt.Fprintf(&b, "\t%s) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\"); return ;;\n", pattern, wordsBehind[o.long])
		case takesFile(o):
			fmt.Fprintf(&b, "\t%s) mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n", pattern)
		case takesDir(o):
			fmt.Fprintf(&b, "\t%s) mapfile -t COMPREPLY < <(compgen -d -- \"$cur\"); return ;;\n", pattern)
		case o.arg != "":
			silent = append(silent, pattern)
		}
	}
	fmt.Fprintf(&b, "\t%s) return ;;\n\tesac\n\tif [[ $cur == -* ]]; then\n", strings.Join(silent, "|"))
	var all []string
	for _, o := range options {
		all = append(all, names(o)...)
	}
	fmt.Fprintf(&b, "\t\tmapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")\n\t\treturn\n\tfi\n", strings.Join(all, " "))
	place := "compgen -d -- \"$cur\""
	if len(tasks) > 0 {
		place = "compgen -f -- \"$cur\""
		fmt.Fprintf(&b, "\tmapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\"; %s)\n", strings.Join(tasks, " "), place)
	} else {
		fmt.Fprintf(&b, "\tmapfile -t COMPREPLY < <(%s)\n", place)
	}
	fmt.Fprintf(&b, "}\ncomplete -o filenames -F %s %s\n", function, strings.Join(programs, " "))
	return b.String()
}

func zshOf(programs []string, options []option, tasks []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n%s\n_arguments -s -S \\\n", strings.Join(programs, " "), strings.TrimSuffix(completionsHead, "\n"))
	for _, o := range options {
		behind := ""
		switch {
		case wordsBehind[o.long] != "":
			behind = fmt.Sprintf(":%s:(%s)", strings.ToLower(o.arg), wordsBehind[o.long])
		case takesFile(o):
			behind = ":file:_files"
		case takesDir(o):
			behind = ":directory:_files -/"
		case o.arg != "":
			behind = ":" + strings.NewReplacer("[", "(", "]", ")", ":", "\\:").Replace(o.arg) + ": "
		}
		text := "[" + strings.ReplaceAll(brief(o), ":", "\\:") + "]" + behind
		long := "--" + o.long
		if o.arg != "" {
			long += "="
		}
		if o.short == "" {
			fmt.Fprintf(&b, "\t'*%s%s' \\\n", long, text)
			continue
		}
		short := "-" + o.short
		if o.arg != "" {
			short += "+"
		}
		fmt.Fprintf(&b, "\t'*'{%s,%s}'%s' \\\n", short, long, text)
	}
	if len(tasks) > 0 {
		fmt.Fprintf(&b, "\t'1:task or place:{ compadd %s; _files }' \\\n\t'2:place:_files'\n", strings.Join(tasks, " "))
	} else {
		b.WriteString("\t'1:run directory:_files -/'\n")
	}
	return b.String()
}

func fishOf(programs []string, options []option, tasks []string) string {
	var b strings.Builder
	b.WriteString(completionsHead)
	for _, program := range programs {
		if len(tasks) > 0 {
			fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -a '%s'\n", program, strings.Join(tasks, " "))
		} else {
			fmt.Fprintf(&b, "complete -c %s -x -a '(__fish_complete_directories)'\n", program)
		}
		for _, o := range options {
			fmt.Fprintf(&b, "complete -c %s", program)
			if o.short != "" {
				fmt.Fprintf(&b, " -s %s", o.short)
			}
			fmt.Fprintf(&b, " -l %s", o.long)
			switch {
			case wordsBehind[o.long] != "":
				fmt.Fprintf(&b, " -x -a '%s'", wordsBehind[o.long])
			case takesFile(o):
				b.WriteString(" -r -F")
			case takesDir(o):
				b.WriteString(" -x -a '(__fish_complete_directories)'")
			case o.arg != "":
				b.WriteString(" -x")
			}
			fmt.Fprintf(&b, " -d '%s'\n", brief(o))
		}
	}
	return b.String()
}

// completions are the files, by their names.
func completions() map[string]string {
	daemons, server := []string{"kresd", "kresd-supervisor"}, optionsOf(Usage("kresd"))
	client := optionsOf(ClientUsage())
	return map[string]string{
		"kresd.bash":            completionsHead + bashOf("_kresd", daemons, server, nil),
		"kresc.bash":            completionsHead + bashOf("_kresc", []string{"kresc"}, client, tasks()),
		"_kresd":                zshOf(daemons, server, nil),
		"_kresc":                zshOf([]string{"kresc"}, client, tasks()),
		"kresd.fish":            fishOf(daemons[:1], server, nil),
		"kresd-supervisor.fish": fishOf(daemons[1:], server, nil),
		"kresc.fish":            fishOf([]string{"kresc"}, client, tasks()),
	}
}

// The completions are those of the options that there are.
func TestCompletionsAreMadeFromTheUsage(t *testing.T) {
	made := completions()
	for name, want := range made {
		path := filepath.Join(completionsDir, name)
		if *writeDocs {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is not what the usage says (%v): run 'make docs'", path, err)
		}
	}
	files, err := os.ReadDir(completionsDir)
	if err != nil || len(files) != len(made) {
		t.Errorf("%d files in %s, want %d (%v)", len(files), completionsDir, len(made), err)
	}
}

// Each shell takes its file and offers what there is.
func TestCompletionsInTheirShells(t *testing.T) {
	dir, err := filepath.Abs(completionsDir)
	if err != nil {
		t.Fatal(err)
	}
	bash := func(function, file, words string) string {
		n := len(strings.Fields(words)) - 1
		return fmt.Sprintf("source %s/%s; COMP_WORDS=(%s); COMP_CWORD=%d; %s; printf '%%s\\n' \"${COMPREPLY[@]}\"", dir, file, words, n, function)
	}
	fish := func(line string) string {
		return fmt.Sprintf("for f in %s/*.fish; source $f; end; complete -C '%s'", dir, line)
	}
	for _, c := range []struct {
		shell, script string
		want          []string
	}{
		{"bash", bash("_kresd", "kresd.bash", "kresd --lo"), []string{"--log-format"}},
		{"bash", bash("_kresd", "kresd.bash", "kresd --log-format = js"), []string{"json"}},
		{"bash", bash("_kresd", "kresd.bash", "kresd -c "+dir+"/kresd.b"), []string{dir + "/kresd.bash"}},
		{"bash", bash("_kresd", "kresd.bash", "kresd -f 4"), []string{""}},
		{"bash", bash("_kresd", "kresd.bash", "kresd "+filepath.Dir(dir)+"/comp"), []string{dir}},
		{"bash", bash("_kresc", "kresc.bash", "kresc stat"), []string{"status"}},
		{"fish", fish("kresd --lo"), []string{"--log-format"}},
		{"fish", fish("kresd-supervisor --log-format="), []string{"--log-format=json", "--log-format=logfmt", "--log-format=text"}},
		{"fish", fish("kresc --js"), []string{"--json"}},
		{"fish", fish("kresc stat"), []string{"status"}},
		{"zsh", fmt.Sprintf("for f in %s/_*; do zsh -n $f || exit 1; done; echo fine", dir), []string{"fine"}},
	} {
		out, err := exec.Command(c.shell, "-c", c.script).CombinedOutput()
		var got []string
		for line := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			got = append(got, word)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %s\ngives %q, %v; want %q", c.shell, c.script, got, err, c.want)
		}
	}
}
