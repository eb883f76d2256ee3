package language_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/scripttest"
)

// One test for each edit of scripts/go-lua.patch; the numbers are its own.

func TestPatch1ConcatThenMetamethod(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"local a = 'x' .. 'y'; return 'home=' .. env.HOME .. a", "home=value of HOMExy"},
		[2]string{"local a, b, c = 1, 2, 3; local s = a .. b; local u = env.USER; return a .. b .. c .. s .. u", "12312value of USER"},
		[2]string{"local t = setmetatable({}, {__index = function(_, k) return k .. '!' end}); local p = 'p' .. 'q'; return p .. t.x .. t.y .. p", "pqx!y!pq"},
		[2]string{"local t = setmetatable({}, {__concat = function(a, b) return 'c' end}); local n = 7; local s = t .. 'x'; return s .. n .. #s", "c71"},
	)
}

func TestPatch2TraversalTakesLinearTime(t *testing.T) {
	vm, _ := scripttest.New(t)
	// Square time would take several times what a command may (limits.ConsoleRunTime).
	scripttest.Expect(t, vm, [2]string{"local t = {} for i = 1, 30000 do t['k' .. i] = i end local n = 0 for _, v in pairs(t) do n = n + v end return n", "450015000"})
}

func TestPatch3ClearingWhileTraversing(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"local t = {1, 2, 3, x = 1, y = 2, z = 3} for k in pairs(t) do t[k] = nil end return tostring(next(t))", "nil"},
		[2]string{"local t = {} for i = 1, 50 do t['k' .. i] = i end local n = 0 for k, v in pairs(t) do n = n + v if v % 2 == 0 then t[k] = nil end end local left = 0 for _ in pairs(t) do left = left + 1 end return n .. ' ' .. left", "1275 25"},
		[2]string{"local t = {a = 1, b = 2} local n = 0 for k in pairs(t) do for l in pairs(t) do n = n + 1 end end return n", "4"},
		[2]string{"return select(2, pcall(next, {a = 1}, 'b'))", "invalid key to 'next'"},
	)
}

func TestPatch4XpcallInsideAFunction(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"local function f(...) local a, b = 1, 2; return xpcall(function() error('e', 0) end, function(m) return 'handled ' .. m end) end local _, m = f(1, 2) return m", "handled e"},
		[2]string{"local ok, a, b = xpcall(function(...) return ... end, print, 1, 2) return tostring(ok) .. a .. b", "true12"},
		[2]string{"local ok, tb = xpcall(function() local x = nil; x.y = 1 end, debug.traceback) return tostring(ok) .. (tb:find('stack traceback', 1, true) and ' traceback' or tb)", "false traceback"},
	)
}

func TestPatch5ErrorValuesKeepTheirType(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"local _, e = pcall(error, {code = 3}) return e.code", "3"},
		[2]string{"local _, e = pcall(error) return tostring(e)", "nil"},
		[2]string{"local _, e = pcall(error, true) return tostring(e)", "true"},
		[2]string{"local e = {} local _, f = pcall(function() local ok, x = pcall(error, e) error(x) end) return tostring(e == f)", "true"},
	)
}

func TestPatch6ModuloHasTheSignOfTheDivisor(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"local a, b = -5, 3 return a % b", "1"},
		[2]string{"local a, b = 5, -3 return a % b", "-1"},
		[2]string{"local a, b = 5.5, 2 return a % b", "1.5"},
	)
}

func TestPatch7ConcatenationIsBounded(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"local s = ('x'):rep(1000) for i = 1, 60 do s = s .. s end", "ERROR [string \"local s = ('x'):rep(1000) for i = 1, 60 ...\"]:1: resulting string too large"},
		[2]string{"#(('x'):rep(8 * MB) .. ('y'):rep(8 * MB))", "16777216\n"},
	)
}

func TestPatch8ErrorsNameTheVariable(t *testing.T) {
	vm, _ := scripttest.WithCache(t)
	for _, c := range [][2]string{
		{"foo.bar", "index global 'foo' (a nil value)"},
		{"foo()", "call global 'foo' (a nil value)"},
		{"local x, y; cache.clera()", "call field 'clera' (a nil value)"},
		{"return cache.clera()", "call field 'clera' (a nil value)"},
		{"cache = { 'x', cache.eth7.addr[1] }", "index field 'eth7' (a nil value)"},
		{"local t = {} return t.a.b.c", "index field 'a' (a nil value)"},
		{"local t = {} t.x.y = 5", "index field 'x' (a nil value)"},
		{"local t = {} t:nope()", "call method 'nope' (a nil value)"},
		{"local a, b = 5 return b()", "call local 'b' (a nil value)"},
		{"local a, b = nil, 5 return b + a", "perform arithmetic on local 'a' (a nil value)"},
		{"local a, b return b - a", "perform arithmetic on local 'b' (a nil value)"},
		{"return 'a' .. 'b' .. cache.nothing", "concatenate field 'nothing' (a nil value)"},
		{"return -foo", "perform arithmetic on global 'foo' (a nil value)"},
		{"return #foo", "get length of global 'foo' (a nil value)"},
		{"local t local function f() return t.x end return f()", "index upvalue 't' (a nil value)"},
		{"local t local function f() t.x = 1 end return f()", "index upvalue 't' (a nil value)"},
		{"local k, t = 'a', {} return t[k].x", "index field '?' (a nil value)"},
		{"return 1 + {}", "perform arithmetic on a table value"},
	} {
		if got := scripttest.Eval(vm, c[0]); !strings.HasPrefix(got, "ERROR ") || !strings.HasSuffix(got, "]:1: attempt to "+c[1]) {
			t.Errorf("%s\n got %q\nwant %q", c[0], got, c[1])
		}
	}
	scripttest.Expect(t, vm, [2]string{"ipairs(5)", "ERROR [string \"ipairs(5)\"]:1: bad argument #1 to 'ipairs' (table expected, got number)"})
}

func TestPatch10FunctionsHaveUpvaluesOfTheirOwn(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"local function counter() local n = 0 return function() return function() n = n + 1 return n end end end local a, b = counter()(), counter()() a() return a() .. b()", "21"},
		[2]string{"local function make() return function() end end return tostring(make() == make())", "false"},
	)
}

func TestPatch11CapturedLocalsLeaveWithTheirScope(t *testing.T) {
	vm, _ := scripttest.New(t)
	// Square time would take several times what a command may (limits.ConsoleRunTime).
	scripttest.Expect(t, vm, [2]string{"local function f() local a, b, c = 1, 2, 3; local function g() return a + b + c end return g() end local n = 0 for i = 1, 30000 do n = n + f() end return n", "180000"})
}

// Each scope that was left looked at the captured locals of all functions that called it.
func TestPatch11RecursionThatMakesFunctionsTakesLinearTime(t *testing.T) {
	vm, _ := scripttest.New(t)
	const chunk = "local function f(n) local x = n local g = function() return x end if n > 0 then return f(n - 1) + g() end return 0 end " +
		"local function took(n) local s = os.clock() for i = 1, 10 do f(n) end return os.clock() - s end took(100) " +
		"local few, many for i = 1, 5 do few, many = took(1500), took(15000) if many < 40 * few then return 'linear' end end return few .. ' ' .. many"
	scripttest.Expect(t, vm, [2]string{chunk, "linear"})
}

// What is captured out of order is found again, and closed with its own scope.
func TestPatch11LocalsAreCapturedInAnyOrder(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm, [2]string{
		"local a, b, c = 1, 2, 3 local fc = function() c = c + 1 return c end local fa = function() a = a + 1 return a end local gc = function() return c end " +
			"do local d = 10 local fd = function() d = d + b return d end fa() fc() b = 5 keep = fd end a = a * 10 c = c * 10 return fa() .. ' ' .. fc() .. ' ' .. gc() .. ' ' .. keep() .. ' ' .. keep()",
		"21 41 41 15 20"})
}

func TestPatch12PlacesOfAListAreCounted(t *testing.T) {
	vm, _ := scripttest.New(t)
	vm.Register(script.Func{Name: "nils", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return(c.Nils(1)) }})
	scripttest.Expect(t, vm,
		[2]string{"return nils{1, nil}", "1"},
		[2]string{"local t = {} t.t = {nil, t, {nil, 2}} return nils(t.t)", "2"},
		[2]string{"return nils{1, 2, x = nil}", "0"},
		[2]string{"return nils(5)", "0"},
		[2]string{"local t = {} for i = 1, 5 do t[i] = i end return nils(t)", "0"}, // the array behind it has room for more
		[2]string{"local t = {" + strings.Repeat("1, nil, ", 60) + "} return nils(t)", "60"},
	)
}

// TestUnpatchedMachineIsRefused builds this test without the workspace, that
// is with the module as its authors left it, and runs itself there.
func TestUnpatchedMachineIsRefused(t *testing.T) {
	const marker = "KRESD_TEST_UNPATCHED"
	if os.Getenv(marker) != "" {
		_, err := command.New(script.Options{})
		if err == nil {
			t.Fatal("an unpatched machine was accepted")
		}
		t.Log(err)
		return
	}
	cmd := exec.Command("go", "test", "-count=1", "-v", "-run", "^"+t.Name()+"$", ".")
	cmd.Env = append(os.Environ(), "GOWORK=off", marker+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "make lua-vm") {
		t.Errorf("%v\n%s", err, out)
	}
}

// The count hook asks where the code stands, also between a call and the first
// instruction of the function.
func TestPatch16AHookKnowsTheLine(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Do(t, vm, func(c *script.Call) error {
		lines := map[int]bool{}
		lua.SetDebugHook(c.Stack(), func(l *lua.State, _ lua.Debug) {
			f, _ := lua.Stack(l, 0)
			d, _ := lua.Info(l, "Sl", f)
			lines[d.CurrentLine] = true
		}, lua.MaskCount, 1)
		defer lua.SetDebugHook(c.Stack(), func(l *lua.State, _ lua.Debug) { vm.Machine().Check(l) }, lua.MaskCount, 1000)
		if err := vm.Load(c.Stack(), "local function f()\n return 1\nend\nf() f()", "=hooked"); err != nil {
			return err
		}
		c.Stack().Call(0, 0)
		if !lines[2] || !lines[4] {
			t.Errorf("the hook saw lines %v", lines)
		}
		return nil
	})
}
