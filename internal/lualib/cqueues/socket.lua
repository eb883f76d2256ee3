-- cqueues.socket: buffered streams with lines and modes, over TCP.
local core = require('socket')
local errno = require('cqueues.errno')

local socket, methods = { AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, SOCK_STREAM = 1, SOCK_DGRAM = 2 }, {}
local meta = { __index = methods, __tostring = function() return 'socket' end }

local numbers = {
	timeout = errno.ETIMEDOUT, closed = errno.EPIPE, ['connection refused'] = errno.ECONNREFUSED,
	['network is unreachable'] = errno.ENETUNREACH, ['no route to host'] = errno.EHOSTUNREACH,
	['address already in use'] = errno.EADDRINUSE, ['permission denied'] = errno.EACCES,
}

-- raise is the error handler unless a script sets one: what programs live with is
-- returned, all else is an error.
local function raise(self, operation, number, level)
	if number == errno.EPIPE or number == errno.ETIMEDOUT then return number end
	error(string.format('%s: %s', operation, self.why or errno.strerror(number)), (level or 1) + 1)
end

-- fail notes an error of a channel and lets the handler have it.
local function fail(self, operation, why, channel)
	local number = numbers[why] or errno.EIO
	self.why, self.errors[channel] = why, number
	return self.handler(self, operation, number, 3)
end

local function new(options)
	return setmetatable({
		options = options, stream = core.tcp(), input = '', output = '', handler = raise, errors = {},
		inmode = 't-', outmode = 'tl',
	}, meta)
end

local function arguments(host, port)
	local options = type(host) == 'table' and host or { host = host, port = port }
	if options.path then error('sockets of the family AF_UNIX are not in this version', 3) end
	if options.type == socket.SOCK_DGRAM then error("datagrams are not in this version of cqueues.socket; use require('socket').udp()", 3) end
	return options
end

function socket.connect(host, port) return new(arguments(host, port)) end

function socket.listen(host, port)
	local self = new(arguments(host, port))
	self.server = true
	return self
end

function socket.type(value) return getmetatable(value) == meta and 'socket' or nil end

-- opened makes the connection or the server when it is used first.
local function opened(self, seconds)
	if self.open then return true end
	local o, stream = self.options, self.stream
	stream:settimeout(seconds or self.seconds)
	local ok, why
	if self.server then
		ok, why = stream:bind(o.host or '127.0.0.1', o.port or 0)
		if ok then ok, why = stream:listen(32) end
	else
		ok, why = stream:connect(o.host, o.port)
	end
	self.open = ok
	return ok, why
end

function methods:connect(seconds)
	local ok, why = opened(self, seconds)
	if not ok then return nil, fail(self, 'connect', why, 'r') end
	return self
end

function methods:listen(seconds)
	local ok, why = opened(self, seconds)
	if not ok then return nil, fail(self, 'listen', why, 'r') end
	return self
end

function methods:accept(seconds)
	local ok, why = opened(self)
	local stream
	if ok then
		self.stream:settimeout(seconds or self.seconds)
		stream, why = self.stream:accept()
	end
	if not stream then return nil, fail(self, 'accept', why, 'r') end
	local client = new(self.options)
	client.stream, client.open = stream, true
	return client
end

function methods:clients(seconds)
	return function()
		local client = self:accept(seconds)
		return client
	end
end

-- more reads what there is behind the input. It returns false at the end, nil and the
-- reason when that fails.
local function more(self, seconds)
	local ok, why = opened(self)
	local data
	if ok then
		self.stream:settimeout(seconds or self.seconds)
		data, why = self.stream:receive(-65536)
	end
	if data then
		self.input = self.input .. data
		return true
	end
	if why == 'closed' then
		self.over = true
		return false
	end
	return nil, why
end

-- translated is text with the line ends of Lua, in text mode.
local function translated(self, text)
	if self.inmode:sub(1, 1) == 't' then text = text:gsub('\r\n', '\n') end
	return text
end

local function take(self, n)
	local text = self.input:sub(1, n)
	self.input = self.input:sub(n + 1)
	return text
end

-- line takes a line off the input, and what is left of one at the end.
local function line(self, keep)
	while true do
		local at = self.input:find('\n', 1, true)
		if at then
			local text = translated(self, take(self, at))
			return keep and text or text:sub(1, -2)
		end
		local ok, why = more(self)
		if ok == nil then return nil, why end
		if not ok then return self.input ~= '' and take(self, #self.input) or nil end
	end
end

-- header takes a field of a header with the lines that it is folded into, or nothing
-- where there is no field.
local function header(self, keep)
	local text = ''
	while true do
		local at = self.input:find('\n', 1, true)
		if at and #self.input == at and not self.over and not self.input:find('^\r?\n') then at = nil end
		if not at then
			local ok, why = more(self)
			if ok == nil then return nil, why end
			if not ok and not self.input:find('\n', 1, true) then break end
			at = self.input:find('\n', 1, true)
		end
		local first = self.input:sub(1, at)
		if not first:find(text == '' and '^[%w%-_]+%s*:' or '^[ \t]+%S') then break end
		text = text .. translated(self, take(self, at))
	end
	if text == '' then return nil end
	return keep and text or (text:gsub('\r?\n[ \t]+', ' '):gsub('\r?\n$', ''))
end

local function octets(self, n)
	while #self.input < n do
		local ok, why = more(self)
		if ok == nil then return nil, why end
		if not ok then break end
	end
	if n > 0 and self.input == '' then return nil end
	return translated(self, take(self, n))
end

local function some(self, n)
	if self.input == '' then
		local ok, why = more(self)
		if not ok then return nil, why end
	end
	return translated(self, take(self, n))
end

local function all(self)
	while true do
		local ok, why = more(self)
		if ok == nil then return nil, why end
		if not ok then return translated(self, take(self, #self.input)) end
	end
end

local function readOne(self, format)
	if type(format) == 'number' then
		if format < 0 then return some(self, -format) end
		return octets(self, format)
	end
	local letter = format:gsub('^%*', ''):sub(1, 1)
	if letter == 'l' then return line(self, false) end
	if letter == 'L' then return line(self, true) end
	if letter == 'a' then return all(self) end
	if letter == 'h' then return header(self, false) end
	if letter == 'H' then return header(self, true) end
	error('the format ' .. format .. ' is not in this version; use *l, *L, *a, *h, *H or a number', 3)
end

function methods:read(...)
	if self.output ~= '' then self:flush() end
	local formats, values = { ... }, {}
	if #formats == 0 then formats[1] = '*l' end
	for i, format in ipairs(formats) do
		local value, why = readOne(self, format)
		if why then return nil, fail(self, 'read', why, 'r') end
		values[i] = value
		if value == nil then break end
	end
	return unpack(values, 1, #formats)
end

function methods:lines(...)
	local formats = { ... }
	return function() return self:read(unpack(formats)) end
end

-- flush sends the first n octets of the output, or all.
function methods:flush(mode, seconds, n)
	local ok, why = opened(self)
	n = n or #self.output
	if ok and n > 0 then
		self.stream:settimeout(seconds or self.seconds)
		local last, partial
		last, why, partial = self.stream:send(self.output, 1, n)
		self.output = self.output:sub((last or partial or 0) + 1)
		ok = last
	end
	if not ok then return nil, fail(self, 'flush', why, 'w') end
	return self
end

function methods:write(...)
	local text = ''
	for i = 1, select('#', ...) do text = text .. tostring((select(i, ...))) end
	if self.outmode:sub(1, 1) == 't' then text = text:gsub('\r?\n', '\r\n') end
	self.output = self.output .. text
	local how, n = self.outmode:sub(2, 2), #self.output
	if how == 'l' then
		n = self.output:match('^.*()\n') or #self.output >= 4096 and n or 0
	elseif how == 'f' and n < 4096 then
		n = 0
	end
	if n > 0 then return self:flush(nil, nil, n) end
	return self
end

function methods:fill(size, seconds)
	while #self.input < size do
		local ok, why = more(self, seconds)
		if not ok then return false, fail(self, 'fill', why or 'closed', 'r') end
	end
	return true
end

function methods:unget(text) self.input = text .. self.input return true end
function methods:pending() return #self.input, #self.output end

-- merged is a mode with what is new in another.
local function merged(old, mode)
	if not mode then return old end
	return (mode:match('[tb]') or old:sub(1, 1)) .. (mode:match('[nlf]') or old:sub(2, 2))
end

function methods:setmode(input, output)
	local before, after = self.inmode, self.outmode
	self.inmode, self.outmode = merged(before, input):sub(1, 1) .. '-', merged(after, output)
	return before, after
end

function methods:setvbuf(mode)
	local _, before = self:setmode(nil, ({ no = 'n', line = 'l', full = 'f' })[mode] or mode)
	return before:sub(2, 2), 4096
end

function methods:settimeout(seconds) self.seconds = seconds return true end
function methods:timeout() return nil end

function methods:onerror(handler)
	local before = self.handler
	self.handler = handler or raise
	return before
end

-- each returns what fn gives for each letter of which: r, w.
local function each(which, fn)
	local values = {}
	for letter in (which or 'rw'):gmatch('[rw]') do values[#values + 1] = fn(letter) or false end
	for i, value in ipairs(values) do values[i] = value or nil end
	return unpack(values, 1, #(which or 'rw'))
end

function methods:error(which) return each(which, function(letter) return self.errors[letter] end) end

function methods:clearerr(which)
	return each(which, function(letter)
		local number = self.errors[letter]
		self.errors[letter] = nil
		return number
	end)
end

function methods:eof(which)
	local over = { r = self.over and self.input == '' or false, w = self.errors.w == errno.EPIPE }
	if which == 'r' or which == 'w' then return over[which] end
	return over.r, over.w
end

function methods:shutdown(how)
	if self.output ~= '' then self:flush() end
	how = how or 'rw'
	return self.stream:shutdown(how == 'r' and 'receive' or how == 'w' and 'send' or 'both') and true
end

function methods:close()
	if self.open and self.output ~= '' then pcall(self.flush, self) end
	self.stream:close()
	return true
end

local function name(self, host, port, family)
	if not host then return socket.AF_UNSPEC end
	return family == 'inet6' and socket.AF_INET6 or socket.AF_INET, host, port
end

function methods:peername()
	opened(self)
	return name(self, self.stream:getpeername())
end

function methods:localname()
	opened(self)
	return name(self, self.stream:getsockname())
end

function methods:pollfd()
	opened(self)
	return self.stream:getfd()
end

function methods:events() return 'r' end

function methods:starttls() error('starttls is not in this version; use ssl.https for HTTPS', 2) end
function methods:checktls() return nil end

return socket
