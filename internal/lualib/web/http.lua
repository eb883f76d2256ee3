-- The library socket.http, and ssl.https in the same way: requests over HTTP, by LuaSocket's
-- reference manual. What makes a request and gives its answer comes as "...": core.begin{…}
-- returns an exchange, or nil and why not.
local core, name, scheme, port = ...
local begin = core.begin
local ltn12, url = require('ltn12'), require('socket.url')

local http = { PORT = port, TIMEOUT = 60, USERAGENT = 'LuaSocket 3.1.0' }

local most_redirects = 5
local redirects = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

-- address makes one URL of the fields of a request, which win over its url.
local function address(reqt)
	local parts = {}
	if reqt.url then
		local err
		parts, err = url.parse(reqt.url, { scheme = scheme })
		if not parts then return nil, err end
	end
	for _, field in ipairs { 'scheme', 'host', 'port', 'path', 'params', 'query', 'fragment', 'user', 'password' } do
		if reqt[field] ~= nil then parts[field] = reqt[field] end
	end
	parts.scheme = (parts.scheme or scheme):lower()
	if parts.scheme ~= 'http' and parts.scheme ~= 'https' then return nil, "unknown scheme '" .. parts.scheme .. "'" end
	if not parts.host or parts.host == '' then return nil, "invalid host '" .. tostring(parts.host) .. "'" end
	parts.fragment, parts.userinfo, parts.authority = nil, nil, nil
	if not reqt.user and parts.user then parts.user, parts.password = url.unescape(parts.user), url.unescape(parts.password or '') end
	if parts.scheme == scheme and not parts.port and port ~= http.PORT then parts.port = http.PORT end
	parts.path = (parts.path or '/'):gsub(' ', '%%20')
	return parts
end

-- absent refuses what is not here, in words that say what is.
local function absent(what, instead)
	error(what .. ' is not supported; ' .. instead, 0)
end

local function settings(reqt, parts)
	if reqt.create then absent(name .. ".request with 'create'", "connections are made by the library itself: set 'proxy' or " .. name .. '.TIMEOUT') end
	local headers = { ['user-agent'] = http.USERAGENT }
	for field, value in pairs(reqt.headers or {}) do headers[tostring(field):lower()] = tostring(value) end
	local place = {}
	for field, value in pairs(parts) do place[field] = value end
	place.user, place.password = nil, nil
	return {
		url = url.build(place),
		user = parts.user, password = parts.password,
		method = reqt.method or 'GET',
		headers = headers,
		timeout = reqt.timeout or http.TIMEOUT,
		proxy = reqt.proxy or http.PROXY,
		body = reqt.source ~= nil,
		verify = reqt.verify, cafile = reqt.cafile, capath = reqt.capath, certificate = reqt.certificate, key = reqt.key,
	}
end

-- move pumps everything from a source to a sink. The exchange ends with an error in one
-- of them.
local function move(exchange, source, sink, step)
	local fine, ok, err = pcall(ltn12.pump.all, source, sink, step)
	if not fine then
		exchange:close()
		error(ok, 0)
	end
	return ok, err
end

-- once makes one request. It returns 1, code, headers and status line, or nil and why.
local function once(reqt, parts, redirected)
	local exchange, err = begin(settings(reqt, parts))
	if not exchange then return nil, err end
	if reqt.source then
		local ok, why = move(exchange, reqt.source, function(chunk, err)
			if err then return nil, err end
			return exchange:send(chunk)
		end, reqt.step)
		if not ok then
			exchange:close()
			return nil, why
		end
	end
	local code, headers, status = exchange:answer()
	if not code then return nil, headers end
	local to = redirected(code, headers)
	if to then
		exchange:close()
		return to
	end
	local ok, why = move(exchange, function() return exchange:receive() end, reqt.sink or ltn12.sink.null(), reqt.step)
	exchange:close()
	if not ok then return nil, why end
	return 1, code, headers, status
end

-- follows tells where an answer leads, or nil.
local function follows(reqt, parts, code, headers)
	local method = reqt.method or 'GET'
	if reqt.redirect == false or not redirects[code] or not headers.location or method ~= 'GET' and method ~= 'HEAD' then return nil end
	local to = url.parse(url.absolute({ scheme = parts.scheme, host = parts.host, port = parts.port, path = parts.path, params = parts.params, query = parts.query }, headers.location))
	if to.scheme == 'http' and parts.scheme == 'https' and reqt.redirect ~= 'all' then return nil end
	return to
end

local function generic(reqt)
	local parts, err = address(reqt)
	if not parts then return nil, err end
	local request = {}
	for field, value in pairs(reqt) do request[field] = value end
	for redirect = 0, most_redirects do
		local ok, code, headers, status = once(request, parts, function(code, headers)
			return redirect < most_redirects and follows(reqt, parts, code, headers) or nil
		end)
		if not ok then return nil, code end
		if ok == 1 then return 1, code, headers, status end
		if ok.host ~= parts.host then -- credentials are for the host that they were given for
			local kept = {}
			for field, value in pairs(request.headers or {}) do
				local lower = tostring(field):lower()
				if lower ~= 'authorization' and lower ~= 'cookie' and lower ~= 'host' then kept[field] = value end
			end
			request.headers = kept
		end
		parts, err = address { url = url.build(ok) }
		if not parts then return nil, err end
	end
end

-- bounded is a sink into a list that refuses more than a string can hold.
local function bounded(list)
	local size = 0
	return function(chunk)
		if chunk then
			size = size + #chunk
			if size > begin() then return nil, 'the answer is too large for a string: give a sink' end
			list[#list + 1] = chunk
		end
		return 1
	end
end

local function simple(address, body)
	local list = {}
	local reqt = { url = address, sink = bounded(list) }
	if body then
		reqt.source, reqt.method = ltn12.source.string(body), 'POST'
		reqt.headers = { ['content-length'] = #body, ['content-type'] = 'application/x-www-form-urlencoded' }
	end
	local ok, code, headers, status = generic(reqt)
	if not ok then return nil, code end
	return table.concat(list), code, headers, status
end

-- request is the simple form for a string and the generic one for a table.
function http.request(reqt, body)
	if type(reqt) == 'string' then return simple(reqt, body) end
	if type(reqt) ~= 'table' then error("bad argument #1 to 'request' (string or table expected, got " .. type(reqt) .. ')', 2) end
	return generic(reqt)
end

return setmetatable(http, { __index = function(_, key)
	if key == 'open' or key == 'genericform' or key == 'tcp' then
		return function() absent(name .. '.' .. key, 'use ' .. name .. '.request') end
	end
end })
