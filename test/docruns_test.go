package test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// notRun says why a command of the pages is only read, by what it begins with.
var notRun = map[string]string{
	"kresc top":       "it shows figures until it is interrupted",
	"kresd-host.lua":  "it asks the Internet; tools_test.go runs it against one of its own",
	"kresd-query.lua": "it asks the Internet; tools_test.go runs it against one of its own",
	"make":            "it builds the program, or runs these tests",
	"dig":             "it asks at the address of make run; demo_test.go runs that",
	"kdig":            "it asks a server that is not there",
	"nc":              "its path has the number of a process",
	"apt":             "it changes the machine; package_test.go installs in a tree of its own",
	"systemctl":       "it needs systemd; machine_test.go has one where it can be had",
	"man":             "the pages are not installed",
	"scp":             "it copies between machines",
	"chown":           "it changes the machine",
	"chmod":           "it changes the machine",
	"jq":              "querylog_test.go reads such a file",
	"kresd":           "it serves until it is ended; start_test.go and demo_test.go do so",
}

// places are run directories as the pages name them.
var places = strings.NewReplacer("~/resolver", "DIR", "/run/knot-resolver/control@1", "$(ls -d DIR/tty/* | head -n 1)", "/var/cache/knot-resolver", "DIR", "/run/knot-resolver", "DIR", " rundir", " DIR", " run ", " DIR ", "/etc/knot-resolver/kresd.conf", "DIR/config")

// Commands of the pages that look at a group that runs do so with the status of success.
func TestCommandsOfPagesRun(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	ran := 0
	for _, page := range pages(t) {
		for _, b := range blocksOf(page.place, page.text) {
			if b.kind() == "shell" {
				ran += b.runShell(t, g.Dir)
			}
		}
	}
	if ran < 6 {
		t.Errorf("%d commands were run: the pages are not read as they were", ran)
	}
}

// Commands of the manual pages that look at a group that runs do so with the status of success.
func TestCommandsOfTheManualPagesRun(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	ran := 0
	for _, b := range manualCommands(t) {
		ran += b.runShell(t, g.Dir)
	}
	if ran < 6 {
		t.Errorf("%d commands were run: the pages are not read as they were", ran)
	}
}

// runShell runs the commands of a block that can be run, and returns how many these are.
func (b block) runShell(t *testing.T, dir string) (ran int) {
	t.Helper()
	for line := range strings.Lines(b.text) {
		command := starter.ReplaceAllString(strings.TrimPrefix(strings.TrimSpace(line), "$ "), "")
		if !commandLine.MatchString(command + " ") {
			continue
		}
		switch why := reasonNotToRun(command); why {
		case "":
		case unknownCommand:
			t.Errorf("%s: %s: %s", b.place, why, command)
			continue
		default:
			t.Logf("%s: not run, %s: %s", b.place, why, command)
			continue
		}
		ran++
		if err := runAt(dir, command); err != nil {
			t.Errorf("%s: %s: %v", b.place, command, err)
		}
	}
	return ran
}

const unknownCommand = "it is neither run nor said why not"

// reasonNotToRun is why a command is not run, "" for one that is.
func reasonNotToRun(command string) string {
	command = strings.TrimPrefix(command, "bin/")
	program, rest, _ := strings.Cut(command, " ")
	if program == "kresd" && (strings.HasPrefix(rest, "--check-config") || strings.HasPrefix(rest, "-h")) {
		return ""
	}
	words := strings.Fields(command)
	if why := notRun[strings.Join(words[:min(2, len(words))], " ")]; why != "" {
		return why
	}
	if why, known := notRun[program]; known {
		return why
	}
	if program != "kresc" {
		return unknownCommand
	}
	return ""
}

// runAt runs a command with a run directory in the place of the one that it names.
func runAt(dir, command string) error {
	command = strings.TrimPrefix(command, "bin/")
	command = strings.ReplaceAll(places.Replace(" "+command+" "), "DIR", dir)
	cmd := exec.Command("sh", "-c", command)
	cmd.Env = append(cmd.Environ(), "PATH="+filepath.Dir(proctest.Bin("kresd"))+":/usr/bin:/bin:/usr/sbin:/sbin")
	cmd.Dir = filepath.Dir(filepath.Dir(proctest.Bin("kresd")))
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
