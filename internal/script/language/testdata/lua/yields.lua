-- machines: luajit
-- Yields through pcall, xpcall, metamethods and iterators, which Lua 5.1 refuses.
local function show(...)
	local t = { n = select('#', ...), ... }
	for i = 1, t.n do t[i] = tostring(t[i]) end
	print(table.concat(t, ' ', 1, t.n))
end
local function all(f) local co, out = coroutine.wrap(function() f() return 'end' end), {} repeat local v = co() out[#out + 1] = tostring(v) until v == 'end' show(unpack(out)) end
local y = coroutine.yield
all(function() show(pcall(function() y(1) y(2) return 'r' end)) end)
all(function() show(pcall(function() y(1) error('e', 0) end)) y(3) end)
all(function() show(xpcall(function() y(1) error('e', 0) end, function(m) return m .. '!' end)) y(3) end)
all(function() pcall(pcall, function() y(1) pcall(function() y(2) end) y(3) end) end)
local mt = {}
for _, name in ipairs { '__add', '__sub', '__mul', '__div', '__mod', '__pow', '__unm', '__concat', '__eq', '__lt', '__le', '__call' } do
	mt[name] = function(a) y(name) return 42 end
end
mt.__index = function(t, k) y('__index ' .. k) return k end
mt.__newindex = function(t, k, v) y('__newindex ' .. k) end
local function m() return setmetatable({}, mt) end
all(function()
	local a, b = m(), m()
	show(a + b, a - b, a * b, a / b, a % b, a ^ b, -a, a .. b, a == b, a < b, a <= b, a(1), a.field)
	a.other = 1
	show(a .. 'x', 'x' .. a, a ~= b, a > b, a >= b, a.x.y)
end)
all(function() for k in (function() return function(_, i) i = (i or 0) + 1 y('it' .. i) if i < 3 then return i end end end)() do show(k) end end)
all(function() table.foreach({}, print) for k, v in pairs { a = 1 } do y(k) end for i, v in ipairs { 5, 6 } do y(v) end end)
all(function() local ok, e = pcall(function() local x = m().a.b y('after') error({}) end) show(ok, type(e)) end)
show(coroutine.isyieldable and coroutine.isyieldable() or false)
goto over
show('never')
::over::
do
	local i = 1
	::top::
	if i <= 3 then show(i) i = i + 1 goto top end
end
for i = 1, 3 do
	for j = 1, 3 do
		if j == 2 then goto continue end
		show(i, j)
		::continue::
	end
end
