-- Tables: the library, lengths, traversal, sorting.
local function show(...)
	local t = { n = select('#', ...), ... }
	for i = 1, t.n do t[i] = tostring(t[i]) end
	print(table.concat(t, ' ', 1, t.n))
end
local t = { 1, 2, 3 }
table.insert(t, 4) table.insert(t, 1, 0) table.insert(t, 3, 'm')
show(unpack(t)) show(#t)
show(table.remove(t), table.remove(t, 1), table.remove(t, 2)) show(unpack(t))
show(table.remove({}), #t, table.remove({}, 1), table.remove({ 1, 2 }, 5))
show(table.concat({ 1, 2, 'x', 4.5 }, ', '), table.concat({}), table.concat({ 'a' }, ','), table.concat({ 1, 2, 3 }, '-', 2), table.concat({ 1, 2, 3 }, '-', 2, 2), table.concat({ 1, 2, 3 }, '-', 3, 1))
show(table.maxn { 1, 2, [100] = 1, x = 5 }, table.maxn {}, table.maxn { [-1] = 1 }, table.maxn { [1.5] = 1 }, table.getn { 1, 2 })
local function sorted(list, cmp) table.sort(list, cmp) return unpack(list) end
show(sorted { 5, 2, 8, 1, 9, 3 }) show(sorted { 'b', 'a', 'C', 'B' }) show(sorted({ 5, 2, 8 }, function(a, b) return a > b end)) show(sorted {}) show(sorted { 1 })
local big = {} for i = 1, 500 do big[i] = (i * 7919) % 503 end table.sort(big) local ok = true for i = 2, 500 do ok = ok and big[i - 1] <= big[i] end show(ok)
local records = {} for i = 1, 20 do records[i] = { n = (i * 7) % 20 } end table.sort(records, function(a, b) return a.n < b.n end) for i = 1, 20 do io.write(records[i].n, ' ') end print()
-- clearing while traversing
local h = {} for i = 1, 100 do h['k' .. i] = i end local n = 0 for k, v in pairs(h) do n = n + v h[k] = nil end show(n, next(h))
local h = { 1, 2, 3, a = 1, b = 2 } for k in pairs(h) do h[k] = nil end show(next(h), #h)
local h = { a = 1, b = 2, c = 3 } for k, v in pairs(h) do h[k] = v * 10 end show(h.a, h.b, h.c)
local sum = 0 for k, v in next, { 1, 2, 3 } do sum = sum + k * v end show(sum)
for i, v in ipairs { 1, 2, nil, 4 } do show(i, v) end
for i, v in ipairs { n = 1 } do show(i, v) end
show(#{ 1, 2, 3, nil }, #{ n = 1 }, #{ nil }, #'abc')
show(unpack({ 1, 2, 3 }, 2)) show(unpack({ 1, 2, 3 }, 2, 3)) show(unpack({}, 1, 3)) show(unpack({ 1, nil, 3 }, 1, 3)) show((unpack { 1, 2 })) show(unpack({ 1, 2 }, -1, 1))
show(select('#', unpack({}, 1, 0)), select(2, 'a', 'b', 'c')) show(select(-1, 1, 2, 3))
local nested = { { 1, 2 }, { x = { y = { z = 'deep' } } } } show(nested[1][2], nested[2].x.y.z, nested[3] == nil)
local k1, k2 = {}, {} local keyed = { [k1] = 1, [k2] = 2, [true] = 3, [1.5] = 4, [print] = 5, [-1] = 6, [2^53] = 7 } show(keyed[k1], keyed[k2], keyed[true], keyed[1.5], keyed[print], keyed[-1], keyed[2^53], keyed[false])
local f = { [1] = 'a', [2] = 'b', 'first' } show(f[1], f[2], #f)
local trailing = { (function() return 1, 2, 3 end)() } show(#trailing) trailing = { (function() return 1, 2, 3 end)(), 10 } show(#trailing) trailing = { ((function() return 1, 2, 3 end)()) } show(#trailing)
show(rawget(setmetatable({}, { __index = { x = 1 } }), 'x'), rawequal(k1, k1), rawequal(k1, k2))
table.foreach({ 10, 20 }, show) table.foreachi({ 10, 20 }, show) show(table.foreachi({ 1, 2 }, function(i, v) return v end))
show(next({}), next({ 5 }), (next { a = 1 }), type(next))
local q = {} for i = 1, 10 do q[i] = i end for i = 1, 10 do q[i] = nil end show(#q, next(q)) for i = 10, 1, -1 do q[i] = i end show(#q)
local ring = {} ring.self = ring show(ring.self.self == ring)
local s = { 3, 1, 2 } show(pcall(table.sort, s, function(a, b) error('cmp', 0) end)) show(pcall(table.sort, { 1, 2, 3, 4, 5 }, 5))
show(pcall(table.setn, {}, 1)) show(t.missing, t[nil], t[0/0])
