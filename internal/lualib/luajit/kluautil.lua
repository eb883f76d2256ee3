local kluautil = {}

-- How many entries a table has, whatever their keys; nil for what is no table.
function kluautil.kr_table_len(t)
	if type(t) ~= 'table' then return nil end
	local n = 0
	for _ in pairs(t) do n = n + 1 end
	return n
end

-- The arguments in a table, with their number in the field n, since some may be nil.
function kluautil.kr_table_pack(...)
	return { n = select('#', ...), ... }
end

-- The values of such a table.
function kluautil.kr_table_unpack(t)
	return unpack(t, 1, t.n)
end

return kluautil
