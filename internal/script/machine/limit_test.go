package machine_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/machine"
	"kresd/internal/script/scripttest"
)

// evalWithin runs a command with a short budget instead of the console's.
func evalWithin(vm *command.Interpreter, budget time.Duration, chunk string) error {
	return vm.Machine().Submit(context.Background(), script.Console, func() error {
		return vm.Enter(machine.Evaluation{Kind: script.Console, Budget: budget}, func(c *script.Call) error {
			if err := vm.Load(c.Stack(), chunk, "=chunk"); err != nil {
				return err
			}
			c.Stack().Call(0, 0)
			return nil
		})
	})
}

func TestEndlessCommandsAreInterrupted(t *testing.T) {
	vm, _ := scripttest.New(t)
	for _, chunk := range []string{
		"while true do end",
		"while true do pcall(function() while true do end end) end",
		"while true do xpcall(function() while true do end end, function() while true do end end) end",
		"pcall(error, setmetatable({}, {__tostring = function() while true do end end})) while true do pcall(pcall, pcall) end",
		"local function f() return f() end f()",
		"load(function() while true do end end)",
		"while true do load(function() while true do end end) end",
		"table.sort({3, 2, 1}, function() while true do end end)",
		"('x'):gsub('x', function() while true do end end)",
		"tostring(setmetatable({}, {__tostring = function() while true do end end}))",
		"table_print(setmetatable({}, {})) while true do eval_cmd('while true do end') end",
		"repeat local ok = pcall(string.find, ('a'):rep(10000), ('.-'):rep(20) .. 'b') until false",
		"for k in pairs(setmetatable({}, {__pairs = function() while true do end end})) do end",
		"goto a ::a:: goto a",
		"coroutine.wrap(function() while true do end end)()",
		"while true do pcall(coroutine.wrap(function() while true do pcall(coroutine.yield) end end)) end",
		"local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end",
		"while true do coroutine.wrap(function() coroutine.yield() end)() end",
		"local function again() return coroutine.wrap(again)() end while true do pcall(again) end",
		"while true do pcall(function() local function f() return 1 + f() end f() end) end",
		"while true do pcall(string.rep, 'x', 1e9) end",
		"while true do pcall(string.gsub, ('x'):rep(1e5), ('x?'):rep(30), 'y') end",
		"while true do pcall(string.find, ('a'):rep(1e5), ('a*'):rep(20) .. 'b') end",
		"local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }) while true do pcall(function() return t[1] end) end",
		"while true do pcall(error, setmetatable({}, { __tostring = error })) end",
		"while true do xpcall(error, function() while true do end end) end",
		"while true do pcall(table.concat, setmetatable({}, { __index = function() return 'x' end }), ',', 1, 1e9) end",
		"for i = 1, math.huge do end",
		"local s = '' while true do s = (s .. 'x'):sub(-100) end",
		"while true do pcall(loadstring, ('('):rep(1e4)) end",
		"while true do pcall(os.date, ('%c'):rep(1e4)) end",
		"repeat local ok = pcall(setmetatable, {}, { __gc = function() end }) until not ok",
	} {
		err := evalWithin(vm, 30*time.Millisecond, chunk)
		if err == nil || !strings.Contains(err.Error(), "ran longer than") {
			t.Errorf("%s: error %v", chunk, err)
		}
	}
	scripttest.Expect(t, vm, [2]string{"1", "1\n"})
}

// A callback that never returned took the machine, and with it the console, away
// for good.
func TestEndlessEventsAreInterrupted(t *testing.T) {
	var out bytes.Buffer
	vm, err := command.New(script.Options{Stdout: &out, Stderr: &out, EventTime: 30 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	vm.Post(func(c *script.Call) error {
		if err := vm.Load(c.Stack(), "while true do pcall(function() while true do end end) end", "=event"); err != nil {
			return err
		}
		c.Stack().Call(0, 0)
		return nil
	})
	scripttest.Expect(t, vm, [2]string{"1", "1\n"}) // waits for what was posted
	if got := out.String(); !strings.Contains(got, "error: ") || !strings.Contains(got, "ran longer than") {
		t.Errorf("standard error: %q", got)
	}
}

// A command in a command had its own five seconds, one after the other without end.
func TestCommandsInCommandsShareTheirTime(t *testing.T) {
	vm, _ := scripttest.New(t)
	err := evalWithin(vm, 200*time.Millisecond, "while true do pcall(eval_cmd, 'for i = 1, 1e6 do end') end")
	if err == nil || err.Error() != "ended: it ran longer than 200ms" {
		t.Errorf("error %v", err)
	}
}

// A function that a request waits for may take no more memory than a command.
func TestHooksThatTakeTooMuchMemoryAreInterrupted(t *testing.T) {
	vm, _ := scripttest.New(t)
	if err := vm.RunText(context.Background(), "layers.lua", "function greedy() local t = {} while true do t[#t + 1] = ('x'):rep(1e7) .. #t end end"); err != nil {
		t.Fatal(err)
	}
	if err := hooked(vm, "greedy"); err == nil || !strings.HasPrefix(err.Error(), "ended: it ") {
		t.Errorf("error %v", err)
	}
}

// What takes more memory than a worker can spare is ended, also where pcall is around
// it; garbage does not count. A command that filled a table took all of the machine's.
func TestCommandsThatTakeTooMuchMemoryAreInterrupted(t *testing.T) {
	for _, chunk := range []string{
		"local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end",
		"local t = {} while true do pcall(function() while true do t[#t + 1] = ('x'):rep(1e6) end end) end",
		"local t = {} while true do coroutine.wrap(function() for i = 1, 100 do t[#t + 1] = ('x'):rep(1e6) end end)() end",
		"local t, s = {}, ('x'):rep(1e6) while true do t[#t + 1] = s:gsub('x', 'y', 1) end",
		"kept = {} while true do eval_cmd('for i = 1, 50 do kept[#kept + 1] = (\"x\"):rep(1e6) .. i end') end",
	} {
		vm, _ := scripttest.New(t)
		err := evalWithin(vm, time.Minute, chunk)
		if err == nil || err.Error() != "ended: it took more than 256 MB of memory" {
			t.Errorf("%s: error %v", chunk, err)
		}
		scripttest.Expect(t, vm, [2]string{"1", "1\n"})
		vm.Close()
	}
	vm, _ := scripttest.New(t)
	if err := evalWithin(vm, time.Minute, "for i = 1, 400 do local s = ('x'):rep(1e6) .. i end"); err != nil {
		t.Errorf("garbage: %v", err)
	}
}

func TestHostileScriptsLeaveTheMachineWhole(t *testing.T) {
	vm, _ := scripttest.New(t)
	for _, chunk := range []string{
		"string.rep('x', 1e14)", "string.rep('x', 1e9)", "('x'):rep(1e7):gsub('x', 'yy')", "('x'):rep(1e7):gsub('.', { x = 'yyy' })", "('x'):rep(1e7):find(('x-'):rep(50) .. 'y')",
		"('a'):rep(1e6):match(('(a)'):rep(33))", "('a'):rep(1e6):match('(.*)(.*)(.*)(.*)b')", "string.format(('%99d'):rep(1e6), unpack({}))", "('x'):rep(1e7):reverse():upper():lower():byte(1, -1)",
		"loadstring('return ' .. ('1 + '):rep(1e5) .. '1')", "loadstring(('local x = 1 '):rep(300))", "loadstring('return ' .. ('function() return '):rep(300) .. '1' .. (' end'):rep(300))", "unpack({}, 1, 1e9)", "table.concat({}, ('x'):rep(1e6), 1, 1e6)",
		"module('a.b') ", "module('string.x.y')", "newproxy(5)", "debug.setlocal(1, 1e9, 1)", "debug.getlocal(1e6, 1)", "debug.getinfo(1, 'nonsense')", "os.setlocale({})", "math.random(1e300)", "math.randomseed(0/0)", "tonumber('zz', 1e9)",
		"string.rep('x', 1/0)",
		"string.rep('', 1e14)",
		"('x'):rep(1e7, ('y'):rep(1000))",
		"local t = {} for i = 1, 100 do t[i] = ('x'):rep(1e6) end table.concat(t)",
		"('x'):rep(1e6):gsub('x', ('y'):rep(1000))",
		"local function f() f() end f()",
		"local function f() return 1 + f() end f()",
		"local t = setmetatable({}, {}) getmetatable(t).__index = t; return t.x",
		"local t = {} setmetatable(t, {__index = function(_, k) return t[k] end}) return t.x",
		"string.gsub('x', 'x', function() return string.gsub('x', 'x', error) end)",
		"debug.sethook(print, 'l')",
		"debug.sethook()",
		"load('\\27Lua')()",
		"loadstring('\\27LuaR\\0\\1\\4\\8\\4\\8\\0')()",
		"string.dump(print)",
		"select('')", "select(-5)", "select(0)",
		"string.format('%')", "string.format('%5')", "string.format('%-')", "string.format('%d', 1/0)", "string.format('%123d', 1)", "string.format('%y', 1)",
		"setmetatable(_G, {})",
		"unpack({}, 1, 1e8)", "unpack({}, -1e9, 1e9)",
		"string.char(300)", "('x'):byte(1, 1e9)",
		"table.concat({{}})", "table.insert(1, 2)", "table.insert({}, 5, 5)",
		"setfenv(1, 1)", "setfenv(print, {})", "getfenv(500)",
		"require('no.such.module')", "dofile('/nonexistent')", "loadfile('/')()",
		("return " + strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000)),
		("return " + strings.Repeat("{", 5000) + strings.Repeat("}", 5000)),
		"return " + strings.Repeat("-", 100001) + "1",
		"coroutine.create(print)", "coroutine.resume({})", "coroutine.yield()", "coroutine.wrap(coroutine.yield)() coroutine.running()",
		"local co co = coroutine.wrap(function() co() end) co()", "local function f() return coroutine.wrap(f)() end f()",
		"coroutine.wrap(function() error(setmetatable({}, {__tostring = error})) end)()", "debug.traceback(coroutine.create(print))", "debug.getinfo(coroutine.create(print), 5)",
		"coroutine.wrap(function() local function f() return 1 + f() end f() end)()", "coroutine.wrap(unpack)({}, 1, 7999)", "setmetatable(_G, coroutine.create(print))",
		"debug.getlocal(coroutine.create(print), 1)", "debug.getmetatable(coroutine.create(print))", "debug.setmetatable(coroutine.create(print), {__index = 5}) return coroutine.create(print).x",
		"os.time({})", "os.date('*t', 1/0)",
		"fromjson('" + strings.Repeat("[", 20000) + "')",
		"local t = {} t[1] = t return tojson(t)",
		"tojson(0/0)",
		"error(setmetatable({}, {__tostring = error}))",
		"tostring(setmetatable({}, {__tostring = function() return {} end}))",
		"print(setmetatable({}, {__tostring = function() return {} end}))",
		"collectgarbage('nonsense', {})",
		"rawset(_G, nil, 1)", "next({}, 1)", "ipairs()", "rawlen(1)",
		"xpcall(error, error)", "xpcall(function() error('x') end, function() error('y') end)",
		"pcall()", "math.random(0)", "math.floor()", "bit.band()",
	} {
		if out, _ := vm.Eval(context.Background(), chunk); strings.Contains(out, "internal error") {
			t.Errorf("%.60s: %s", chunk, out)
		}
		if got := scripttest.Eval(vm, "2 + 2"); got != "4\n" {
			t.Fatalf("after %.60s the machine answers %q", chunk, got)
		}
	}
}

func TestConfigurationHasNoLimitOfTime(t *testing.T) {
	vm, _ := scripttest.New(t)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	err := vm.RunText(ctx, "config", "while true do end")
	if err == nil || err.Error() != "interrupted" {
		t.Errorf("error %v", err)
	}
}

func TestOutputIsBounded(t *testing.T) {
	vm, _ := scripttest.New(t)
	out := scripttest.Eval(vm, "(function() local t = {} for i = 1, 100000 do t[i] = ('x'):rep(50) end return t end)()")
	if len(out) > 1<<20+10 || !strings.HasSuffix(out, "...\n") {
		t.Errorf("%d octets, ending in %q", len(out), out[len(out)-10:])
	}
}
