package test

import (
	"testing"

	"github.com/miekg/dns"
)

// What scripts by others do in their layers, as public manuals and mailing lists have it, works
// as it stands.
func TestScriptsByOthers(t *testing.T) {
	for what, c := range map[string]struct {
		text, load string
		name       string
		qtype      uint16
		want       string
	}{
		"AAAA of A where consume finds no data": {`local M = { prefix = kres.str2ip('64:ff9b::') }
M.layer = { consume = function(state, req, pkt)
	if state == kres.FAIL then return state end
	pkt, req = kres.pkt_t(pkt), kres.request_t(req)
	local qry = req:current()
	if not qry.flags.RESOLVED then return state end
	local answer = pkt:section(kres.section.ANSWER)
	if qry.flags.DNS64_MARK then
		for i = 1, #answer do
			if answer[i].type == kres.type.A then
				local rrs = kres.rrset(answer[i].owner, kres.type.AAAA, answer[i].class, answer[i].ttl)
				rrs:add_rdata(M.prefix:sub(1, 12) .. answer[i].rdata, 16)
				req.answer:begin(kres.section.ANSWER)
				assert(req.answer:put_rr(rrs))
			end
		end
	elseif pkt:qtype() == kres.type.AAAA and pkt:rcode() == kres.rcode.NOERROR and #answer == 0 and qry.parent == nil then
		req:push(pkt:qname(), kres.type.A, kres.class.IN, 0, qry).flags.DNS64_MARK = true
	end
	return state
end }
return M`, "modules = { 'mine' }", "tree.sub.example.com", dns.TypeAAAA, "NOERROR | tree.sub.example.com. 0 IN AAAA 64:ff9b::c000:216 | authority sub.example.com. 0 IN SOA ns.sub.example.com. hostmaster.sub.example.com. 1 7200 3600 1209600 300"},
		"addresses of a subnet by those of another": {`local ffi, M, prefixes = require('ffi'), {}, {}
local function prefix(subnet, addr)
	local p = { subnet = ffi.new('char[16]'), addr = kres.str2ip(addr) }
	p.bits = ffi.C.kr_straddr_subnet(p.subnet, subnet)
	p.family = ffi.C.kr_straddr_family(subnet)
	return p
end
function M.config(conf) for _, c in ipairs(conf) do table.insert(prefixes, prefix(c[1], c[2])) end end
local function rewritten(rr)
	for _, p in ipairs(prefixes) do
		if (rr.type == kres.type.A and p.family == 2 or rr.type == kres.type.AAAA and p.family == 10) and ffi.C.kr_bitcmp(p.subnet, ffi.cast('char *', rr.rdata), p.bits) == 0 then
			return p.addr:sub(1, p.bits / 8) .. rr.rdata:sub(p.bits / 8 + 1)
		end
	end
end
M.layer = { finish = function(state, req)
	local ans = kres.pkt_t(kres.request_t(req).answer)
	local records, changed = ans:section(kres.section.ANSWER), false
	for _, rr in ipairs(records) do
		local data = rewritten(rr)
		rr.rdata, changed = data or rr.rdata, changed or data ~= nil
	end
	if not changed then return state end
	local qname, qclass, qtype = ans:qname(), ans:qclass(), ans:qtype()
	ans:recycle()
	ans:question(qname, qclass, qtype)
	ans:begin(kres.section.ANSWER)
	for _, rr in ipairs(records) do
		if rr.type ~= kres.type.RRSIG then ans:put(rr.owner, rr.ttl, rr.class, rr.type, rr.rdata) end
	end
	return state
end }
return M`, "modules = { mine = { { '192.0.2.0/24', '10.20.30.0' }, { '2001:db8::/32', 'fd00:1::' } } }", "mail.example.com", dns.TypeA, "NOERROR | mail.example.com. 0 IN A 10.20.30.25"},
		"names that clients of a subnet do not see": {`local ffi, M, blocks = require('ffi'), {}, {}
function M.config(conf)
	for subnet, names in pairs(conf) do
		local addr = ffi.new('char[16]')
		local block = { addr = addr, bits = ffi.C.kr_straddr_subnet(addr, subnet), family = ffi.C.kr_straddr_family(subnet), names = {} }
		for _, name in ipairs(names) do block.names[todname(name)] = true end
		table.insert(blocks, block)
	end
end
M.layer = { begin = function(state, req)
	local src, name = req.qsource.addr, req:current().sname
	if src == nil then return state end
	for _, b in ipairs(blocks) do
		if b.names[name] and src:family() == b.family and ffi.C.kr_bitcmp(ffi.cast('char *', b.addr), src:ip(), b.bits) == 0 then
			req:ensure_answer():rcode(kres.rcode.REFUSED)
			return kres.DONE
		end
	end
	return state
end }
return M`, "modules = { mine = { ['10.0.0.0/8'] = { 'www.example.com' }, ['127.0.0.0/8'] = { 'mail.example.com' } } }", "mail.example.com", dns.TypeA, "REFUSED | "},
		"servers that are asked plainly": {`local M, seen = { layer = {} }, {}
M.layer.produce = function(state, req, pkt)
	local flags = req:current().flags
	flags.SAFEMODE, flags.NO_MINIMIZE, flags.NO_0X20 = true, true, true
	return state
end
return M`, "modules = { 'mine < iterate' }", "mail.example.com", dns.TypeA, "NOERROR | mail.example.com. 0 IN A 192.0.2.25"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			everyWay(t, luaGroup(t, map[string]string{"mine.lua": c.text}, c.load), c.name, c.qtype, c.want)
		})
	}
}
