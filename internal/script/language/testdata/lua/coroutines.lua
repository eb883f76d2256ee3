-- Coroutines: values in both directions, yields from everywhere, ends and errors.
local function show(...)
	local t = { n = select('#', ...), ... }
	for i = 1, t.n do t[i] = tostring(t[i]) end
	print(table.concat(t, ' ', 1, t.n))
end
local co = coroutine.create(function(a, b)
	show('start', a, b)
	local c = coroutine.yield(a + b)
	show('second', c)
	local d, e = coroutine.yield(c * 2, 'x')
	show('third', d, e)
	return 'end', nil, nil
end)
show(coroutine.status(co))
show(coroutine.resume(co, 1, 2))
show(coroutine.status(co))
show(coroutine.resume(co, 10))
show(coroutine.resume(co, nil, 'e'))
show(coroutine.status(co))
show(coroutine.resume(co))
-- generators
local function range(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i, i * i) end end) end
for i, sq in range(4) do show(i, sq) end
-- permutations, recursively
local function permgen(a, n)
	n = n or #a
	if n <= 1 then coroutine.yield(a) else
		for i = 1, n do
			a[n], a[i] = a[i], a[n]
			permgen(a, n - 1)
			a[n], a[i] = a[i], a[n]
		end
	end
end
for p in coroutine.wrap(function() permgen { 1, 2, 3 } end) do show(unpack(p)) end
-- status from inside, of one that waits for another
local outer
outer = coroutine.create(function()
	local inner = coroutine.create(function() show(coroutine.status(outer)) coroutine.yield() end)
	coroutine.resume(inner)
	show(coroutine.status(inner), coroutine.status(outer))
	show(coroutine.resume(outer))
end)
show(coroutine.resume(outer))
-- errors
local bad = coroutine.create(function() error('broken') end)
show(coroutine.resume(bad))
show(coroutine.status(bad))
show(coroutine.resume(bad))
local tbl = coroutine.create(function() error({ code = 7 }) end)
local ok, e = coroutine.resume(tbl)
show(ok, type(e), e.code)
show(pcall(coroutine.wrap(function() error('in wrap', 0) end)))
show(pcall(coroutine.wrap(function() local x = nil; x() end)))
local w = coroutine.wrap(function() return 1 end)
show(w())
show(select(1, pcall(w)))
show((pcall(coroutine.resume, 5)), (pcall(coroutine.create, 5)))
-- producers and consumers
local function producer() return coroutine.create(function() for _, v in ipairs { 'a', 'b', 'c' } do coroutine.yield(v) end return nil end) end
local function filter(p) return coroutine.create(function()
	local n = 1
	while true do
		local _, v = coroutine.resume(p)
		if not v then return end
		coroutine.yield(n .. ':' .. v)
		n = n + 1
	end
end) end
local f = filter(producer())
while true do local _, v = coroutine.resume(f) if not v then break end show(v) end
-- many values, none
local many = coroutine.wrap(function(...) while true do show(select('#', ...)) local n = select('#', coroutine.yield(...)) show('got', n) if n == 0 then return end end end)
show(select('#', many(nil, nil, nil)))
show(select('#', many(1, nil)))
-- yield across nested plain calls, closures share upvalues
local count = 0
local function deep(n) if n == 0 then coroutine.yield(count) return end count = count + 1 deep(n - 1) end
local c1, c2 = coroutine.wrap(deep), coroutine.wrap(deep)
show(c1(5), c2(3), count)
-- running
show(coroutine.running() == nil, type(coroutine.wrap(function() return coroutine.running() end)()))
-- a coroutine as a key
local t = {}
local k = coroutine.create(function() end)
t[k] = 'v'
show(t[k], type(k))
-- table of environment in a coroutine
local env = setmetatable({ v = 'mine' }, { __index = _G })
local fe = setfenv(function() coroutine.yield(v) v = 'other' coroutine.yield(v) end, env)
local ce = coroutine.wrap(fe)
show(ce(), ce(), env.v, v)
-- string methods inside
show(coroutine.wrap(function() return ('x'):rep(3), ('abc'):upper(), #('four') end)())
-- garbage does not disturb
for i = 1, 200 do local g = coroutine.wrap(function() coroutine.yield(i) end) g() end
collectgarbage()
show('done')
