package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kresd/internal/cli"
	"kresd/internal/limits"
)

// tried checks files of a run directory, which must stay as it is, and returns what is
// printed.
func tried(t *testing.T, o cli.Options, files map[string]string) (status int, stdout, stderr string) {
	t.Helper()
	return triedIn(t, limits.CheckTime, o, files)
}

// triedIn is tried where the configuration may run for so long.
func triedIn(t *testing.T, most time.Duration, o cli.Options, files map[string]string) (status int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := listing(t, dir)
	o.RunDir = "."
	status, stdout, stderr = checkFor(t, most, o)
	if after := listing(t, dir); after != before {
		t.Errorf("the check changed the run directory from\n%s\nto\n%s", before, after)
	}
	return status, stdout, stderr
}

func check(t *testing.T, o cli.Options) (status int, stdout, stderr string) {
	t.Helper()
	return checkFor(t, limits.CheckTime, o)
}

func checkFor(t *testing.T, most time.Duration, o cli.Options) (status int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	var files []*os.File
	for _, name := range []string{"stdout", "stderr"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	status = checkIn(most, Options{CLI: o, Stdout: files[0], Stderr: files[1]})
	var texts []string
	for _, f := range files {
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return status, texts[0], texts[1]
}

// listing is what can be seen of the files in a directory.
func listing(t *testing.T, dir string) (text string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintln(e.Name(), info.Mode(), info.Size(), info.ModTime())
	}
	return text
}

// For each configuration, every line that the check prints.
func TestCheckTellsEveryError(t *testing.T) {
	for _, c := range []struct {
		what, lua string
		want      []string
	}{
		{"several statements", "cache.sise = 5\nmode('lax')\nverbose('no')",
			[]string{"config:1: error: unknown option 'cache.sise'; did you mean 'cache.size'?", "config:2: mode: 'lax' is not one of strict, normal, permissive",
				"config:3: bad argument #1 to 'verbose' (boolean expected, got string); usage: verbose([true | false])"}},
		{"addresses", "net.listen('999.1.1.1')\nnet = { '127.0.0.1', '888.1.1.1', net.eth77 }",
			[]string{"config:1: bind to '999.1.1.1@53': neither an IP address nor an interface",
				"config:2: net = {…}: this machine has no interface 'eth77' with an address", "config:2: bind to '888.1.1.1@53': neither an IP address nor an interface"}},
		{"entries of a table", "cache = { sise = 1, storag = 'x' }\nmodules = { 'nosuch', 'stats' }\nstats.frequent()",
			[]string{"config:1: error: unknown option 'cache.sise'; did you mean 'cache.size'?", "config:1: error: unknown option 'cache.storag'; did you mean 'cache.storage'?",
				"config:2: error: no such module 'nosuch'; …"}},
		{"inside of blocks", "if true then\n  mode('a')\n  for i = 1, 9 do\n    mode('b')\n    mode('c')\n  end\nend",
			[]string{"config:2: mode: 'a' is not one of strict, normal, permissive", "config:4: mode: 'b' is not one of strict, normal, permissive",
				"config:5: mode: 'c' is not one of strict, normal, permissive"}},
		{"inside of functions", "local function f(x)\n  mode(x)\n  polcy.add(x)\nend\nf('a')",
			[]string{"config:2: mode: 'a' is not one of strict, normal, permissive", "config:3: attempt to index global 'polcy' (a nil value); did you mean 'policy'?"}},
		{"what follows from an error is none", "local a = polcy.all(1)\na.b = 1\nnet.listen(a)\nmode('x')",
			[]string{"config:1: attempt to index global 'polcy' (a nil value); did you mean 'policy'?", "config:4: mode: 'x' is not one of strict, normal, permissive"}},
		{"syntax, and what is wrong beside", "cache.size = = 5\nmode('x')\nnet.listen('::1' 53)",
			[]string{"config:1: unexpected symbol near '='", "config:2: mode: 'x' is not one of strict, normal, permissive", "config:3: ')' expected near '53'"}},
		{"a block without its end", "mode('strict')\nif true then\n  mode('normal')\n", []string{"config:3: 'end' expected (to close 'if' at line 2) near <eof>"}},
		{"errors that scripts catch are none", "local ok = pcall(mode, 'lax')\nif net.bpf_set then net.bpf_set('a', 'b') end", nil},
		{"error()", "error('this')\nerror({})", []string{"config:1: this", "config:2: (error object is a table value)"}},
		{"a file of anchors", "trust_anchors.add_file('gone/root.keys')\ntrust_anchors.add_file('config', true)\ntrust_anchors.file = 'fetched.keys'",
			[]string{"config:1: error: trust_anchors.add_file: gone/root.keys: no such file or directory", "config:2: error: trust_anchors.add_file: config:1: …"}},
		{"a user", "user('baduser')\nuser('root')", []string{"config:1: invalid user name"}},
		{"source addresses", "net.outgoing_v4('127.0.0.1')\nnet.outgoing_v6('2001:db8::1')",
			[]string{"config:2: error: net.outgoing_v6: no socket can be bound to 2001:db8::1: this machine does not have the address"}},
		{"the cache's place", "cache.open(10*MB, 'lmdb://below')\ncache.open(10*MB, 'lmdb://config')\ncache.count()\ncache.clear()",
			[]string{"config:2: error: cache in 'config': it is not a directory"}},
		{"a mistyped place of the cache", "cache.open(10*MB, 'lmdb://below/this')", []string{"config:1: error: cache in 'below/this': the directory 'below' does not exist, in which it would be made"}},
		{"os.exit", "mode('lax')\nos.exit(3)\nmode('x')", []string{"config:1: mode: 'lax' is not one of strict, normal, permissive", "config:2: os.exit(3) ends kresd at its start"}},
		{"a hash bang", "#!/usr/sbin/kresd -c\nmode('lax')", []string{"config:2: mode: 'lax' is not one of strict, normal, permissive"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			status, stdout, stderr := tried(t, cli.Options{}, map[string]string{"config": c.lua})
			lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
			if len(c.want) == 0 {
				if status != 0 || stderr != "" || stdout != "config: no errors\n" {
					t.Errorf("status %d, output %q, errors:\n%s", status, stdout, stderr)
				}
				return
			}
			if end := fmt.Sprintf("config: %d error", len(c.want)); status != 1 || stdout != "" || !strings.HasPrefix(lines[len(lines)-1], end) {
				t.Errorf("status %d, output %q, last line %q; want 1 and %q", status, stdout, lines[len(lines)-1], end)
			}
			lines = lines[:len(lines)-1]
			for i, want := range c.want {
				begin, open := strings.CutSuffix(want, "…")
				if i >= len(lines) || lines[i] != want && !(open && strings.HasPrefix(lines[i], begin)) {
					t.Fatalf("line %d is not %q:\n%s", i+1, want, stderr)
				}
			}
		})
	}
}

// What would act outside is not done, and said; the configuration is right.
func TestCheckDoesNothing(t *testing.T) {
	status, stdout, stderr := tried(t, cli.Options{}, map[string]string{"config": `
assert(os.execute('touch touched') == 0)
local f = assert(io.open('written', 'w'))
assert(f:write('text') and f:seek('set') == 0 and f:read('*a') == 'text' and f:close())
assert(io.popen('touch touched'):read('*l') == nil)
assert(os.rename('config', 'other') and os.remove('config') and os.tmpname() and io.tmpfile():write('x'))
io.output('also')
local lfs = require('lfs')
assert(lfs.mkdir('made') and lfs.lock_dir('.'):free() == nil and lfs.touch('touched'))
local body, why = require('socket.http').request('http://127.0.0.1:1/')
assert(body == nil and why:find('only checked'))
assert(io.open('config'):read('*l'))
cache.size = 20 * MB
assert(cache.current_size == 20 * MB and cache.count() == 0 and cache.close())
net.listen('127.0.0.1', 5353)
assert(net.list()['127.0.0.1'] and net.close('127.0.0.1', 5353))
resolve('example.com', kres.type.A, kres.class.IN, 0, function() error('answered') end)
event.after(0, function() error('called') end)
log_target('syslog')
print('not shown')
quit()
`})
	want := `config:2: note: the command 'touch touched' was not run
config:3: note: 'written' was not opened to write
config:5: note: the command 'touch touched' was not run
config:6: note: 'config' was not renamed to 'other'
config:6: note: 'config' was not removed
config:6: note: no file was made for os.tmpname()
config:7: note: 'also' was not opened to write
config:9: note: 'made' was not made or removed
config:9: note: 'lockfile.lfs' was not made
config:9: note: the times of 'touched' were not changed
config:10: note: http://127.0.0.1:1/ was not asked
`
	if status != 0 || stdout != "config: no errors\n" || !strings.HasSuffix(stderr, want) || !strings.HasPrefix(stderr, "note: quit() ends kresd at its start\n") {
		t.Errorf("status %d, output %q, errors:\n%s\nwant:\n%s", status, stdout, stderr, want)
	}
}

func TestCheckOfFilesAndOptions(t *testing.T) {
	files := map[string]string{"a": "x = 1\nmode('a')", "b": "assert(x == 1)\nmode('b')"}
	for _, c := range []struct {
		o    cli.Options
		want string
	}{
		{cli.Options{}, "no configuration file: no errors\n"},
		{cli.Options{NoDefaults: true}, "no configuration file: no errors\n"},
		{cli.Options{Configs: []string{"a", "gone", "b"}}, "a:2: mode: 'a' is not one of strict, normal, permissive\n" +
			"config 'gone' cannot be read: no such file or directory\nb:2: mode: 'b' is not one of strict, normal, permissive\na, gone, b: 3 errors\n"},
		{cli.Options{Configs: []string{"."}}, "config '.' cannot be read: is a directory\n.: 1 error\n"},
		{cli.Options{KeyFile: "gone/root.keys", ModuleDir: "gone"}, "warning: module directory 'gone' is not there\n" +
			"trust anchors: gone/root.keys: no such file or directory\nkresd: 1 error\n"},
	} {
		_, stdout, stderr := tried(t, c.o, files)
		if stdout+stderr != c.want {
			t.Errorf("%+v:\n%swant:\n%s", c.o, stdout+stderr, c.want)
		}
	}
}

func TestCheckOfARunDirectoryThatIsNotThere(t *testing.T) {
	status, _, stderr := check(t, cli.Options{RunDir: filepath.Join(t.TempDir(), "gone")})
	if status != 1 || !strings.Contains(stderr, "no such file or directory\nkresd: 1 error\n") {
		t.Errorf("status %d, %s", status, stderr)
	}
}

// A configuration that would run for ever ends the check and not the patience.
func TestCheckEndsInTime(t *testing.T) {
	if testing.Short() {
		t.Skip("not run: it takes as long as a configuration may")
	}
	begun := time.Now()
	status, _, stderr := tried(t, cli.Options{}, map[string]string{"config": "mode('lax')\nworker.sleep(1000)\nmode('x')"})
	want := "config:1: mode: 'lax' is not one of strict, normal, permissive\nconfig:2: the configuration runs for more than 10s\nconfig: 2 errors\n"
	if took := time.Since(begun); status != 1 || stderr != want || took > 3*limits.CheckTime {
		t.Errorf("status %d after %v:\n%swant:\n%s", status, took, stderr, want)
	}
}

// A hundred runs of a configuration may take longer than a check may, on a busy machine: here
// they have the time.
func TestCheckGivesUpAfterManyErrors(t *testing.T) {
	_, _, stderr := triedIn(t, 5*time.Minute, cli.Options{}, map[string]string{"config": strings.Repeat("mode('lax')\n", limits.CheckRounds+5)})
	if want := fmt.Sprintf("config: %d errors\n", limits.CheckRounds+1); !strings.HasSuffix(stderr, want) || !strings.Contains(stderr, "there is more that is wrong") {
		t.Errorf("no %q:\n%s", want, stderr)
	}
}
