package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kresd/internal/cli"
	"kresd/internal/proctest"
)

// A block is an example that a page sets apart: fenced, or indented by four blanks.
type block struct{ place, text string }

// blocksOf reads those of a page.
func blocksOf(page, text string) (list []block) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		begin, end := i, i
		var taken []string
		switch {
		case strings.HasPrefix(lines[i], "```"):
			for end++; end < len(lines) && lines[end] != "```"; end++ {
				taken = append(taken, lines[end])
			}
		case strings.HasPrefix(lines[i], "    ") && (i == 0 || lines[i-1] == ""):
			for ; end < len(lines) && (strings.HasPrefix(lines[end], "    ") || lines[end] == "" && end+1 < len(lines) && strings.HasPrefix(lines[end+1], "    ")); end++ {
				taken = append(taken, strings.TrimPrefix(lines[end], "    "))
			}
		default:
			continue
		}
		list = append(list, block{fmt.Sprintf("%s:%d", page, begin+1), strings.Join(taken, "\n")})
		i = end
	}
	return list
}

// pages are those with examples.
func pages(t *testing.T) (list []block) {
	t.Helper()
	for _, page := range []string{"README.md", "CONTRIBUTING.md", "docs/manual.md", "docs/operation.md"} {
		text, err := os.ReadFile(filepath.Join(proctest.Root(t), page))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, block{page, string(text)})
	}
	return list
}

// commandLine is a line for a shell: a program that is ours, or one of the system's.
var commandLine = regexp.MustCompile(`^\$? ?(make|dig|kdig|kresd|kresd-supervisor|kresc|bin/kresc|kresd-host\.lua|kresd-query\.lua|apt|systemctl|man|jq|scp|chown|chmod|nc) `)

// starter is what starts the program that a command is about.
var starter = regexp.MustCompile(`^(?:nohup |setpriv (?:--\S+ )*)+`)

// Every block of the pages is tried: commands for a shell name what there is, what is Lua
// is taken by --check-config, and what is neither is known here.
func TestBlocksOfThePages(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	// The interfaces and addresses of the examples.
	proctest.Run(t, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
	for device, at := range map[string]string{"eth0": "192.0.2.1/24", "eth1": "192.0.2.2/24"} {
		proctest.Run(t, "ip", "addr", "add", at, "dev", device)
		proctest.Run(t, "ip", "link", "set", device, "up")
	}
	kinds := map[string]int{}
	for _, page := range pages(t) {
		for _, b := range blocksOf(page.place, page.text) {
			kind := b.kind()
			kinds[kind]++
			switch kind {
			case "shell":
				b.tryShell(t)
			case "lua":
				b.tryLua(t)
			case "json":
				if !json.Valid([]byte(b.text)) {
					t.Errorf("%s is no JSON: %s", b.place, b.text)
				}
			case "dnsdist":
				b.tryDnsdist(t)
			case "zone":
				b.tryZone(t)
			}
		}
	}
	if kinds["shell"] < 10 || kinds["lua"] < 10 || kinds["shown"] > 5 {
		t.Errorf("blocks by kind: %v", kinds)
	}
}

// kind is what a block is for; "shown" is what a program prints, and needs a world of its
// own.
func (b block) kind() string {
	switch first, _, _ := strings.Cut(b.text, "\n"); {
	case commandLine.MatchString(first):
		return "shell"
	case strings.HasPrefix(first, "{\""):
		return "json"
	case first == "-- dnsdist.conf":
		return "dnsdist"
	case strings.HasPrefix(first, "$TTL "):
		return "zone"
	case strings.HasPrefix(first, "> trace("), strings.HasPrefix(first, "; EDE: "), strings.HasPrefix(first, "[tls] "), first == "[Resolve]":
		return "shown"
	}
	return "lua"
}

// tryLua has a start's check take a block, with files and a module where it names them.
func (b block) tryLua(t *testing.T) {
	t.Helper()
	dir := proctest.RunDir(t)
	authority := proctest.NewCertificateAuthority(t)
	cert := authority.Issue(t, time.Now().Add(time.Hour), "resolver.example")
	lua := strings.NewReplacer(
		"/etc/knot-resolver/server-cert.pem", cert.CertFile, "/etc/knot-resolver/server-key.pem", cert.KeyFile, "/etc/kresd/ca.pem", authority.File,
		"/etc/knot-resolver/blocklist.rpz", "list.rpz", "/var/log/kresd/", "", "user('knot-resolver', 'knot-resolver')", "user('root')",
	).Replace(b.text)
	writeFile(t, filepath.Join(dir, "list.rpz"), "ads.example CNAME .\n")
	if name := regexp.MustCompile(`: (\w+)\.lua, or `).FindStringSubmatch(lua); name != nil {
		if err := os.WriteFile(filepath.Join(dir, name[1]+".lua"), []byte(lua), 0o600); err != nil {
			t.Fatal(err)
		}
		lua = "modules.load('" + name[1] + "')"
	}
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(lua), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(proctest.Bin("kresd"), "--check-config", dir).CombinedOutput(); err != nil {
		t.Errorf("%s: %v for\n%s\n%s", b.place, err, b.text, out)
	}
}

// tryZone has a response policy zone be read, of which nothing is skipped.
func (b block) tryZone(t *testing.T) {
	t.Helper()
	dir := proctest.RunDir(t)
	writeFile(t, filepath.Join(dir, "list.rpz"), b.text+"\n")
	writeFile(t, filepath.Join(dir, "config"), "policy.add(policy.rpz(policy.DENY, 'list.rpz'))\n")
	if out, err := exec.Command(proctest.Bin("kresd"), "--check-config", dir).CombinedOutput(); err != nil || strings.Contains(string(out), "skipped") {
		t.Errorf("%s: %v for\n%s\n%s", b.place, err, b.text, out)
	}
}

func (b block) tryDnsdist(t *testing.T) {
	t.Helper()
	path := filepath.Join(proctest.RunDir(t), "dnsdist.conf")
	if err := os.WriteFile(path, []byte(b.text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("dnsdist", "--check-config", "--config", path).CombinedOutput(); err != nil {
		t.Errorf("%s: dnsdist: %v, %s", b.place, err, out)
	}
}

// tryShell tries the commands of a block, behind which may stand remarks; what does not
// begin with $ where others do is what they print.
func (b block) tryShell(t *testing.T) {
	t.Helper()
	prompted := strings.HasPrefix(b.text, "$ ")
	for line := range strings.Lines(b.text) {
		line = strings.TrimSpace(line)
		command, isCommand := strings.CutPrefix(line, "$ ")
		if line == "" || prompted && !isCommand {
			continue
		}
		tryCommand(t, b.place, command)
	}
}

// tryCommand has a shell read a command, and sees that what it names is there.
func tryCommand(t *testing.T, place, command string) {
	t.Helper()
	if out, err := exec.Command("sh", "-nc", command).CombinedOutput(); err != nil {
		t.Errorf("%s: %s: %v, %s", place, command, err, out)
		return
	}
	command = starter.ReplaceAllString(command, "")
	program, _, _ := strings.Cut(command, " ")
	switch program = strings.TrimPrefix(program, "bin/"); program {
	case "kresd", "kresd-supervisor", "kresc", "kresd-host.lua", "kresd-query.lua":
		if err := tryOurs(t, program, argumentsOf(t, command)); err != nil {
			t.Errorf("%s: %s: %v", place, command, err)
		}
	case "make":
		for _, target := range argumentsOf(t, command) {
			if strings.Contains(target, "=") {
				continue
			}
			if text, err := os.ReadFile(filepath.Join(proctest.Root(t), "Makefile")); err != nil || !strings.Contains(string(text), "\n"+target+": ") {
				t.Errorf("%s: there is no target %s (%v)", place, target, err)
			}
		}
	case "man":
		for _, page := range argumentsOf(t, command) {
			if list, _ := filepath.Glob(filepath.Join(proctest.Root(t), "docs", page+".[1-8]")); len(list) != 1 {
				t.Errorf("%s: there is no page %s", place, page)
			}
		}
	case "systemctl":
		for _, unit := range argumentsOf(t, command)[1:] {
			if strings.Contains(unit, "kresd") && !unitExists(t, unit) {
				t.Errorf("%s: there is no unit %s", place, unit)
			}
		}
	default:
		if _, err := exec.LookPath(program); err != nil {
			t.Logf("%s: not tried, since there is no %s here: %s", place, program, command)
		}
	}
}

// argumentsOf are the arguments of the first command of a line, as a shell splits them.
func argumentsOf(t *testing.T, command string) []string {
	t.Helper()
	program, _, _ := strings.Cut(command, " ")
	out, err := exec.Command("bash", "-c", "set -f; "+program+"() { printf '%s\\0' \"$@\"; exit; }; "+command).Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// tryOurs has the command line of a program of ours read as it reads it.
func tryOurs(t *testing.T, program string, args []string) (err error) {
	t.Helper()
	switch program {
	case "kresc":
		_, err = cli.ParseClient(args)
	case "kresd-host.lua", "kresd-query.lua":
		_, err = os.Stat(filepath.Join(proctest.Root(t), "scripts", program))
	default:
		_, err = cli.Parse(args)
	}
	return err
}

// unitExists tells whether the package has a unit, perhaps as a template of instances.
func unitExists(t *testing.T, unit string) bool {
	t.Helper()
	if !strings.Contains(unit, ".") {
		unit += ".service"
	}
	unit = regexp.MustCompile(`@[^.]*\.`).ReplaceAllString(unit, "@.")
	_, err := os.Stat(filepath.Join(proctest.Root(t), "packaging", "systemd", unit))
	return err == nil
}

// What the pages name within sentences is there, too: commands, units, targets of make.
func TestWhatThePagesName(t *testing.T) {
	span := regexp.MustCompile("`([^`\n]+)`")
	unit := regexp.MustCompile(`^(system-)?kresd[\w-]*(@[\w{}.*%-]*)?\.(service|socket|target|slice)$`)
	optional := regexp.MustCompile(` \[[^\]]*\]`)
	placeholder := regexp.MustCompile(`\b[A-Z][A-Z]*\b`)
	counts := map[string]int{}
	for _, page := range pages(t) {
		for i, line := range strings.Split(page.text, "\n") {
			place := fmt.Sprintf("%s:%d", page.place, i+1)
			for _, m := range span.FindAllStringSubmatch(line, -1) {
				text := strings.TrimSpace(optional.ReplaceAllString(m[1], ""))
				program, _, more := strings.Cut(text, " ")
				switch {
				case unit.MatchString(text):
					counts["units"]++
					if !unitExists(t, text) {
						t.Errorf("%s: there is no unit %s", place, text)
					}
				case !more:
				case slices.Contains([]string{"kresd", "kresd-supervisor", "kresc", "make", "systemctl"}, program):
					counts[program]++
					tryCommand(t, place, placeholder.ReplaceAllString(text, "4"))
				}
			}
		}
	}
	for _, what := range []string{"units", "kresd", "kresc", "make"} {
		if counts[what] < 2 {
			t.Errorf("only %d of %s are named: %v", counts[what], what, counts)
		}
	}
}

// manualCommands are those that a reader of the manual pages is to type (.Dl #, .Dl $),
// without what is markup.
func manualCommands(t *testing.T) (list []block) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(proctest.Root(t), "docs", "*.[178]"))
	if err != nil || len(files) < 6 {
		t.Fatalf("pages %v, %v", files, err)
	}
	prompt := regexp.MustCompile(`^(?:\.Dl )?[#$] (\S.*)$`)
	const goesOn = `\e` // at the end of a line, the next of which belongs to the command
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for i, line := range lines {
			if m := prompt.FindStringSubmatch(line); m != nil {
				command := m[1]
				for more := lines[i+1:]; strings.HasSuffix(command, goesOn) && len(more) > 0; more = more[1:] {
					command = strings.TrimSuffix(command, goesOn) + strings.TrimSpace(more[0])
				}
				command = strings.NewReplacer(`\e`, `\`, `\(aq`, `'`, `\-`, `-`, `\&`, "", `\(dq`, `"`).Replace(command)
				list = append(list, block{fmt.Sprintf("%s:%d", filepath.Base(file), i+1), command})
			}
		}
	}
	if len(list) < 5 {
		t.Errorf("only %d commands are found", len(list))
	}
	return list
}

func TestCommandsOfTheManualPages(t *testing.T) {
	for _, b := range manualCommands(t) {
		tryCommand(t, b.place, b.text)
	}
}
