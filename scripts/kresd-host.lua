#!/usr/local/sbin/kresd --script
-- kresd-host.lua: like host(1), by a resolver of its own that listens on nothing and
-- leaves nothing behind. See kresd-host.lua -h.

local usage = [[
Usage: kresd-host.lua [-v] [-d] [-h] [-4] [-6] [-D] [-c class] [-t type]… [-C conf] [-f keyfile] hostname

 hostname     a name, or an IP address whose name (PTR) is looked up
 -t type      what is looked up; repeatable (default: A, AAAA and MX)
 -c class     class of the data (default: IN)
 -v           say whether each record is secure or insecure
 -f keyfile   validate by the trust anchors in this file, which is fetched where it is missing
 -D           the same with the file root.keys
 -C conf      configuration, as in kresd's file config; repeatable
 -4, -6       ask servers by IPv4 alone, by IPv6 alone
 -d           tell every step on standard error
 -h           this text
Status: 0, or 1 where a look-up failed, nothing has the name, or the arguments are wrong.
]]

-- Until all answers are there, or the rest is given up.
local limit = 15 * sec

local function fail(...)
	io.stderr:write('kresd-host.lua: ', string.format(...), '\n')
	os.exit(1)
end

local function wrong()
	io.stderr:write(usage)
	os.exit(1)
end

-- The files of trust anchors are read and left as they are; one that is not there is
-- made, since nothing could be validated without it.
local function anchors(file)
	local found = io.open(file)
	if found then found:close() end
	local ok, err = pcall(trust_anchors.add_file, file, found ~= nil)
	if not ok then fail('%s', err) end
end

local function number(kind, name)
	local n = kres[kind][name:upper()]
	if not n then fail("'%s' is no %s of DNS", name, kind) end
	return n
end

local types, class, verbosely, host = {}, kres.class.IN, false, nil

local flags = {
	v = function() verbosely = true end,
	d = function() verbose(true) end,
	h = function() io.write(usage) os.exit(0) end,
	D = function() anchors('root.keys') end,
	['4'] = function() net.ipv6 = false end,
	['6'] = function() net.ipv4 = false end,
}

local options = {
	c = function(name) class = number('class', name) end,
	t = function(name) types[#types + 1] = number('type', name) end,
	f = anchors,
	C = function(conf)
		local run, err = loadstring(conf, '=-C')
		local ok = false
		if run then ok, err = pcall(run) end
		if not ok then fail('%s', err) end
	end,
}

-- read takes the letters of one argument. An option takes what follows it there, or else
-- the next argument.
local function read(letters, i)
	while letters ~= '' do
		local letter = letters:sub(1, 1)
		letters = letters:sub(2)
		if flags[letter] then
			flags[letter]()
		elseif options[letter] then
			if letters == '' then
				i = i + 1
				letters = arg[i] or wrong()
			end
			options[letter](letters)
			return i
		else
			wrong()
		end
	end
	return i
end

local function arguments()
	local i = 1
	while arg[i] do
		local letters = arg[i]:match('^%-(.+)$')
		if letters and letters ~= '-' then
			i = read(letters, i)
		elseif arg[i] ~= '--' then
			if host then wrong() end
			host = arg[i]
		end
		i = i + 1
	end
	if not host or host == '' then wrong() end
end

-- reverse is the name under which the name of an address stands (RFC 1035, section 3.5;
-- RFC 3596, section 2.5); nil for what is no address.
local function reverse(address)
	local octets = kres.str2ip(address)
	if not octets then return nil end
	local labels = {}
	for i = #octets, 1, -1 do
		local octet = octets:byte(i)
		if #octets == 4 then
			labels[#labels + 1] = tostring(octet)
		else
			labels[#labels + 1] = string.format('%x.%x', octet % 16, math.floor(octet / 16))
		end
	end
	return table.concat(labels, '.') .. (#octets == 4 and '.in-addr.arpa.' or '.ip6.arpa.')
end

local says = {
	[kres.type.A] = 'has address %s',
	[kres.type.AAAA] = 'has IPv6 address %s',
	[kres.type.MX] = 'mail is handled by %s',
	[kres.type.CNAME] = 'is an alias for %s',
}

local printed, failed = {}, false

local function show(rr, secure)
	local kind = kres.tostring.type[rr.type]
	local data = kres.rr2str(rr):match('^%S+%s+%d+%s+%S+%s+(.*)$')
	local line = kres.dname2str(rr.owner) .. ' ' .. string.format(says[rr.type] or 'has ' .. kind .. ' record %s', data)
	if verbosely then line = line .. (secure and ' (secure)' or ' (insecure)') end
	if not printed[line] then print(line) end
	printed[line] = true
end

-- answered keeps what one question came to, until those before it are shown.
local function answered(pkt, req)
	local query = req:resolved()
	local secure = query ~= nil and query.flags.DNSSEC_WANT and not query.flags.DNSSEC_INSECURE
	return { rcode = pkt:rcode(), records = pkt:section(kres.section.ANSWER), secure = secure }
end

local function tell(name, asked, answer)
	for _, rr in ipairs(answer.records) do
		show(rr, answer.secure)
	end
	if answer.rcode ~= kres.rcode.NOERROR then
		failed = true
		io.stderr:write(name, ' ', answer.rcode == kres.rcode.NXDOMAIN and 'is not found: ' or 'could not be looked up: ',
			kres.tostring.rcode[answer.rcode] or tostring(answer.rcode), '\n')
		return false
	elseif #answer.records == 0 and asked then
		io.stderr:write(name, ' has no ', asked, ' record\n')
	end
	return true
end

local function main()
	arguments()
	local name = host
	if #types == 0 or types[1] == kres.type.PTR then name = reverse(host) or host end
	local given = #types > 0
	if not given then
		types = name == host and { kres.type.A, kres.type.AAAA, kres.type.MX } or { kres.type.PTR }
	end
	local answers, shown = {}, 0
	for i, kind in ipairs(types) do
		resolve(name, kind, class, 'ALWAYS_CUT', function(pkt, req)
			answers[i] = answered(pkt, req)
			while answers[shown + 1] do
				shown = shown + 1
				local asked = (given or name ~= host) and kres.tostring.type[types[shown]]
				if not tell(name, asked, answers[shown]) then os.exit(1) end
			end
			if shown == #types then os.exit(failed and 1 or 0) end
		end)
	end
	event.after(limit, function() fail('%s was not answered within %d s', name, limit / sec) end)
end

-- In turns of the event loop: code of -C, or of the script, that does not end is ended.
event.after(0, main)
