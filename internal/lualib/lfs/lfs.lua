-- The library lfs on functions of the system, which come as "...".
local core = ...
local lfs = core

local function attributes(look)
	return function(path, wanted)
		local all, err, number = look(path)
		if not all then return nil, err, number end
		if type(wanted) == 'table' then
			for name, value in pairs(all) do wanted[name] = value end
			return wanted
		elseif wanted ~= nil then
			local value = all[wanted]
			if value == nil then error("invalid attribute name '" .. tostring(wanted) .. "'", 0) end
			return value
		end
		return all
	end
end
lfs.attributes, lfs.symlinkattributes = attributes(core.stat), attributes(core.lstat)

-- dir returns an iterator over names, and what it reads: with methods next and close.
function lfs.dir(path)
	local directory, err = core.open(path)
	if not directory then error(err, 2) end
	return core.next, directory
end

return lfs
