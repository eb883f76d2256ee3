package cli

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
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

func bashOf(function string, programs []string, options []option, tasks []string, further map[string][]string) string {
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
		for _, task := range slices.Sorted(maps.Keys(further)) {
			fmt.Fprintf(&b, "\tif [[ $prev == %s && $COMP_CWORD == 2 ]]; then\n\t\tmapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\"; %s)\n\t\treturn\n\tfi\n", task, strings.Join(further[task], " "), place)
		}
		fmt.Fprintf(&b, "\tmapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\"; %s)\n", strings.Join(tasks, " "), place)
	} else {
		fmt.Fprintf(&b, "\tmapfile -t COMPREPLY < <(%s)\n", place)
	}
	fmt.Fprintf(&b, "}\ncomplete -o filenames -F %s %s\n", function, strings.Join(programs, " "))
	return b.String()
}

func zshOf(programs []string, options []option, tasks []string, further map[string][]string) string {
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
		fmt.Fprintf(&b, "\t'1:task or place:{ compadd %s; _files }' \\\n\t'2:place:{ ", strings.Join(tasks, " "))
		for _, task := range slices.Sorted(maps.Keys(further)) {
			fmt.Fprintf(&b, "[[ $words[CURRENT-1] == %s ]] && compadd %s; ", task, strings.Join(further[task], " "))
		}
		b.WriteString("_files }' \\\n\t'3:place:_files'\n")
	} else {
		b.WriteString("\t'1:run directory:_files -/'\n")
	}
	return b.String()
}

func fishOf(programs []string, options []option, tasks []string, further map[string][]string) string {
	var b strings.Builder
	b.WriteString(completionsHead)
	for _, program := range programs {
		if len(tasks) > 0 {
			fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -a '%s'\n", program, strings.Join(tasks, " "))
			for _, task := range slices.Sorted(maps.Keys(further)) {
				fmt.Fprintf(&b, "complete -c %s -n '__fish_prev_arg_in %s' -a '%s'\n", program, task, strings.Join(further[task], " "))
			}
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
	words, further := tasks()
	return map[string]string{
		"kresd.bash":            completionsHead + bashOf("_kresd", daemons, server, nil, nil),
		"kresc.bash":            completionsHead + bashOf("_kresc", []string{"kresc"}, client, words, further),
		"_kresd":                zshOf(daemons, server, nil, nil),
		"_kresc":                zshOf([]string{"kresc"}, client, words, further),
		"kresd.fish":            fishOf(daemons[:1], server, nil, nil),
		"kresd-supervisor.fish": fishOf(daemons[1:], server, nil, nil),
		"kresc.fish":            fishOf([]string{"kresc"}, client, words, further),
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
		{"bash", bash("_kresc", "kresc.bash", "kresc config di"), []string{"diff"}},
		{"bash", bash("_kresc", "kresc.bash", "kresc status di"), []string{""}},
		{"fish", fish("kresc config ch"), []string{"check"}},
		{"fish", fish("kresc top ch"), nil},
	} {
		if _, err := exec.LookPath(c.shell); err != nil {
			t.Logf("not tried: %s, which is not installed", c.shell)
			continue
		}
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

// zsh completes lines that are typed at a terminal, with its whole completion system.
func TestCompletionsInZsh(t *testing.T) {
	zsh, err := exec.LookPath("zsh")
	if err != nil {
		t.Skip("zsh is not installed")
	}
	dir, err := filepath.Abs(completionsDir)
	if err != nil {
		t.Fatal(err)
	}
	lines, want := []string{}, ""
	for _, c := range []struct {
		line  string
		words string // that are offered
	}{
		{"kresd --lo", "--log-format"},
		{"kresd-supervisor --log-format=", "text json logfmt"},
		{"kresd -c " + dir + "/kresd.b", "kresd.bash"},
		{"kresd -f 4", ""},
		{"kresd " + filepath.Dir(dir) + "/comp", "completions"},
		{"kresc --js", "--json"},
		{"kresc stat", "status"},
		{"kresc config di", "diff"},
		{"kresc status di", ""},
	} {
		lines = append(lines, c.line)
		want += c.line + " → " + c.words + "\n"
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, zsh, append([]string{"-fc", zshCompletes, dir}, lines...)...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, out, want)
	}
}

// zshCompletes has a zsh at a terminal, whose completion system takes the files of the
// directory $0, complete each of its arguments, and prints what is offered.
const zshCompletes = `zmodload zsh/zpty
zpty shell zsh -f -i
enter() { zpty -w shell "$1" }
enter "PS1= ; fpath=($0 \$fpath); autoload -Uz compinit; compinit -u -D; bindkey '^I' complete-word; bindkey -rp '^X'; bindkey '^U' kill-whole-line"
enter 'compadd() { if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
local -a offered; builtin compadd -A offered "$@"; local o; for o in $offered; do print -r -- "<offered>$o<>"; done; builtin compadd "$@" }'
enter 'finish() { print -r -- EN''DED }; zle -N finish; bindkey "^X" finish; print REA''DY'
zpty -r -m shell out '*READY*' || exit 1
for text in "$@"; do
	zpty -w -n shell "$text"$'\t\x18\x15'
	zpty -r -m shell out '*ENDED*' || exit 1
	typeset -aU words=()
	for line in ${(f)out}; do
		[[ $line == *'<offered>'*'<>'* ]] && words+=(${${line#*'<offered>'}%%'<>'*})
	done
	print -r -- "$text → $words"
done
zpty -d shell
exit 0
`
