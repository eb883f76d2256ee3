-- Closures, varargs, scopes, recursion, assignments.
local function show(...)
	local t = { n = select('#', ...), ... }
	for i = 1, t.n do t[i] = tostring(t[i]) end
	print(table.concat(t, ' ', 1, t.n))
end
local function counter() local n = 0 return function() n = n + 1 return n end, function(v) n = v end end
local c, set = counter() local d = counter() show(c(), c(), d(), c()) set(10) show(c(), d())
local fs = {} for i = 1, 3 do fs[i] = function() i = i + 1 return i end end show(fs[1](), fs[1](), fs[2](), fs[3]())
local fs = {} local j = 0 while j < 3 do j = j + 1 local k = j fs[j] = function() k = k + 1 return k, j end end show(fs[1]()) show(fs[2]()) show(fs[1]())
local fs = {} for k, v in pairs { 10, 20 } do fs[k] = function() return k, v end end show(fs[1]()) show(fs[2]())
do local x = 1 local function f() return x end x = 2 show(f()) local x = 3 show(f(), x) end
local function va(...) local a, b = ... return select('#', ...), a, b, ... end show(va()) show(va(1)) show(va(nil, nil)) show((va(1, 2, 3)))
local function tail(n) if n == 0 then return 'tail' end return tail(n - 1) end show(tail(100000))
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end show(fib(20))
local a, b, c = 1 show(a, b, c) a, b = b, a show(a, b) local i, t = 1, {} i, t[i] = i + 1, 20 show(i, t[1], t[2])
local function f() return 1, 2, 3 end local x, y, z, w = f() show(x, y, z, w) x, y, z, w = 0, f() show(x, y, z, w) x, y, z, w = f(), 10 show(x, y, z, w)
show(f(), f()) show((f())) show(#{ f(), f() })
local s = 0 for i = 10, 1, -3 do s = s + i end show(s) for i = 1, 0 do show('never') end for i = 1, 3 do local i = i * 2 show(i) end for i = 0.1, 0.5, 0.1 do io.write(i, ' ') end print() for i = 1, 3, 0.75 do io.write(i, ' ') end print() for i = -3, -1 do io.write(i, ' ') end print()
for i = 3, 1 do show('never') end
local n = 0 repeat local done = n >= 3 n = n + 1 until done show(n) while true do n = n - 1 if n < 0 then break end end show(n)
show(1 and 2, nil and 1, false or 'x', nil or false, not nil, not 0, 1 == 1.0, '1' == 1, nil == false, 1 < 2 == true, 'a' ~= 'b')
show(2 ^ 3 ^ 2, -2 ^ 2, not nil == true, 1 .. 2 .. 3, 2 * 3 + 4 % 3, (2 + 3) * 4, 7 / 2, -7 % 3, 7 % -3, 5.5 % 2, -5.5 % 2, 1e308 * 10, -(0), 2 ^ 0.5, 10 - 2 - 3, 2 ^ -1)
local o = { v = 5 } function o:get(x) return self.v, x end function o.static(x) return x end show(o:get(1)) show(o.get({ v = 7 }, 2)) show(o.static(3)) function o.a() end o.sub = { deep = {} } function o.sub.deep:x() return self == o.sub.deep end show(o.sub.deep:x())
local function shadow(a, a) return a end show(shadow(1, 2)) local _ = 1 local _ = 2 show(_)
show(type(show), type(nil), ...) show(("x"):rep(3), #"abc", -#"abc", #"abc" + 1, ({ 1, 2, 3 })[2], (function() return 'called' end)(), ('%d'):format(3))
local str = 'call' show(string.upper 'text', type {})
local long = {} for i = 1, 300 do long[i] = 'v' .. i end show(#table.concat(long)) show(select('#', unpack(long)))
local up = {} for i = 1, 50 do up[i] = function() up[i] = i return up[i] end end show(up[50](), type(up[49]))
local function outer() local a = 1 local function mid() local b = 2 local function inner() a = a + b b = b + 1 return a, b end return inner end return mid(), function() return a end end local inner, geta = outer() show(inner()) show(inner()) show(geta())
x = 'global' show(x, _G.x, _G._G == _G) x = nil show(rawget(_G, 'x')) show 'semicolons'
