package test

import (
	"os/exec"
	"strings"
	"testing"

	"kresd/internal/proctest"
)

// kresdOnTerminal starts kresd with its console on a terminal, and a command after it.
func kresdOnTerminal(t *testing.T, then string, args ...string) *proctest.Terminal {
	t.Helper()
	return kresdWithState(t, t.TempDir(), then, args...)
}

// kresdWithState is kresdOnTerminal with a directory for what is kept.
func kresdWithState(t *testing.T, state, then string, args ...string) *proctest.Terminal {
	t.Helper()
	config := proctest.On(t, proctest.SmallInternet(t), 1)
	address := strings.Replace(config.Addr.String(), ":", "@", 1)
	args = append(args, "-c", "-", "-a", address, proctest.RunDir(t))
	cmd := exec.Command("/bin/sh", append([]string{"-c", `"$0" "$@"; ` + then, proctest.Bin("kresd")}, args...)...)
	cmd.Env = append(cmd.Environ(), "TERM=xterm", "XDG_STATE_HOME="+state)
	return proctest.OnTerminal(t, cmd)
}

// Lines that were typed at a console are there after a restart.
func TestAConsoleRemembersAcrossRestarts(t *testing.T) {
	const up = "\x1b[A"
	state := t.TempDir()
	x := kresdWithState(t, state, ":")
	x.Await("type 'help()'\r\n> ")
	x.Type("6 * 7\r")
	x.Await("\r\n42\r\n\r\n> ")
	x.Type(" 'not to be kept'\r")
	x.Await("\r\nnot to be kept\r\n\r\n> ")
	x.Type("quit()\r")
	x.Wait()
	x = kresdWithState(t, state, ":")
	x.Await("type 'help()'\r\n> ")
	x.Type(up)
	x.Await("quit()")
	x.Type(up)
	x.Await("6 * 7")
	x.Type("\r")
	x.Await("\r\n42\r\n\r\n> ")
}

// Lines are edited, remembered and completed; the log stands above the line that is
// typed; Ctrl-C clears a line or ends a command, and Ctrl-D closes the console.
func TestConsoleOnATerminal(t *testing.T) {
	const left, up, home, end = "\x1b[D", "\x1b[A", "\x01", "\x05"
	x := kresdOnTerminal(t, ":")
	x.Await("[system] started in interactive mode, type 'help()'\r\n> ")
	for _, step := range []struct{ keys, shows string }{
		{"1 + 1\r", "\r\n2\r\n\r\n> "},
		{"4" + left + "2\r", "\r\n24\r\n\r\n> "},
		{" * 2" + home + "20" + end + " + 2\r", "\r\n42\r\n\r\n> "},
		{up + up + up + "1\r", "\r\n12\r\n\r\n> "}, // 1 + 11
		{"\r", "\r\n\r\n> "},
		{"kres.type.AAA\t\r", "\r\n28\r\n\r\n> "},
		{"mode('stri\t')\r", "mode('strict')\r\ntrue\r\n\r\n> "},
		{"policy.DE\t", "policy.DEBUG_ALWAYS"},
		{"", "policy.DENY_MSG"},
		{"", "> policy.DE"},
		{"\x03", "^C\r\n"}, // clears the line
		{"\x03", "quit() ends kresd, Ctrl-D closes this console\r\n> "},
		{"cache.claer()\r", "; did you mean 'cache.clear'?\r\n    cache.claer()\r\n          ^\r\n\r\n> "},
		{"function f(n)\rreturn 2 * n\rend\r", ">> return 2 * n\r\n>> end\r\n\r\n> "},
		{"f(21)\r", "\r\n42\r\n\r\n> "},
		{"\x1b[200~function g(n)\r\treturn 3 * n\rend\x1b[201~\r", "\r\n\r\n> "},
		{"g(5)\r", "\r\n15\r\n\r\n> "},
		{"function broken(\r", "\r\n>> "},
		{"\x03", "^C\r\n"}, // drops the lines before, too
		{"6 * 7\r", "\r\n42\r\n\r\n> "},
		{"while true do end\r", "\r\n"},
		{"\x03", "the command was interrupted\r\n\r\n> "},
		{"while true do end\r\x03", "the command was interrupted\r\n\r\n> "},
		{"event.after(300, function() log('tick') end)\r", "\r\n\r\n> "},
		{"half ty", "half ty"},
		{"", "tick\r\n> half ty"},
		{"\x03", "^C\r\n"},
		{"\x04", "this console is closed, the resolver goes on; Ctrl-C or SIGTERM ends it\r\n"},
	} {
		x.Type(step.keys)
		x.Await(step.shows)
	}
	x.Type("\x03") // a signal again
	x.Wait()
}

// However kresd ends, the terminal is as it was before.
func TestTheTerminalIsLeftAsItWas(t *testing.T) {
	for _, command := range []string{"quit()", "os.execute('kill -TERM ' .. worker.pid)", "os.exit(0)"} {
		x := kresdOnTerminal(t, "stty -a")
		x.Await("\r\n> ")
		x.Type(command + "\r")
		x.Await("intr = ^C;")
		shown := x.Await(" echoe ")
		for _, mode := range []string{"isig icanon ", " icrnl ", " echo"} {
			if !strings.Contains(shown, mode) {
				t.Errorf("after %s the terminal has not the mode %s: %s", command, mode, shown)
			}
		}
		if status := x.Wait(); status != 0 {
			t.Errorf("after %s: status %d", command, status)
		}
	}
}

// With -q there are no prompts, and lines are edited all the same.
func TestQuietConsoleOnATerminal(t *testing.T) {
	x := kresdOnTerminal(t, ":", "-q")
	x.Type("11\x08\x082 + 3\r")
	if before := x.Await("5\r\n"); strings.Contains(before, "> ") {
		t.Errorf("with -q there is a prompt: %q", before)
	}
	x.Type("quit()\r")
	if status := x.Wait(); status != 0 {
		t.Errorf("status %d", status)
	}
}
