package bindings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// luaWorld is a world whose module directory has these files.
func luaWorld(t *testing.T, files map[string]string) (w *world, dir string) {
	t.Helper()
	w, dir = newWorld(t), t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.eval("moduledir('" + dir + "')"); got != dir+"\n" {
		t.Fatal(got)
	}
	return w, dir
}

// A module in Lua goes through its life: it is loaded where it is to stand, configured with
// the very value that was written, used as a global, loaded anew with its table as it was,
// and unloaded.
func TestAModuleInLuaLives(t *testing.T) {
	w, _ := luaWorld(t, map[string]string{
		"life.lua": `local M = { inits = 0, deinits = 0, given = {} }
local function private() end
function M.init(module) M.inits = M.inits + 1 M.same = module == M end
function M.deinit() M.deinits = M.deinits + 1 gone = M.deinits end
function M.config(value) table.insert(M.given, value == nil and 'nil' or value) M.fn = type(value) == 'table' and value.fn M.whole = value end
function M.double(n) return 2 * n end
M.layer = { begin = function(state) return state end }
return M`,
		"pack/init.lua":          "return { name = 'pack' }",
		"kres_modules/other.lua": "return { name = 'namespace' }",
	})
	w.expect(
		step{"modules.load('life  < cache')", "true\n"},
		step{"life.inits .. ' ' .. tostring(life.same)", "1 true\n"},
		step{"life.double(21)", "42\n"},
		step{"modules = { life = { fn = print, list = { 1, { 2 } } } }", ""},
		step{"options = { deep = {} } options.deep.self = options modules.life = options", ""},
		step{"life.whole == options", "true\n"},
		step{"life.inits .. ' ' .. life.deinits .. ' ' .. #life.given .. ' ' .. type(life.given[1].fn)", "3 2 2 function\n"},
		step{"modules = { 'life > iterate' }", ""},
		step{"life.given[3]", "nil\n"},
		step{"life.setting = 7", ""},
		step{"modules.load('life')", "true\n"},
		step{"life.setting", "7\n"},
		step{"modules.load('pack') return pack.name", "pack"},
		step{"modules.load('other') return other.name", "namespace"},
	)
	w.modulesAre("iterate validate cache life pack other")
	w.expect(
		step{"modules.unload('life')", "true\n"},
		step{"life", "nil\n"},
		step{"gone", "5\n"},
		step{"modules.unload('life')", "ERROR error: modules: no module 'life' is loaded"},
		step{"package.preload.made = function() return { answer = 42 } end modules.load('made') return made.answer", "42"},
	)
	w.modulesAre("iterate validate cache pack other made")
}

// A function of a layer under a name that no hook has did not let the module be loaded at
// all. It is never called, which the log says; the hooks beside it are.
func TestAnUnknownHookIsSaidAndNotRefused(t *testing.T) {
	w, _ := luaWorld(t, map[string]string{
		"typo.lua":  "return { layer = { beginn = function() end, finish = function() end, helper = 5 } }",
		"other.lua": "return { layer = { answer = function() end } }",
	})
	w.log.take()
	w.expect(step{"modules.load('typo')", "true\n"})
	if got := w.log.take(); !strings.Contains(got, "module 'typo': its layer has 'beginn', which is no hook and is never called; did you mean 'begin'?") || strings.Contains(got, "helper") {
		t.Errorf("log %q", got)
	}
	w.expect(step{"modules.load('other')", "true\n"})
	if got := w.log.take(); !strings.Contains(got, "its layer has 'answer', which is no hook and is never called; there are begin, reset, produce, checkout, consume, answer_finalize, finish") {
		t.Errorf("log %q", got)
	}
	w.modulesAre("iterate validate cache typo other")
}

// What is wrong with a module says where and what, and leaves nothing loaded.
func TestModulesInLuaThatAreWrong(t *testing.T) {
	w, dir := luaWorld(t, map[string]string{
		"syntax.lua":   "local M = {}\nfunction M.init( return M",
		"raises.lua":   "\nlocal t = nil\nreturn t.x",
		"nothing.lua":  "local M = {}",
		"text.lua":     "return 'a module'",
		"fails.lua":    "return { init = function()\n error('no luck') end }",
		"number.lua":   "return { init = function() return 5 end }",
		"zero.lua":     "return { init = function() return 0 end }",
		"badinit.lua":  "return { init = 5 }",
		"badlayer.lua": "return { layer = 'begin' }",
		"badhook.lua":  "return { layer = { begin = true } }",
		"config.lua":   "return { config = function(v)\n error('bad value ' .. tostring(v)) end }",
		"worker.lua":   "return {}",
		"string.lua":   "return {}",
		"second.lua":   "return {}",
		"stats.lua":    "return { mine = true }",
		"closes.lua":   "return { deinit = function()\n error('stuck') end }",
	})
	for name, want := range map[string]string{
		"syntax":   "config:2: error: module 'syntax': error loading module 'syntax' from file '…/syntax.lua:2: ",
		"raises":   "config:2: error: module 'raises': …/raises.lua:3: attempt to index local 't' (a nil value)",
		"nothing":  "config:2: error: module 'nothing': " + dir + "/nothing.lua returns a boolean, and no table of the module's functions",
		"text":     "config:2: error: module 'text': " + dir + "/text.lua returns a string, and no table of the module's functions",
		"fails":    "config:2: error: module 'fails': init: …/fails.lua:2: no luck",
		"number":   "config:2: error: module 'number': init returned the error 5",
		"badinit":  "config:2: error: module 'badinit': its 'init' is a number, and no function",
		"badlayer": "config:2: error: module 'badlayer': its 'layer' is a string, and no table",
		"badhook":  "config:2: error: module 'badhook': the hook 'begin' of its layer is a boolean, and no function",
		"worker":   "config:2: error: module 'worker' in " + dir + "/worker.lua cannot be loaded: its global would take the place of 'worker', which is part of the program; give the file another name",
		"string":   "config:2: error: module 'string' in …",
		"second":   "config:2: error: module 'second' in …",
	} {
		got := w.file("\nmodules = { '" + name + "' }")
		for part := range strings.SplitSeq(want, "…") {
			if !strings.Contains(got, part) {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	}
	w.modulesAre("iterate validate cache")
	w.expect(
		step{"raises or fails or number", "nil\n"},
		step{"type(worker.id) .. type(string.rep)", "numberfunction\n"},
		step{"modules.load('zero')", "true\n"},
		step{"modules.load('zero > nowhere')", "ERROR error: modules: 'zero > nowhere': referenced module 'nowhere' not found"},
		step{"modules.config = 5", "ERROR …"},
		step{"modules = { config = 5 }", "ERROR error: module 'config': …"},
	)
	w.log.take()
	w.expect(step{"modules.load('stats') return stats.mine == nil and 'ours'", "ours"})
	if got := w.log.take(); !strings.Contains(got, "module 'stats' is built in; "+dir+"/stats.lua is not used") {
		t.Errorf("log %q", got)
	}
	w.expect(step{"modules.load('closes')", "true\n"}, step{"modules.unload('closes')", "true\n"}, step{"closes", "nil\n"})
	if got := w.log.take(); !strings.Contains(got, "module 'closes': deinit: error: ") || !strings.Contains(got, "closes.lua:2: stuck") {
		t.Errorf("log %q", got)
	}
}

// A coroutine that init returns goes on beside all else until it ends, or the module is
// unloaded.
func TestACoroutineOfInitGoesOn(t *testing.T) {
	w, _ := luaWorld(t, map[string]string{
		"steps.lua": `local M = { n = 0 }
function M.init() return coroutine.create(function() for i = 1, 5 do M.n = i coroutine.yield() end M.done = true end) end
return M`,
		"endless.lua": "ticks = 0\nreturn { init = function() return coroutine.create(function() while true do ticks = ticks + 1 coroutine.yield() end end) end }",
		"stuck.lua":   "return { init = function() return coroutine.create(function()\n while true do end end) end }",
		"broken.lua":  "return { init = function() return coroutine.create(function()\n error('half way') end) end }",
	})
	eventually := func(what string, cond func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	w.eval("modules = { 'steps', 'endless', 'broken' }")
	eventually("the coroutine did not end", func() bool { return w.eval("steps.done and steps.n") == "5\n" })
	eventually("the endless coroutine does not go on", func() bool { return w.eval("ticks > 3") == "true\n" })
	eventually("the error was not told", func() bool {
		got := w.log.take()
		return strings.Contains(got, "module 'broken': the coroutine of init: error: ") && strings.Contains(got, "broken.lua:2: half way")
	})
	w.eval("modules.unload('endless')")
	before := w.eval("ticks")
	time.Sleep(20 * time.Millisecond)
	if after := w.eval("ticks"); after != before {
		t.Errorf("after unload the coroutine went on from %s to %s", before, after)
	}
	w.eval("modules.load('stuck')") // it had the machine for good
	eventually("the loop was not ended", func() bool {
		return strings.Contains(w.log.take(), "stuck.lua:2: ended: it took longer than 5s without a yield")
	})
}
