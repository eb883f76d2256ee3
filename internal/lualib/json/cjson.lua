-- The libraries cjson and cjson.safe, by the manual of lua-cjson and with the empty arrays
-- of its later versions. What reads and quotes text comes as "...".
local core, null = ...

local empty_array = setmetatable({}, { __tostring = function() return 'cjson.empty_array' end })
local array_mt, empty_array_mt = {}, {}

local function fail(kind, why) error({ 'Cannot serialise ' .. kind .. ': ' .. why }) end

local function number(settings, value)
	if value ~= value or value == math.huge or value == -math.huge then
		if settings.encode_invalid == 'null' then return 'null' end
		if not settings.encode_invalid then fail('number', 'must not be NaN or Inf') end
	end
	return settings.format:format(value)
end

-- length is how long the array is that a table stands for; nil: it is an object.
local function length(settings, value)
	local most, count = 0, 0
	for key in pairs(value) do
		if type(key) ~= 'number' or key < 1 or key % 1 ~= 0 then return nil end
		most, count = math.max(most, key), count + 1
	end
	if settings.ratio > 0 and most > count * settings.ratio and most > settings.safe then
		if settings.convert then return nil end
		fail('table', 'excessively sparse array')
	end
	if most == 0 then return not settings.empty_object and 0 or nil end
	return most
end

local encode_value

local function encode_array(settings, value, last, depth, out)
	out[#out + 1] = '['
	for i = 1, last do
		if i > 1 then out[#out + 1] = ',' end
		encode_value(settings, value[i], depth, out)
	end
	out[#out + 1] = ']'
end

local function encode_object(settings, value, depth, out)
	local before = '{'
	for key, member in pairs(value) do
		local kind = type(key)
		if kind == 'number' then
			key = number(settings, key)
		elseif kind ~= 'string' then
			fail(kind, 'table key must be a number or string')
		end
		out[#out + 1] = before .. core.quote(key) .. ':'
		encode_value(settings, member, depth, out)
		before = ','
	end
	out[#out + 1] = before == '{' and '{}' or '}'
end

function encode_value(settings, value, depth, out)
	local kind = type(value)
	if kind == 'string' then
		out[#out + 1] = core.quote(value)
	elseif kind == 'number' then
		out[#out + 1] = number(settings, value)
	elseif kind == 'boolean' then
		out[#out + 1] = tostring(value)
	elseif value == nil or value == null then
		out[#out + 1] = 'null'
	elseif value == empty_array then
		out[#out + 1] = '[]'
	elseif kind == 'table' then
		depth = depth + 1
		if depth > settings.encode_depth then error({ 'Cannot serialise, excessive nesting (' .. depth .. ')' }) end
		local meta = getmetatable(value)
		local last = (meta == array_mt or meta == empty_array_mt and next(value) == nil) and #value or length(settings, value)
		if last then encode_array(settings, value, last, depth, out) else encode_object(settings, value, depth, out) end
	else
		fail(kind, 'type not supported')
	end
end

-- setting makes the function that returns a setting, after it has taken a new value.
local function setting(settings, field, check)
	return function(value)
		if value ~= nil then settings[field] = check(value) end
		if settings.changed then settings:changed() end
		return settings[field]
	end
end

local function within(lowest, highest)
	return function(value)
		local n = tonumber(value)
		if not n or n < lowest or n > highest or n % 1 ~= 0 then
			error(("bad argument #1 (expected integer between %d and %d)"):format(lowest, highest), 0)
		end
		return n
	end
end

local function boolean(value) return not not value end

local function invalid(value)
	if value == 'null' or type(value) == 'boolean' then return value end
	if value == 'on' or value == 'off' then return value == 'on' end
	error("bad argument #1 (invalid option '" .. tostring(value) .. "')", 0)
end

-- new makes a library with settings of its own. A safe one returns nil and why where the
-- other raises an error.
local function new(safe)
	local settings = {
		encode_depth = 1000, decode_depth = 1000, precision = 14, keep = true, encode_invalid = false, decode_invalid = true,
		convert = false, ratio = 2, safe = 10, empty_object = true, array_mt = false, format = '%.14g',
		changed = function(self) self.format = '%.' .. self.precision .. 'g' end,
	}
	local json = { _NAME = 'cjson', _VERSION = '2.1.0', null = null, empty_array = empty_array, empty_array_mt = empty_array_mt, array_mt = array_mt }

	function json.encode(...)
		if select('#', ...) ~= 1 then error("bad argument #1 to 'encode' (expected 1 argument)", 2) end
		local out = {}
		local ok, why = pcall(encode_value, settings, (...), 0, out)
		if ok then return table.concat(out) end
		if type(why) ~= 'table' then error(why, 0) end
		if safe then return nil, why[1] end
		error(why[1], 2)
	end

	function json.decode(...)
		if select('#', ...) ~= 1 then error("bad argument #1 to 'decode' (expected 1 argument)", 2) end
		local text = ...
		if type(text) ~= 'string' and type(text) ~= 'number' then error("bad argument #1 to 'decode' (string expected, got " .. type(text) .. ')', 2) end
		local value, why = core.decode(text, settings.decode_depth, settings.decode_invalid, null, settings.array_mt and array_mt or nil)
		if value ~= nil then return value end
		if safe then return nil, why end
		error(why, 2)
	end

	json.encode_max_depth = setting(settings, 'encode_depth', within(1, 2147483647))
	json.decode_max_depth = setting(settings, 'decode_depth', within(1, 2147483647))
	json.encode_number_precision = setting(settings, 'precision', within(1, 14))
	json.encode_keep_buffer = setting(settings, 'keep', boolean)
	json.encode_invalid_numbers = setting(settings, 'encode_invalid', invalid)
	json.decode_invalid_numbers = setting(settings, 'decode_invalid', boolean)
	json.encode_empty_table_as_object = setting(settings, 'empty_object', boolean)
	json.decode_array_with_array_mt = setting(settings, 'array_mt', boolean)

	function json.encode_sparse_array(convert, ratio, safely)
		if convert ~= nil then settings.convert = boolean(convert) end
		if ratio ~= nil then settings.ratio = within(0, 2147483647)(ratio) end
		if safely ~= nil then settings.safe = within(0, 2147483647)(safely) end
		return settings.convert, settings.ratio, settings.safe
	end

	function json.new() return new(safe) end

	return json
end

return new
