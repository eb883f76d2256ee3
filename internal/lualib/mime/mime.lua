-- The filters of LuaSocket's mime, made of its low-level functions, which come as "...".
local mime = ...
local ltn12 = require('ltn12')
local cycle = ltn12.filter.cycle

mime.encodet = {
	['base64'] = function() return cycle(mime.b64, '') end,
	['quoted-printable'] = function(mode) return cycle(mime.qp, '', mode == 'binary' and '=0D=0A' or '\r\n') end,
}
mime.decodet = {
	['base64'] = function() return cycle(mime.unb64, '') end,
	['quoted-printable'] = function() return cycle(mime.unqp, '') end,
}
local function lines(length) return cycle(mime.wrp, length or 76, length or 76) end
mime.wrapt = {
	['text'] = lines,
	['base64'] = lines,
	['default'] = lines,
	['quoted-printable'] = function() return cycle(mime.qpwrp, 76, 76) end,
}

-- choose makes the function that finds a filter by the name of a coding.
local function choose(filters)
	return function(name, option, other)
		if type(name) ~= 'string' then name, option, other = 'default', name, option end
		local make = filters[name or 'nil']
		if not make then error('unknown key (' .. tostring(name) .. ')', 2) end
		return make(option, other)
	end
end
mime.encode, mime.decode, mime.wrap = choose(mime.encodet), choose(mime.decodet), choose(mime.wrapt)

function mime.normalize(marker) return cycle(mime.eol, 0, marker) end

function mime.stuff() return cycle(mime.dot, 2) end

return mime
