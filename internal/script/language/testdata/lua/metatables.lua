-- Metatables and environments.
local function show(...)
	local t = { n = select('#', ...), ... }
	for i = 1, t.n do t[i] = tostring(t[i]) end
	print(table.concat(t, ' ', 1, t.n))
end
local V = {} V.__index = V
local function vec(x, y) return setmetatable({ x = x, y = y }, V) end
V.__add = function(a, b) return vec(a.x + b.x, a.y + b.y) end V.__sub = function(a, b) return vec(a.x - b.x, a.y - b.y) end V.__mul = function(a, b) if type(a) == 'number' then return vec(a * b.x, a * b.y) end return vec(a.x * b, a.y * b) end
V.__unm = function(a) return vec(-a.x, -a.y) end V.__eq = function(a, b) return a.x == b.x and a.y == b.y end V.__lt = function(a, b) return a.x < b.x end V.__le = function(a, b) return a.x <= b.x end
V.__tostring = function(a) return '(' .. a.x .. ',' .. a.y .. ')' end V.__concat = function(a, b) return tostring(a) .. '..' .. tostring(b) end V.__call = function(self, ...) return self.x, ... end V.__len = function() return 99 end
V.__div = function(a, b) return 'div' end V.__mod = function() return 'mod' end V.__pow = function() return 'pow' end
local a, b = vec(1, 2), vec(3, 4)
show(a + b, a - b, a * 2, 2 * a, -a, a == b, a == vec(1, 2), a ~= b, a < b, a <= b, a > b, a >= b, a .. b, a .. 'x', 'x' .. a, 1 .. a, a(5, 6), a / b, a % b, a ^ b)
show(a / 2, 2 / a, a % 2, 2 ^ a, rawequal(a, vec(1, 2)), a == 1, a ~= 1)
-- inheritance
local Base = {} Base.__index = Base function Base.new(n) return setmetatable({ n = n }, Base) end function Base:name() return 'base ' .. self.n end function Base:kind() return 'base' end
local Derived = setmetatable({}, { __index = Base }) Derived.__index = Derived function Derived.new(n) return setmetatable(Base.new(n), Derived) end function Derived:kind() return 'derived of ' .. Base.kind(self) end
local d = Derived.new(7) show(d:name(), d:kind(), d.nothing)
-- __index and __newindex
local log = {} local p = setmetatable({}, { __index = function(t, k) log[#log + 1] = 'get ' .. tostring(k) return k .. '!' end, __newindex = function(t, k, v) log[#log + 1] = 'set ' .. tostring(k) rawset(t, k, v) end })
show(p.a, p.b) p.a = 1 p.a = 2 show(p.a, rawget(p, 'b'), table.concat(log, ','))
local store = {} local q = setmetatable({}, { __newindex = store, __index = store }) q.x = 5 show(rawget(q, 'x'), store.x, q.x)
local chain = setmetatable({}, { __index = setmetatable({ one = 1 }, { __index = setmetatable({ two = 2 }, { __index = function() return 'last' end }) }) }) show(chain.one, chain.two, chain.three)
-- protections, default
show(getmetatable(setmetatable({}, { __metatable = 'mine' })), getmetatable('').__index == string, getmetatable({}), pcall(setmetatable, {}, 5))
show(getmetatable('x').__name, pcall(function() return ('x').y.z end))
-- __call chains, on what is no function
local callable = setmetatable({}, { __call = function(self, a) return 'called', a end }) show(callable(1)) show(pcall(callable, 2)) show(pcall(setmetatable({}, { __call = 5 })))
local sorted = { vec(3, 0), vec(1, 0), vec(2, 0) } table.sort(sorted) show(unpack(sorted)) show(tostring(setmetatable({}, { __tostring = function() return 'text' end })))
-- __gc and __mode are accepted
show(type(setmetatable({}, { __mode = 'k', __gc = function() end }))) collectgarbage() show(type(collectgarbage('count')))
-- comparisons of different types and metamethods
local m1, m2 = { __eq = function() return true end }, { __eq = function() return true end } show(setmetatable({}, m1) == setmetatable({}, m1), setmetatable({}, m1) == {} )
show(not (vec(1, 1) < vec(0, 0)))
-- environments
local function f() return y end setfenv(f, { y = 'env' }) show(f(), getfenv(f).y, getfenv(1) == _G, getfenv() == _G)
local function g() return (function() return z end)() end setfenv(g, { z = 'inherited' }) show(g())
local chunk = loadstring('w = 1 return w') setfenv(chunk, setmetatable({}, { __index = _G })) show(chunk(), rawget(_G, 'w'))
local env = {} local h = setfenv(loadstring('function made() return made end return 5'), env) show(h(), type(env.made), env.made() == env.made)
do local function scope() local function set() setfenv(2, { inner = 'level 2', tostring = tostring }) end set() return inner end show(scope()) end
show(pcall(setfenv, print, {}), pcall(setfenv, f, nil))
local module = {} setmetatable(module, { __index = _G }) do local _ENVIRONMENT = setfenv(1, getfenv(1)) end
local proxy = newproxy(true) getmetatable(proxy).__index = function(_, k) return 'proxied ' .. k end getmetatable(proxy).__len = function() return 3 end show(proxy.x, type(proxy), #proxy, type(newproxy()), getmetatable(newproxy(proxy)) == getmetatable(proxy))
