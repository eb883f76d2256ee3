-- cqueues.socket: buffered streams with lines and modes, over TCP, paths and TLS.
local core, unix = require('socket'), require('socket.unix')
local errno = require('cqueues.errno')

local socket, methods = { AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, SOCK_STREAM = 1, SOCK_DGRAM = 2 }, {}
local meta = { __index = methods, __tostring = function() return 'socket' end }

local numbers = {
	timeout = errno.ETIMEDOUT, closed = errno.EPIPE, ['connection refused'] = errno.ECONNREFUSED,
	['network is unreachable'] = errno.ENETUNREACH, ['no route to host'] = errno.EHOSTUNREACH,
	['address already in use'] = errno.EADDRINUSE, ['permission denied'] = errno.EACCES, ['no such file or directory'] = errno.ENOENT,
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

-- defaults are what new streams begin with.
local defaults = { inmode = 't-', outmode = 'tl', handler = raise }

-- closed is a socket of the kind that options say, which is not opened yet.
local function closed(options)
	if options.type == socket.SOCK_DGRAM then return unix.datagrams(options.path ~= nil) end
	return options.path and unix.stream() or core.tcp()
end

local function new(options, stream)
	return setmetatable({
		options = options, stream = stream or closed(options), input = '', output = '', errors = {},
		handler = defaults.handler, inmode = defaults.inmode, outmode = defaults.outmode, seconds = defaults.seconds,
	}, meta)
end

-- permissions are those of a path, as a number, digits of base 8, or rwxr-x---; 0 for the
-- usual ones.
local function permissions(mode)
	if type(mode) ~= 'string' then return mode or 0 end
	if mode:find('^[0-7]+$') then return tonumber(mode, 8) end
	if #mode ~= 9 or mode:find('[^rwx-]') then error("permissions are a number, '660' or 'rw-rw----'", 4) end
	local bits = 0
	for letter in mode:gmatch('.') do bits = 2 * bits + (letter == '-' and 0 or 1) end
	return bits
end

local function arguments(host, port)
	local options = type(host) == 'table' and host or { host = host, port = port }
	options.mode = permissions(options.mode)
	local kind = options.type or socket.SOCK_STREAM
	if kind ~= socket.SOCK_STREAM and kind ~= socket.SOCK_DGRAM then error('the type is socket.SOCK_STREAM or socket.SOCK_DGRAM', 3) end
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
		if o.path and o.unlink then os.remove(o.path) end
		ok, why = stream:bind(o.path or o.host or '127.0.0.1', o.port or 0)
		if ok then ok, why = stream:listen(32, o.mode) end
	else
		ok, why = stream:connect(o.path or o.host, o.port)
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
	local client = new(self.options, stream)
	client.open = true
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

-- readOne reads what one format says. level is that of the error of a wrong one, as for
-- error().
local function readOne(self, format, level)
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
	error('the format ' .. format .. ' is not in this version; use *l, *L, *a, *h, *H or a number', level)
end

function methods:read(...)
	if self.output ~= '' then self:flush() end
	local formats, values = { ... }, {}
	if #formats == 0 then formats[1] = '*l' end
	for i, format in ipairs(formats) do
		local value, why = readOne(self, format, 3)
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

-- atOnce calls fn(self, ...) with no time to wait, and gives EAGAIN where it would.
local function atOnce(self, fn, ...)
	local seconds = self.seconds
	self.seconds = 0
	local ok, value, why = pcall(fn, self, ...)
	self.seconds = seconds
	if not ok then error(value, 0) end
	if why then return nil, why == 'timeout' and errno.EAGAIN or numbers[why] or errno.EIO end
	return value
end

-- recv is read with one format, which neither waits nor raises errors: it returns nil and
-- EAGAIN where there is not enough yet, and nil alone at the end.
function methods:recv(format, mode)
	local before = self:setmode(mode)
	local ok, value, number = pcall(atOnce, self, readOne, format or '*l', 0)
	self.inmode = before
	if not ok then error(value, 2) end
	return value, number
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

-- send is write with a part of a text, which neither waits nor raises errors: it returns how
-- many octets were sent or are in the buffer now, and why there are not more.
function methods:send(text, i, j, mode)
	local _, before = self:setmode(nil, mode)
	local part = text:sub(i or 1, j or -1)
	local handler, seconds, number = self.handler, self.seconds
	self.handler, self.seconds = function(_, _, why) number = why return why end, 0
	local ok, why = pcall(self.write, self, part)
	self.handler, self.seconds, self.outmode = handler, seconds, before
	if not ok then error(why, 2) end
	if number == errno.ETIMEDOUT then number, self.errors.w = errno.EAGAIN, nil end
	return number and number ~= errno.EAGAIN and 0 or #part, number
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
	local strange = mode:match('[^tbnlfaApP-]')
	if strange then error("modes are 't' text, 'b' binary, 'n' no buffer, 'l' lines, 'f' full buffer, and not '" .. strange .. "'", 4) end
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

-- The same without a stream are for those that are made from then on.
for _, name in ipairs { 'setmode', 'setvbuf', 'settimeout', 'onerror' } do
	socket[name] = function(...)
		return methods[name](setmetatable(defaults, { __index = methods }), ...)
	end
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
	if family == 'unix' then return socket.AF_UNIX, host ~= '' and host or nil end
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

-- settingsOf are what starttls is told, with the name that the server's certificate is to be for.
local function settingsOf(self, context)
	local settings, o = {}, self.options
	for key, value in pairs(context or {}) do settings[key] = value end
	if settings.servername == nil and o.sendname ~= false then settings.servername = type(o.sendname) == 'string' and o.sendname or o.host end
	return settings
end

-- starttls goes on over TLS. context has the fields of ssl.https: cafile, capath, verify,
-- certificate, key; and servername.
function methods:starttls(context, seconds)
	if type(context) == 'number' then context, seconds = nil, context end
	if context ~= nil and type(context) ~= 'table' then error('starttls takes a table such as { cafile = file }; contexts of openssl are not in this version', 2) end
	local ok, why = opened(self, seconds)
	if ok and self.output ~= '' then ok, why = self:flush(nil, seconds) end
	if ok and self.input ~= '' then
		self.stream:close()
		ok, why = nil, 'data were received before the handshake'
	end
	if ok then
		self.stream:settimeout(seconds or self.seconds)
		ok, why = self.stream:starttls(settingsOf(self, context))
	end
	if not ok then return nil, fail(self, 'starttls', why, 'r') end
	self.secured = true
	return self
end

-- checktls tells whether the stream is over TLS.
function methods:checktls() return self.secured end

-- pair are two streams, or sockets of datagrams, that are connected to each other.
function socket.pair(kind)
	if type(kind) == 'table' then kind = kind.type end
	local ends = {}
	for i, stream in ipairs { unix.pair(kind == socket.SOCK_DGRAM) } do
		ends[i] = new({}, stream)
		ends[i].open = true
	end
	return unpack(ends)
end

-- descriptorOf is the one that is meant: a number, the field fd of options, or that of a socket.
local function descriptorOf(value)
	if getmetatable(value) == meta then
		if value.secured then error('a stream over TLS has no second one', 3) end
		opened(value)
		return value.stream:getfd()
	end
	if type(value) == 'table' and value.fd then value = value.fd end
	if type(value) ~= 'number' then error('a descriptor or a socket expected', 3) end
	return value
end

local function ofDescriptor(value, keep)
	local stream, server = unix.descriptor(descriptorOf(value), keep)
	if not stream then return nil, server end
	local self = new(type(value) == 'table' and value.options or {}, stream)
	self.open, self.server = true, server
	return self
end

-- fdopen makes a socket of a descriptor, which is the socket's from then on; dup one with a
-- copy of a descriptor, or of a socket's. What either has read and not given out stays its own.
function socket.fdopen(value) return ofDescriptor(value, false) end
function socket.dup(value) return ofDescriptor(value, true) end
function methods:dup() return ofDescriptor(self, true) end

-- absent are what is not here, and what to use instead.
for name, instead in pairs {
	interpose = 'wrap streams in tables of your own',
} do
	socket[name] = function() error(name .. ' is not in this version of cqueues.socket; ' .. instead, 2) end
end

return socket
