-- socket: what LuaSocket builds on its core.
local socket, core = ...

-- try and newtry raise errors that protect gives back as results.
local raised = {}

function socket.newtry(finalizer)
	return function(value, ...)
		if value then return value, ... end
		if finalizer then pcall(finalizer) end
		error(setmetatable({ (...) }, raised), 0)
	end
end

socket.try = socket.newtry()

local function results(ok, first, ...)
	if ok then return first, ... end
	if getmetatable(first) == raised then return nil, first[1] end
	error(first, 0)
end

function socket.protect(fn)
	return function(...) return results(pcall(fn, ...)) end
end

function socket.skip(n, ...) return select(n + 1, ...) end

-- connect makes a connection in one call, bind a server.
function socket.connect(host, port, localhost, localport)
	local s = socket.tcp()
	if localhost then
		local ok, why = s:bind(localhost, localport or 0)
		if not ok then return nil, why end
	end
	local ok, why = s:connect(host, port)
	if not ok then s:close() return nil, why end
	return s
end

function socket.bind(host, port, backlog)
	local s = socket.tcp()
	local ok, why = s:bind(host == '*' and '0.0.0.0' or host, port)
	if ok then ok, why = s:listen(backlog or 32) end
	if not ok then s:close() return nil, why end
	return s
end

-- select waits until one of the sockets can be read or written.
function socket.select(read, write, seconds)
	local chosen, n = { {}, {} }, 0
	for side, places in ipairs { core.ready(read or {}, write or {}, seconds) } do
		for i, place in ipairs(places) do
			local s = (side == 1 and read or write)[place]
			chosen[side][i], chosen[side][s] = s, i
			n = n + 1
		end
	end
	return chosen[1], chosen[2], n == 0 and 'timeout' or nil
end

-- source and sink read and write a connection in the manner of ltn12.
socket.BLOCKSIZE = 2048

function socket.source(how, s, length)
	local over
	return function()
		if over or length and length <= 0 then return nil end
		local want = length and math.min(socket.BLOCKSIZE, length) or socket.BLOCKSIZE
		local data, why, partial = s:receive(want)
		if data then
			length = length and length - #data
			return data
		end
		over = true
		if why ~= 'closed' or length then return nil, why end
		s:close()
		return partial ~= '' and partial or nil
	end
end

function socket.sink(how, s)
	return function(chunk, why)
		if chunk then return s:send(chunk) end
		if how ~= 'keep-open' then s:close() end
		return 1
	end
end

return socket
