package language_test

import (
	"strings"
	"testing"

	"kresd/internal/script/scripttest"
)

// coroutinesEverywhere give the same text here, in LuaJIT and in Lua 5.1.
const coroutinesEverywhere = `
coroutine.resume(coroutine.create(function(a, b) return b, a end), 1, 2)
(function() local co = coroutine.create(function(a) local b, c = coroutine.yield(a + 1) return b .. c end) local _, x = coroutine.resume(co, 1) local _, y = coroutine.resume(co, 'p', 'q') return x, y, coroutine.status(co), coroutine.resume(co) end)()
coroutine.resume(coroutine.create(function() error('x') end))
coroutine.resume(coroutine.create(function() error({}, 0) end)) == false, type(select(2, coroutine.resume(coroutine.create(function() error({}) end))))
coroutine.resume(coroutine.create(function() error() end))
coroutine.resume(coroutine.create(function() local x = nil; return x.y end))
(function() local co co = coroutine.create(function() return coroutine.status(co), coroutine.resume(co) end) return coroutine.status(co), coroutine.resume(co) end)()
(function() local co co = coroutine.create(function() return coroutine.resume(coroutine.create(function() return coroutine.status(co) end)) end) return coroutine.resume(co) end)()
select('#', coroutine.resume(coroutine.create(function() return nil, nil end))), select('#', coroutine.resume(coroutine.create(function() coroutine.yield() end)))
(function() local gen = coroutine.wrap(function(n) for i = 1, n do coroutine.yield(i, i * i) end end) local a, b = gen(2) local c, d = gen() return a, b, c, d, gen() end)()
(function() local t = {} for v in coroutine.wrap(function() for i = 1, 5 do coroutine.yield(i) end end) do t[#t + 1] = v end return table.concat(t, ' ') end)()
pcall(coroutine.wrap(function() error('x') end))
pcall(coroutine.wrap(function() error('x', 0) end))
(function() local e = {} local ok, f = pcall(coroutine.wrap(function() error(e) end)) return ok, e == f end)()
(function() local f = coroutine.wrap(function() end) f() return pcall(f) end)()
(function() local f f = coroutine.wrap(function() return pcall(f) end) return f() end)()
coroutine.running()
(function() local co co = coroutine.create(function() return coroutine.running() == co end) return coroutine.resume(co) end)()
(function() return coroutine.wrap(function() local a = coroutine.running() coroutine.yield() return a == coroutine.running() end) end)()()
type(coroutine.create(function() end)), (tostring(coroutine.create(function() end)):gsub('0x%x+', 'ADDRESS'))
(function() local co = coroutine.create(function() end) local t = {[co] = 'found'} return t[co], co == co, co == coroutine.create(function() end) end)()
(function() local a, b a = coroutine.wrap(function() local r = {} for i = 1, 3 do r[i] = b(i) end return table.concat(r, ' ') end) b = coroutine.wrap(function(n) while true do n = coroutine.yield(n * 10) end end) return a() end)()
(function() local n = 0 local function count() n = n + 1 coroutine.yield(n) return count() end local f, g = coroutine.wrap(count), coroutine.wrap(count) return f(), g(), f(), n end)()
(function() local function body() local n = 0 return coroutine.yield(function() n = n + 1 return n end) end local f, g = coroutine.wrap(body)(), coroutine.wrap(body)() return f(), f(), g() end)()
(function() local co = coroutine.create(function(...) return select('#', ...), coroutine.yield(...) end) return coroutine.resume(co, nil, 1, nil) end)()
(function() local function walk(t) if t then walk(t.l) coroutine.yield(t.v) walk(t.r) end end local s = '' for v in coroutine.wrap(function() walk({v = 2, l = {v = 1}, r = {v = 3}}) end) do s = s .. v end return s end)()
(function() local s = 0 for i = 1, 200 do local co = coroutine.wrap(function(a) while true do a = coroutine.yield(a * 2) end end) s = s + co(i) + co(1) end return s end)()
(function() local co = coroutine.create(function() coroutine.yield() end) coroutine.resume(co) return (debug.traceback(co, 'message'):match('^message\nstack traceback:\n')) end)()
(function() local ok, e = pcall(coroutine.resume) return ok end)(), (pcall(coroutine.create)), (pcall(coroutine.status, 1)), (pcall(coroutine.wrap, 'x')), (pcall(coroutine.yield))
`

// coroutinesLikeLuaJIT yield where Lua 5.1 cannot.
const coroutinesLikeLuaJIT = `
coroutine.isyieldable(), coroutine.wrap(function() return coroutine.isyieldable() end)()
(function() local f = coroutine.wrap(function() return pcall(function() return coroutine.yield(1) + 1 end) end) return f(), f(5) end)()
(function() local f = coroutine.wrap(function() return pcall(function() error(coroutine.yield(1), 0) end) end) return f(), f('thrown') end)()
(function() local f = coroutine.wrap(function() return xpcall(function() error(coroutine.yield(1), 0) end, function(m) return m .. '!' end) end) return f(), f('thrown') end)()
(function() local f = coroutine.wrap(function() local t = setmetatable({}, {__index = function(_, k) return coroutine.yield(k) end}) return t.x .. t.y end) return f(), f('1'), f('2') end)()
(function() local f = coroutine.wrap(function() local t = setmetatable({}, {__add = function(a, b) return coroutine.yield(b) end, __call = function(_, v) return coroutine.yield(v) end}) return t + 1, t(2) end) return f(), f('sum'), f('called') end)()
(function() local f = coroutine.wrap(function() local s = '' for v in function() return coroutine.yield('next') end do s = s .. v end return s end) return f(), f('a'), f('b'), f(nil) end)()
(function() local t = {} for i = 1, 3 do t[i] = coroutine.wrap(print) end return #t end)()
`

// What LuaJIT lacks, and where it disagrees with what is better.
func TestCoroutines(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"local co = coroutine.create(function() coroutine.yield() reached = true end) coroutine.resume(co) return tostring(coroutine.close(co)) .. coroutine.status(co) .. tostring(reached)", "truedeadnil"},
		[2]string{"local co = coroutine.create(print) return tostring(coroutine.close(co)) .. coroutine.status(co)", "truedead"},
		[2]string{"local co = coroutine.create(function() error('told', 0) end) coroutine.resume(co) local ok, e = coroutine.close(co) return tostring(ok) .. e .. tostring(coroutine.close(co))", "falsetoldtrue"},
		[2]string{"local co co = coroutine.create(function() coroutine.close(co) end) return select(2, coroutine.resume(co))", "[string \"local co co = coroutine.create(function(...\"]:1: cannot close a running coroutine"},
		[2]string{"coroutine.yield()", "ERROR [string \"coroutine.yield()\"]:1: attempt to yield from outside a coroutine"},
		[2]string{"local co = coroutine.wrap(function() return ('abc'):gsub('.', function(c) return coroutine.yield(c) end) end) return co() .. co('1') .. co('2') .. co('3')", "abc123"},
		[2]string{"coroutine.create(5)", "ERROR [string \"coroutine.create(5)\"]:1: bad argument #1 to 'coroutine.create' (function expected, got number); usage: coroutine.create(function)"},
		[2]string{"coroutine.status({})", "ERROR [string \"coroutine.status({})\"]:1: bad argument #1 to 'coroutine.status' (coroutine expected, got table); usage: coroutine.status(coroutine)"},
		[2]string{"local co = coroutine.create(function() coroutine.yield() end) coroutine.resume(co) return debug.getinfo(co, 1).currentline", "1"},
		[2]string{"require('coroutine') == coroutine", "true\n"},
		[2]string{"{coroutine.create(print)}", "[1] => thread: 0x…"},
		[2]string{"tojson(coroutine.create(print))", "null\n"},
	)
	got := scripttest.Eval(vm, "local function inner() error('x') end local co = coroutine.create(function() inner() end) coroutine.resume(co) return debug.traceback(co)")
	if !strings.HasPrefix(got, "stack traceback:\n") || !strings.Contains(got, "in inner") && !strings.Contains(got, "'inner'") {
		t.Errorf("the traceback of a coroutine that an error ended: %q", got)
	}
}

func TestCoroutinesAgreeWithLua51AndLuaJIT(t *testing.T) {
	agree(t, "lua5.1", coroutinesEverywhere)
	agree(t, "luajit", coroutinesEverywhere)
	agree(t, "luajit", coroutinesLikeLuaJIT)
}
