package bindings

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/script"
	"kresd/internal/version"
)

func nothing(*script.Call) error { return nil }

func TestHostname(t *testing.T) {
	w := newWorld(t)
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	w.expect(
		step{"hostname()", name + "\n"},
		step{"hostname('ns.example.')", "ns.example.\n"},
		step{"hostname()", "ns.example.\n"},
		step{"hostname(5)", "ERROR …"},
		step{"hostname(nil)", "ERROR …"},
		step{"hostname({})", "ERROR [string \"hostname({})\"]:1: bad argument #1 to 'hostname' (string expected, got table); usage: hostname([fqdn])"},
		step{"hostname('a', 'b')", "ERROR [string \"hostname('a', 'b')\"]:1: wrong number of arguments to 'hostname'; usage: hostname([fqdn])"},
		step{"hostname()", "ns.example.\n"},
	)
}

func TestModuledirLeadsRequire(t *testing.T) {
	w := newWorld(t)
	one, two := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(one, "where.lua"): "return 'one'", filepath.Join(two, "where.lua"): "return 'two'",
		filepath.Join(two, "deep", "init.lua"): "return {name = ...}", filepath.Join(two, "broken.lua"): "x = = 1",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.expect(
		step{"moduledir()", "/modules\n"},
		step{"pcall(require, 'where')", "false\n"},
		step{"moduledir('" + one + "')", one + "\n"},
		step{"moduledir()", one + "\n"},
		step{"require('where')", "one\n"},
		step{"package.loaded.where = nil", ""},
		step{"moduledir('" + two + "/')", two + "/\n"},
		step{"require('where')", "two\n"},
		step{"require('deep').name", "deep\n"},
		step{"require('broken')", "ERROR …"},
		step{"package.path:find('" + one + "', 1, true)", "nil\n"}, // a second call replaces the first
		step{"moduledir(5)", "ERROR [string \"moduledir(5)\"]:1: bad argument #1 to 'moduledir' (string expected, got number)…"},
		step{"moduledir(nil)", "ERROR …"},
	)
	if got := w.eval("require('broken')"); !strings.Contains(got, "broken.lua:1:") {
		t.Errorf("an error in a module says %q", got)
	}
}

func TestAModuleThatIsNowhereIsLookedFor(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	w.eval("moduledir('" + dir + "')")
	got := w.eval("modules.load('yours > iterate')")
	if !strings.Contains(got, "no such module 'yours'; there are ") ||
		!strings.Contains(got, "; looked for yours.lua, yours/init.lua in "+dir+", ., ") {
		t.Errorf("a module that is nowhere: %q", got)
	}
}

// Packages of Lua 5.1 that are written in Lua are found where Debian and luarocks
// put them, and in the run directory.
func TestThePathOfLuaPackages(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	t.Chdir(dir)
	for path, text := range map[string]string{"near.lua": "return 'near'", "pack/init.lua": "return 'pack'", "pack/part.lua": "return 'part'"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.do(func(*script.Call) error { w.vm.SetModuleDir("/modules"); return nil })
	w.expect(
		step{"require('near')", "near\n"}, step{"require('pack')", "pack\n"}, step{"require('pack.part')", "part\n"},
		step{"package.path", "/modules/?.lua;/modules/?/init.lua;./?.lua;./?/init.lua;/usr/local/share/lua/5.1/?.lua;/usr/local/share/lua/5.1/?/init.lua;/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua\n"},
	)
}

func TestVerbose(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"verbose()", "false\n"},
		step{"verbose(true)", "true\n"},
		step{"verbose('no')", "ERROR …"},
		step{"verbose({})", "ERROR …"},
		step{"verbose(nil)", "true\n"},
		step{"verbose(0)", "false\n"},
		step{"verbose(1)", "true\n"},
		step{"verbose(false)", "false\n"},
		step{"verbose(true, true)", "ERROR …"},
	)
	w.expectFile("verbose(true)", "")
	if w.d.Log.Level() != logging.Debug {
		t.Error("the log does not know")
	}
}

func TestModeOptionAndReorder(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"mode()", "normal\n"},
		step{"mode('strict')", "true\n"},
		step{"mode()", "strict\n"},
		step{"option('STRICT')", "true\n"},
		step{"mode('permissive')", "true\n"},
		step{"mode()", "permissive\n"},
		step{"option('strict')", "false\n"},
		step{"mode('lax')", "ERROR mode: 'lax' is not one of strict, normal, permissive"},
		step{"mode(nil)", "ERROR …"},
		step{"mode(5)", "ERROR …"},
		step{"mode()", "permissive\n"},
		step{"option('STRICT', true)", "true\n"},
		step{"mode()", "strict\n"}, // both flags, told the same each time
		step{"mode('normal')", "true\n"},
		step{"mode()", "normal\n"},
		step{"option('PERMISSIVE')", "false\n"},
		step{"reorder_RR()", "false\n"},
		step{"reorder_RR(true)", "true\n"},
		step{"option('reorder_rr')", "true\n"},
		step{"option('REORDER_RR', false)", "false\n"},
		step{"reorder_RR()", "false\n"},
		step{"reorder_RR('yes')", "ERROR [string \"reorder_RR('yes')\"]:1: bad argument #1 to 'reorder_RR' (boolean expected, got 'yes')…"},
		step{"option('no_minimize', true)", "true\n"},
		step{"option('NO_MINIMIZE', nil)", "true\n"},
		step{"option('NO_MINIMIZE', 1)", "ERROR [string \"option('NO_MINIMIZE', 1)\"]:1: bad argument #2 to 'option' (boolean expected, got '1')…"},
		step{"option('NO_MINIMIZE', {})", "ERROR [string \"option('NO_MINIMIZE', {})\"]:1: bad argument #2 to 'option' (boolean expected, got table)…"},
		step{"option('NO_SUCH')", "ERROR option: unknown option 'NO_SUCH'"},
		step{"option(5)", "ERROR …"},
		step{"option()", "ERROR …"},
	)
	if !w.d.Settings.Options().WholeName || w.changes == 0 {
		t.Errorf("the settings do not know; told of %d changes", w.changes)
	}
	w.expectFile("\nmode('lax')", "config:2: mode: 'lax' is not one of strict, normal, permissive")
}

func TestUserNames(t *testing.T) {
	w := newWorld(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	w.expect(
		step{"user('baduser')", "ERROR invalid user name"},
		step{"user('baduser', 'badgroup')", "ERROR invalid user name"},
		step{"user('" + me.Username + "', 'badgroup')", "ERROR invalid group name"},
		step{"user()", "ERROR …"},
		step{"user(5)", "ERROR …"},
		step{"user('" + me.Username + "', 5)", "ERROR …"},
	)
	if w.process.became != 0 {
		t.Error("the process became a user that is none")
	}
	w.expect(step{"user('" + me.Username + "')", "true\n"})
	if w.process.became != 1 {
		t.Errorf("the process changed its user %d times", w.process.became)
	}
	w.process.failing = errors.New("address already in use")
	w.expect(step{"user('" + me.Username + "')", "ERROR address already in use"})
	w.expectFile("\nuser('baduser')", "config:2: invalid user name")
}

func TestSmallFunctions(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"package_version()", version.String() + "\n"},
		step{"package_version(1)", "ERROR …"},
		step{"todname('Example.COM') == '\\7example\\3com\\0'", "true\n"},
		step{"{todname('com.')}", "[1] => \\3com\\0\n"},
		step{"todname('a..b')", "nil\n"},
		step{"todname('')", "nil\n"},
		step{"todname(5)", "nil\n"},
		step{"todname()", "ERROR …"},
		step{"quit(1)", "ERROR …"},
	)
	if w.process.quits != 0 {
		t.Error("quit(1) quit")
	}
	w.expect(step{"quit()", "nil\n"}, step{"quit", "nil\n"})
	if w.process.quits != 2 {
		t.Errorf("%d wishes to end", w.process.quits)
	}
}

func TestWorker(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"worker.id", "0\n"},
		step{"worker.count", "2\n"},
		step{"worker.pid", "3008\n"},
		step{"type(worker.id)", "number\n"},
		step{"worker.stats()", "[concurrent] => 3\n[rss] => 1000000\n[udp] => 7\n"},
		step{"worker.info().pid + worker.info().udp", "3015\n"},
		step{"worker.id = 5", "ERROR error: 'worker.id' cannot be assigned"},
		step{"worker = { id = 5 }", "ERROR error: 'worker.id' cannot be assigned"},
		step{"worker.idd = 5", "ERROR error: unknown option 'worker.idd'; did you mean 'worker.id'?"},
		step{"worker.nothing", "nil\n"},
		step{"worker.sleep()", "ERROR error: wrong number of arguments to 'worker.sleep'; usage: worker.sleep(seconds)"},
		step{"worker.sleep('x')", "ERROR error: bad argument #1 to 'worker.sleep' (number expected, got string)…"},
		step{"worker.sleep(-1)", "ERROR error: bad argument #1…"},
		step{"worker.sleep(0/0)", "ERROR error: bad argument #1…"},
		step{"worker.sleep(1/0)", "ERROR error: bad argument #1…"},
		step{"worker.sleep(0)", "nil\n"},
	)
	// Events that come due meanwhile do not wait for the command.
	begin := time.Now()
	w.expect(step{"event.after(1, function() print('event') end) worker.sleep(0.05) print('command')", ""})
	if d := time.Since(begin); d < 50*time.Millisecond {
		t.Errorf("slept %v of 50 ms", d)
	}
	w.eventually("the event", func() bool { return w.out.String() == "event\ncommand\n" })
	if limits.ConsoleRunTime < time.Second {
		t.Error("a command could not sleep for a second")
	}
}

// A coroutine that sleeps holds up neither commands nor the others; its error ends it
// alone.
func TestWorkerCoroutine(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"worker.coroutine()", "ERROR error: wrong number of arguments to 'worker.coroutine'…"},
		step{"worker.coroutine('x')", "ERROR error: bad argument #1 to 'worker.coroutine' (function expected, got string)…"},
		step{"return select('#', worker.coroutine(function() for i = 0, 2 do print('executing', i) worker.sleep(0.01) end end))", "0"},
		step{"worker.coroutine(function() worker.sleep(3600) end)", "nil\n"},
		step{"worker.bg_worker.cq:count()", "2\n"},
	)
	w.eventually("all of it", func() bool { return w.out.String() == "executing\t0\nexecuting\t1\nexecuting\t2\n" })
	w.expectFile("worker.coroutine(function()\n worker.sleep(0)\n error('broken') end)\nworker.bg_worker.cq:wrap(function() worker.sleep(0.02) print('on') end)", "")
	w.eventually("the other coroutine", func() bool { return strings.HasSuffix(w.out.String(), "on\n") })
	if got := w.err.String(); !strings.HasPrefix(got, "error: worker.background: config:3: broken\nstack traceback:\n") {
		t.Errorf("the log has %q", got)
	}
}

func TestMap(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"map 'worker.id'", "[1] => 0\n[2] => 0\n"},
		step{"map('1 + 1')[2]", "2\n"},
		step{"map 'error(\"x\", 0)'", "[1] => x\n[2] => x\n"},
		step{"map 'x = 1'", "[1] => \n[2] => \n"},
		step{"map 'map \"1\"'", "[1] => map() cannot be used inside a mapped expression\n[2] => map() cannot be used inside a mapped expression\n"},
		step{"map(5)", "ERROR [string \"map(5)\"]:1: bad argument #1 to 'map' (string expected, got number); usage: map(expression)"},
		step{"map()", "ERROR …"},
		step{"map('1', '2')", "ERROR …"},
	)
	w.expectFile("\nmap 'worker.id'", "config:2: map() cannot be used while the configuration loads…")
	w.expectFile("event.after(0, function() print(#map 'worker.id') end)", "")
	w.eventually("map() in an event", func() bool { return w.out.String() == "2\n" })
	w.mapper.unknown = true
	w.expect(step{"map 'worker.id'", "ERROR the leader is gone: result unknown"})
}

func TestHelpListsTheGlobals(t *testing.T) {
	w := newWorld(t)
	text := w.eval("help()")
	for _, name := range []string{
		"help([name])", "quit()", "hostname([fqdn])", "package_version()", "user(name[, group])", "verbose([true | false])", "option(name[, true | false])",
		"mode(['strict' | 'normal' | 'permissive'])", "reorder_RR([true | false])", "todname(name)", "tojson(value)", "fromjson(text)", "map(expression)",
		"moduledir([path])", "net", "cache", "modules", "worker", "event", "env",
	} {
		if !strings.Contains("\n"+text, "\n"+name+"  ") {
			t.Errorf("help() has no line for %s", name)
		}
	}
	w.expect(step{"help('cache.clear')", "cache.clear([name[, exact_name[, rr_type[, chunk_size[, callback[, prev_state]]]]]])\n    forget everything…"}, step{"help(cache)", "cache\n    …"})
}
