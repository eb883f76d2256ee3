-- The library socket.url: URLs in parts (RFC 3986), by LuaSocket's reference manual.
local url = { _VERSION = 'URL 1.0.3' }

-- escape writes everything but letters, digits and "_" by number.
function url.escape(text)
	return (text:gsub('[^A-Za-z0-9_]', function(c) return ('%%%02x'):format(c:byte()) end))
end

function url.unescape(text)
	return (text:gsub('%%(%x%x)', function(digits) return string.char(tonumber(digits, 16)) end))
end

-- safely is escape for a segment of a path, in which some signs may stand as they are.
local function safely(segment)
	return (segment:gsub("[^%w%-_.!~*'():@&=+$,]", function(c) return ('%%%02X'):format(c:byte()) end))
end

-- cut takes what matches a pattern with one capture out of the text of parts.
local function cut(parts, name, text, pattern)
	return (text:gsub(pattern, function(found)
		parts[name] = found
		return ''
	end, 1))
end

local function parse_authority(parts)
	local rest = cut(parts, 'userinfo', parts.authority, '^([^@]*)@')
	rest = cut(parts, 'port', rest, ':([^:%]]*)$')
	if rest ~= '' then parts.host = rest:match('^%[(.+)%]$') or rest end
	if parts.userinfo then
		local user = cut(parts, 'password', parts.userinfo, ':([^:]*)$')
		parts.user = user
	end
end

function url.parse(text, default)
	if not text or text == '' then return nil, 'invalid url' end
	local parts = {}
	for name, value in pairs(default or {}) do parts[name] = value end
	text = cut(parts, 'fragment', text, '#(.*)$')
	text = cut(parts, 'scheme', text, '^(%w[%w+.%-]*):')
	text = cut(parts, 'authority', text, '^//([^/?]*)')
	text = cut(parts, 'query', text, '%?(.*)$')
	text = cut(parts, 'params', text, ';(.*)$')
	if text ~= '' then parts.path = text end
	if parts.authority and parts.authority ~= '' then parse_authority(parts) end
	return parts
end

local function build_authority(parts)
	if not parts.host then return parts.authority end
	local authority = parts.host:find(':', 1, true) and '[' .. parts.host .. ']' or parts.host
	if parts.port then authority = authority .. ':' .. parts.port end
	local userinfo = parts.userinfo
	if parts.user then
		userinfo = parts.user
		if parts.password then userinfo = userinfo .. ':' .. parts.password end
	end
	return userinfo and userinfo .. '@' .. authority or authority
end

function url.build(parts)
	local text = parts.path or ''
	if parts.params then text = text .. ';' .. parts.params end
	if parts.query then text = text .. '?' .. parts.query end
	local authority = build_authority(parts)
	if authority then text = '//' .. authority .. text end
	if parts.scheme then text = parts.scheme .. ':' .. text end
	if parts.fragment then text = text .. '#' .. parts.fragment end
	return text
end

-- without_dots removes "." and ".." (RFC 3986, section 5.2.4).
local function without_dots(path)
	local kept, absolute = {}, path:sub(1, 1) == '/'
	local directory = path:match('/$') or path:match('^%.%.?$') or path:match('/%.%.?$')
	for segment in path:gmatch('[^/]+') do
		if segment == '..' then
			table.remove(kept)
		elseif segment ~= '.' then
			kept[#kept + 1] = segment
		end
	end
	local text = (absolute and '/' or '') .. table.concat(kept, '/')
	if directory and #kept > 0 then text = text .. '/' end
	return text
end

local function merged(base, path)
	if path:sub(1, 1) == '/' then return without_dots(path) end
	local before = (base.path or ''):match('^(.*/)') or (base.authority and '/' or '')
	return without_dots(before .. path)
end

-- absolute is what a reference in a document at base means (RFC 3986, section 5.2).
function url.absolute(base, reference)
	local base_text = base
	if type(base) == 'table' then base_text = url.build(base) else base = url.parse(base) end
	local to = url.parse(reference)
	if not base then return reference end
	if not to then return base_text end
	if to.scheme then return reference end
	to.scheme = base.scheme
	if not to.authority then
		to.authority = url.build { host = base.host, port = base.port, userinfo = base.userinfo, authority = base.authority }:sub(3)
		if not base.authority and not base.host then to.authority = nil end
		if to.path then
			to.path = merged({ path = base.path, authority = to.authority }, to.path)
		else
			to.path = base.path
			if not to.params then
				to.params = base.params
				to.query = to.query or base.query
			end
		end
	end
	return url.build(to)
end

function url.parse_path(path)
	local parsed = {}
	path = path or ''
	for segment in path:gmatch('[^/]+') do parsed[#parsed + 1] = url.unescape(segment) end
	if path:sub(1, 1) == '/' then parsed.is_absolute = 1 end
	if path:sub(-1) == '/' then parsed.is_directory = 1 end
	return parsed
end

-- build_path is the path of segments; unsafe ones are not escaped.
function url.build_path(parsed, unsafe)
	local segments = {}
	for i, segment in ipairs(parsed) do segments[i] = unsafe and segment or safely(segment) end
	local path = table.concat(segments, '/')
	if parsed.is_directory and #segments > 0 then path = path .. '/' end
	if parsed.is_absolute then path = '/' .. path end
	return path
end

return url
