-- What a configuration test may ask of the cache and of what fills it.
local ffi = require('ffi')

local function opened()
	is(cache.current_size, 100 * MB, 'the cache has its size')
	is(cache.current_storage, 'lmdb://', 'and its place')
	is(cache.count(), 0, 'nothing is in it')
	same(cache.backends(), { ['lmdb://'] = true }, 'there is one kind of storage')
	is(type(cache.stats()), 'table', 'it has figures')
	boom(cache.open, { 'x' }, 'a size is a number')
	boom(cache.clear, { 5 }, 'a name is text')
end

local function filled()
	local c = kres.context().cache
	is(type(c), 'cdata', 'the cache is an object')
	for i = 1, 10 do
		local rr = kres.rrset(todname('r' .. i .. '.example.'), kres.type.A, kres.class.IN, 66)
		is(rr:add_rdata('\1\2\3\4', 4), true, 'a record is added')
		ok(c:insert(rr, nil, bit.bor(kres.rank.SECURE, kres.rank.AUTH)), 'and kept')
	end
	ok(c:commit(), 'what was inserted is written')
	is(cache.count(), 10, 'ten sets are there')
	ok(ffi.istype(kres.rrset, kres.rrset(todname('a.'), kres.type.A, kres.class.IN, 5)), 'sets have their type')
end

local function emptied()
	local answer = cache.clear('example.')
	is(type(answer), 'table', 'clearing tells how much')
	is(cache.count(), 0, 'and nothing is left')
end

return { opened, filled, emptied }
