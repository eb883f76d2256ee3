#!/usr/local/sbin/kresd --script
-- kresd-query.lua: ask one question and run a script over the answer, by a resolver of
-- its own that listens on nothing and leaves nothing behind. See kresd-query.lua -h.

local usage = [[
Usage: kresd-query.lua [-t type] [-c class] [-C config] name script…

 name       what is asked for
 script     Lua that is run when the answer is there: pkt is the answer, req the request
 -t type    type of the data (default: A)
 -c class   class of the data (default: IN)
 -C config  configuration, as in kresd's file config; repeatable
 -h         this text
Status: 0, or 1 where the script fails, no answer comes in time, or the arguments are wrong.
]]

-- Until the answer is there.
local limit = 15 * sec

local function fail(text)
	io.stderr:write('kresd-query.lua: ', text, '\n')
	os.exit(1)
end

local function wrong()
	io.stderr:write(usage)
	os.exit(1)
end

-- compiled is the function of a text, whose errors end the command.
local function compiled(text, name)
	local run, err = loadstring(text, name)
	if not run then fail(err) end
	return run
end

-- called calls a function, whose errors end the command.
local function called(run)
	local ok, err = pcall(run)
	if not ok then fail(tostring(err)) end
end

local function number(kind, name)
	return kres[kind][name:upper()] or fail(string.format("'%s' is no %s of DNS", name, kind))
end

local qtype, qclass = kres.type.A, kres.class.IN

local options = {
	t = function(name) qtype = number('type', name) end,
	c = function(name) qclass = number('class', name) end,
	C = function(conf) called(compiled(conf, '=-C')) end,
}

-- arguments reads the options, and returns the place of what follows them.
local function arguments()
	local i = 1
	while arg[i] and arg[i]:match('^%-.') do
		local letter, value = arg[i]:match('^%-(.)(.*)$')
		i = i + 1
		if letter == '-' and value == '' then
			return i
		elseif letter == 'h' then
			io.write(usage)
			os.exit(0)
		elseif not options[letter] then
			wrong()
		elseif value == '' then
			value = arg[i] or wrong()
			i = i + 1
		end
		options[letter](value)
	end
	return i
end

local function main()
	local first = arguments()
	if not arg[first + 1] then wrong() end
	local run = compiled(table.concat(arg, ' ', first + 1))
	event.after(limit, function() fail(string.format('%s was not answered within %d s', arg[first], limit / sec)) end)
	resolve(arg[first], qtype, qclass, 'ALWAYS_CUT', function(answer, request)
		pkt, req = answer, request
		called(run)
		os.exit(0)
	end)
end

-- In turns of the event loop: code of -C, or of the script, that does not end is ended.
event.after(0, main)
