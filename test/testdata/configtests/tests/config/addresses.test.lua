-- What a configuration test may ask of addresses and interfaces.
local kluautil = require('kluautil')
local jit = require('jit')

local function numbered()
	is(kluautil.kr_table_len({ 1, 2, x = 3 }), 3, 'entries of all kinds count')
	is(kluautil.kr_table_len({}), 0, 'an empty table has none')
	is(jit.os, 'Linux', 'the system is told')
end

local function interfaces()
	local all = net.interfaces()
	is(type(all), 'table', 'there are interfaces')
	is(all.lo.addr[1], '127.0.0.1', 'and one of them is the loop')
end

local function outgoing()
	nok(net.outgoing_v4(), 'the system chooses at first')
	ok(net.outgoing_v4('127.0.0.1'), 'an address of this machine is taken')
	is(net.outgoing_v4(), '127.0.0.1', 'and told')
	ok(net.outgoing_v4(nil), 'and given up')
	boom(net.outgoing_v4, { 'x' }, 'what is none is refused')
	is(net.bufsize(4096) or net.bufsize(), 4096, 'a size for UDP')
end

return { numbered, interfaces, outgoing }
