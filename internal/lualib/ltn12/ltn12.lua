-- Sources give chunks of text, sinks take them, filters change them on their way, and
-- pumps move them: the library ltn12 of LuaSocket, by its reference manual. A chunk that
-- is nil ends a stream; an empty one is a filter's word for "nothing yet".
local ltn12 = { BLOCKSIZE = 2048, _VERSION = 'LTN12 1.0.3', filter = {}, source = {}, sink = {}, pump = {} }
local filter, source, sink, pump = ltn12.filter, ltn12.source, ltn12.sink, ltn12.pump

-- squeeze is all that a filter makes of a chunk: it is asked on with '' (or, at the end of
-- the stream, with nil) until it has no more to give.
local function squeeze(f, chunk)
	local out = f(chunk)
	if out == nil and chunk then error('filter returned inappropriate nil') end
	if not out or out == '' then return '' end
	local parts = { out }
	local more = f(chunk and '')
	while more and more ~= '' do
		parts[#parts + 1] = more
		more = f(chunk and '')
	end
	return table.concat(parts)
end

-- filter.cycle makes a filter of a function of a context and a chunk, which returns
-- what it made of the chunk and the next context.
function filter.cycle(low, context, extra)
	assert(low, 'filter.cycle needs a function')
	return function(chunk)
		local out
		out, context = low(context, chunk, extra)
		return out
	end
end

function filter.chain(...)
	local filters, ended = { ... }, false
	if #filters == 1 then return filters[1] end
	return function(chunk)
		if chunk == nil then
			if ended then return nil end
			ended = true
		end
		local rest = chunk
		for _, f in ipairs(filters) do
			if chunk then
				rest = squeeze(f, rest)
			else -- what came out of the filters before, and then the end
				local out = ''
				if rest and rest ~= '' then out = squeeze(f, rest) end
				rest = out .. squeeze(f, nil)
			end
		end
		if chunk == nil and rest == '' then return nil end
		return rest
	end
end

function source.empty()
	return function() return nil end
end

function source.error(err)
	return function() return nil, err end
end

function source.file(handle, err)
	if not handle then return source.error(err or 'unable to open file') end
	return function()
		local chunk = handle:read(ltn12.BLOCKSIZE)
		if not chunk then handle:close() end
		return chunk
	end
end

function source.string(text)
	if not text then return source.empty() end
	local at = 1
	return function()
		if at > #text then return nil end
		local chunk = text:sub(at, at + ltn12.BLOCKSIZE - 1)
		at = at + ltn12.BLOCKSIZE
		return chunk
	end
end

function source.table(list)
	assert(type(list) == 'table', 'source.table needs a table')
	local at = 0
	return function()
		at = at + 1
		return list[at]
	end
end

-- source.simplify makes one function of a source that may return its successor.
function source.simplify(src)
	assert(src, 'source.simplify needs a source')
	return function()
		local chunk, other = src()
		if not chunk then return nil, other end
		src = other or src
		return chunk
	end
end

-- source.rewind lets what was read be given back: the source called with it.
function source.rewind(src)
	assert(src, 'source.rewind needs a source')
	local back = {}
	return function(chunk)
		if chunk then
			back[#back + 1] = chunk
			return
		end
		chunk = table.remove(back)
		if chunk then return chunk end
		return src()
	end
end

function source.chain(src, ...)
	assert(src and ..., 'source.chain needs a source and a filter')
	local f, ended = filter.chain(...), false
	return function()
		while not ended do
			local chunk, err = src()
			if err then return nil, err end
			ended = chunk == nil
			local out = squeeze(f, chunk)
			if out ~= '' then return out end
		end
		return nil
	end
end

function source.cat(...)
	local list, at = { ... }, 1
	return function()
		while list[at] do
			local chunk, err = list[at]()
			if chunk then return chunk end
			if err then return nil, err end
			at = at + 1
		end
		return nil
	end
end

function sink.table(list)
	list = list or {}
	return function(chunk)
		if chunk then list[#list + 1] = chunk end
		return 1
	end, list
end

-- sink.simplify makes one function of a sink that may return its successor.
function sink.simplify(snk)
	assert(snk, 'sink.simplify needs a sink')
	return function(chunk, err)
		local ok, other = snk(chunk, err)
		if not ok then return nil, other end
		snk = other or snk
		return 1
	end
end

function sink.file(handle, err)
	if not handle then return sink.error(err or 'unable to open file') end
	return function(chunk)
		if not chunk then
			handle:close()
			return 1
		end
		return handle:write(chunk)
	end
end

function sink.null()
	return function() return 1 end
end

function sink.error(err)
	return function() return nil, err end
end

function sink.chain(...)
	local list = { ... }
	if type(list[#list]) == 'table' then table.remove(list) end -- of sink.table, which returns its table too
	local snk = table.remove(list)
	assert(snk and list[1], 'sink.chain needs a filter and a sink')
	local f = filter.chain(unpack(list))
	return function(chunk, err)
		if chunk == '' then return 1 end
		local out = squeeze(f, chunk)
		if out ~= '' then
			local ok, why = snk(out, err)
			if not ok then return nil, why end
		end
		if chunk then return 1 end
		local ok, why = snk(nil, err)
		if not ok then return nil, why end
		return 1
	end
end

-- pump.step moves one chunk; it returns nothing at the end, and why when that is an error.
function pump.step(src, snk)
	local chunk, wrong = src()
	local ok, refused = snk(chunk, wrong)
	if chunk and ok then return 1 end
	return nil, wrong or refused
end

function pump.all(src, snk, step)
	assert(src and snk, 'pump.all needs a source and a sink')
	step = step or pump.step
	while true do
		local ok, err = step(src, snk)
		if not ok then
			if err then return nil, err end
			return 1
		end
	end
end

return ltn12
