-- The library dkjson, by its documentation: JSON that keeps the order of keys and indents,
-- and that reads more than JSON (comments, commas too many). How deep tables may be in
-- each other comes as "...".
local deepest = ...
local json = { version = 'dkjson 2.5' }

local escapes = { ['"'] = '\\"', ['\\'] = '\\\\', ['\b'] = '\\b', ['\f'] = '\\f', ['\n'] = '\\n', ['\r'] = '\\r', ['\t'] = '\\t' }

local function by_number(c)
	local a, b, d = c:byte(1, 3)
	local code = a
	if d then
		code = (a - 224) * 4096 + (b - 128) * 64 + d - 128
	elseif b then
		code = (a - 192) * 64 + b - 128
	end
	return ('\\u%04x'):format(code)
end

-- Characters in UTF-8 that programs in JavaScript take for ends of lines, or for nothing.
local special = {
	'\194\173', '\216[\128-\132]', '\220\143', '\225\158[\180\181]', '\226\128[\140-\143\168-\175]', '\226\129[\160-\175]', '\239\187\191', '\239\191[\176-\191]',
}

function json.quotestring(text)
	text = text:gsub('[%z\1-\31"\\\127]', function(c) return escapes[c] or by_number(c) end)
	if text:find('[\194\216\220\225\226\239]') then
		for _, pattern in ipairs(special) do text = text:gsub(pattern, by_number) end
	end
	return '"' .. text .. '"'
end

json.null = setmetatable({}, { __tojson = function() return 'null' end })

local function put(state, text)
	state.bufferlen = state.bufferlen + 1
	state.buffer[state.bufferlen] = text
end

local function newline(state, level)
	if state.indent then put(state, '\n' .. ('  '):rep(level)) end
end

-- addnewline is for __tojson: an end of a line, when the text is indented.
function json.addnewline(state)
	if state.indent then
		state.bufferlen = state.bufferlen or #state.buffer
		newline(state, state.level or 0)
	end
end

-- length is how long the array is that a table stands for; nil: it is an object.
local function length(value)
	local most, count, told = 0, 0, 0
	for key, member in pairs(value) do
		if key == 'n' and type(member) == 'number' then
			told = member
			most = math.max(most, member)
		elseif type(key) ~= 'number' or key < 1 or key % 1 ~= 0 then
			return nil
		else
			most, count = math.max(most, key), count + 1
		end
	end
	if most > 10 and most > told and most > count * 2 then return nil end
	return most
end

local encode_value

-- except lets the exception of the state say what stands for a value that has no form.
local function except(reason, value, state, message)
	local handler = state.exception
	if not handler then error({ message }) end
	local result, why = handler(reason, value, state, message)
	if not result then error({ why or message }) end
	if type(result) == 'string' then put(state, result) end
end

local function put_pair(key, member, before, state, level)
	local kind = type(key)
	if kind ~= 'string' and kind ~= 'number' then error({ "type '" .. kind .. "' is not supported as a key by JSON." }) end
	if before then put(state, ',') end
	newline(state, level)
	put(state, json.quotestring(tostring(key)) .. ':')
	encode_value(member, state, level)
end

local function encode_object(value, order, state, level)
	local seen, before = {}, false
	put(state, '{')
	for _, key in ipairs(order or {}) do
		if value[key] ~= nil then
			put_pair(key, value[key], before, state, level)
			seen[key], before = true, true
		end
	end
	for key, member in pairs(value) do
		if not seen[key] then
			put_pair(key, member, before, state, level)
			before = true
		end
	end
	if before then newline(state, level - 1) end
	put(state, '}')
end

local function encode_table(value, meta, state, level)
	local last = length(value)
	if last == 0 and meta and meta.__jsontype == 'object' then last = nil end
	if not last then return encode_object(value, meta and meta.__jsonorder or state.keyorder, state, level) end
	put(state, '[')
	for i = 1, last do
		if i > 1 then put(state, ',') end
		encode_value(value[i], state, level)
	end
	put(state, ']')
end

-- encode_custom lets a value's own function write it.
local function encode_custom(value, meta, state, level)
	state.level = level
	local result, why = meta.__tojson(value, state)
	if not result then return except('custom encoder failed', value, state, why or 'custom encoder failed') end
	if type(result) == 'string' then put(state, result) end
end

-- guarded encodes a value that may not contain itself.
local function guarded(encode, value, meta, state, level)
	if state.tables[value] then return except('reference cycle', value, state, 'reference cycle') end
	if level > deepest then error({ 'tables are nested too deeply' }) end
	state.tables[value] = true
	encode(value, meta, state, level)
	state.tables[value] = nil
end

function encode_value(value, state, level)
	local kind = type(value)
	local meta = (kind == 'table' or kind == 'userdata') and getmetatable(value)
	if type(meta) ~= 'table' then meta = nil end
	if meta and meta.__tojson then
		guarded(encode_custom, value, meta, state, level)
	elseif value == nil then
		put(state, 'null')
	elseif kind == 'number' then
		local finite = value == value and value ~= math.huge and value ~= -math.huge
		put(state, finite and ('%.14g'):format(value) or 'null')
	elseif kind == 'boolean' then
		put(state, tostring(value))
	elseif kind == 'string' then
		put(state, json.quotestring(value))
	elseif kind == 'table' then
		guarded(encode_table, value, meta, state, level + 1)
	else
		except('unsupported type', value, state, "type '" .. kind .. "' is not supported by JSON.")
	end
end

function json.encode(value, state)
	state = state or {}
	local given = state.buffer
	state.buffer, state.tables = given or {}, state.tables or {}
	state.bufferlen = state.bufferlen or #state.buffer
	local ok, why = pcall(encode_value, value, state, state.level or 0)
	local text = not given and ok and table.concat(state.buffer, '', 1, state.bufferlen)
	if not given then state.buffer, state.bufferlen = nil, nil end
	if not ok then error(type(why) == 'table' and why[1] or why, type(why) == 'table' and 2 or 0) end
	if given then return true end
	return text
end

-- encodeexception, as the exception of a state, writes what is wrong in place of a value.
function json.encodeexception(reason, value, state, message)
	return json.quotestring('<' .. message .. '>')
end

-- place is where in lines and columns a position is.
local function place(text, position)
	local line, start, found = 1, 1, text:find('\n', 1, true)
	while found and found < position do
		line, start = line + 1, found + 1
		found = text:find('\n', start, true)
	end
	return 'line ' .. line .. ', column ' .. (position - start + 1)
end

-- blank skips what is between values; nil: the text is at its end.
local function blank(text, position)
	while true do
		position = text:find('%S', position)
		if not position then return nil end
		if text:sub(position, position + 2) == '\239\187\191' then
			position = position + 3
		elseif text:sub(position, position + 1) == '//' then
			position = text:find('[\n\r]', position + 2)
			if not position then return nil end
		elseif text:sub(position, position + 1) == '/*' then
			local _, last = text:find('*/', position + 2, true)
			if not last then return nil end
			position = last + 1
		else
			return position
		end
	end
end

local function utf8(code)
	local char = string.char
	if code < 128 then return char(code) end
	if code < 2048 then return char(192 + math.floor(code / 64), 128 + code % 64) end
	if code < 65536 then return char(224 + math.floor(code / 4096), 128 + math.floor(code / 64) % 64, 128 + code % 64) end
	return char(240 + math.floor(code / 262144), 128 + math.floor(code / 4096) % 64, 128 + math.floor(code / 64) % 64, 128 + code % 64)
end

local unescapes = { ['"'] = '"', ['\\'] = '\\', ['/'] = '/', b = '\b', f = '\f', n = '\n', r = '\r', t = '\t' }

-- escaped reads what a backslash at a position begins; it returns the text and the next
-- position.
local function escaped(text, position)
	local letter = text:sub(position + 1, position + 1)
	local high = letter == 'u' and tonumber(text:match('^%x%x%x%x', position + 2) or '', 16)
	if not high then return unescapes[letter] or letter, position + 2 end
	if high >= 0xD800 and high < 0xDC00 then
		local low = tonumber(text:match('^\\u(%x%x%x%x)', position + 6) or '', 16)
		if low and low >= 0xDC00 and low < 0xE000 then return utf8((high - 0xD800) * 1024 + low - 0xDC00 + 65536), position + 12 end
	end
	return utf8(high), position + 6
end

local function read_string(text, start)
	local parts, position = {}, start + 1
	while true do
		local found = text:find('["\\]', position)
		if not found then return nil, #text + 1, 'unterminated string at ' .. place(text, start) end
		parts[#parts + 1] = text:sub(position, found - 1)
		if text:byte(found) == 34 then return table.concat(parts), found + 1 end
		parts[#parts + 1], position = escaped(text, found)
	end
end

local function unterminated(text, kind, start)
	return nil, #text + 1, 'unterminated ' .. kind .. ' at ' .. place(text, start)
end

local read_value

local function read_table(text, start, kind, close, options)
	local value, n, position = {}, 0, start + 1
	if options[kind] then setmetatable(value, options[kind]) end
	options.depth = options.depth + 1
	if options.depth > deepest then return nil, start, 'nested too deeply at ' .. place(text, start) end
	while true do
		position = blank(text, position)
		if not position then return unterminated(text, kind, start) end
		if text:sub(position, position) == close then
			options.depth = options.depth - 1
			return value, position + 1
		end
		local first, next, err = read_value(text, position, options)
		if err then return nil, next, err end
		position = blank(text, next)
		if not position then return unterminated(text, kind, start) end
		if text:sub(position, position) == ':' then
			if first == nil then return nil, position, 'cannot use nil as table index (at ' .. place(text, position) .. ')' end
			position = blank(text, position + 1)
			if not position then return unterminated(text, kind, start) end
			value[first], next, err = read_value(text, position, options)
			if err then return nil, next, err end
			position = blank(text, next)
			if not position then return unterminated(text, kind, start) end
		else
			n = n + 1
			value[n] = first
		end
		if text:sub(position, position) == ',' then position = position + 1 end
	end
end

function read_value(text, position, options)
	position = blank(text, position or 1)
	if not position then return nil, #text + 1, 'no valid JSON value (reached the end)' end
	local sign = text:sub(position, position)
	if sign == '{' then return read_table(text, position, 'object', '}', options) end
	if sign == '[' then return read_table(text, position, 'array', ']', options) end
	if sign == '"' then return read_string(text, position) end
	local numeral = text:match('^%-?[%d.]+[eE]?[+-]?%d*', position)
	local number = numeral and tonumber(numeral)
	if number then return number, position + #numeral end
	local word = text:match('^%a%w*', position)
	if word == 'true' then return true, position + 4 end
	if word == 'false' then return false, position + 5 end
	if word == 'null' then return options.null, position + 4 end
	return nil, position, 'no valid JSON value at ' .. place(text, position)
end

-- decode reads a value from a position on. It returns the value and the position behind
-- it, or nil, the position, and what is wrong there. Without metatables given, tables
-- remember in theirs what they were.
function json.decode(text, position, null, ...)
	local options = { depth = 0, null = null, object = { __jsontype = 'object' }, array = { __jsontype = 'array' } }
	if select('#', ...) > 0 then options.object, options.array = ... end
	return read_value(text, position, options)
end

function json.use_lpeg()
	error('dkjson.use_lpeg: the package lpeg is compiled, and not here; decode works without it', 2)
end

return json
