package records_test

import (
	"testing"

	"kresd/internal/dnslua/dnsluatest"
)

func TestASetOfRecords(t *testing.T) {
	dnsluatest.New(t).Run(`
		local rr = kres.rrset(todname('com'), kres.type.TXT, kres.class.IN, 66)
		assert(type(rr) == 'cdata' and rr:owner() == '\3com\0' and rr._owner == rr:owner() and rr._ttl == 66 and rr:ttl() == 66 and rr.type == kres.type.TXT)
		assert(rr:class() == kres.class.IN and rr:class(kres.class.CH) == kres.class.CH and rr:class() == kres.class.CH and rr:class(1) == 1)
		assert(rr:wire_size() == 0 and rr:rdcount() == 0 and rr.rrs.count == 0 and #rr == 0)
		assert(rr:add_rdata('\5helloIGNORED', 6))
		assert(rr:wire_size() == 5 + 10 + 6 and rr:rdata(0) == '\5hello' and rr.rrs.count == 1)
		assert(rr:tostring(0) == '"hello"' and rr:tostring() == false)
		assert(rr:txt_dump() == 'com.                \t66\tTXT\t"hello"\n' and tostring(rr) == rr:txt_dump())
		assert(rr:get(0).owner == '\3com\0' and rr:get(0).rdata == '\5hello' and rr:get(0).ttl == 66 and rr:get(0).type == 16 and rr:get(0).class == 1)
		assert(kres.rr2str(rr:get(0)) .. '\n' == rr:txt_dump())
		local pt = rr:rdata_pt(0)
		assert(pt.len == 6 and #pt == 6 and pt.data[0] == 5 and pt.data[1] == ('h'):byte() and not pcall(function() return pt.data[6] end) and not pcall(function() pt.data[0] = 1 end))
		local other = kres.rrset(rr:owner(), rr.type, rr:class(), 5)
		assert(other:add_rdata('\4test', 5) and other:add_rdata('\4test') and other:rdcount() == 1)
		assert(rr:merge_rdata(other) and rr:merge_rdata(rr) and rr:rdcount() == 2 and rr:rdata(0) == '\4test')
		local sig = kres.rrset(todname('com'), kres.type.RRSIG)
		assert(sig:type_covered() == nil and not rr:is_covered_by(sig))
		sig:add_rdata('\0\16', 2)
		assert(sig:type_covered() == kres.type.TXT and sig:type_covered(0) == kres.type.TXT and rr:is_covered_by(sig) and not sig:is_covered_by(rr) and rr:type_covered() == nil)
		local short = kres.rrset(todname('com'), kres.type.RRSIG)
		short:add_rdata('\0')
		assert(short:type_covered() == nil and not rr:is_covered_by(short))
		local empty = kres.rrset()
		assert(empty:owner() == '\0' and empty.type == 0 and empty:class() == 1 and empty:ttl() == 0 and tostring(empty) == '')
		local ok, err = rr:merge_rdata(sig)
		assert(ok == nil and err.code == -22 and tostring(err) == 'the sets differ in owner, type or class')
	`)
}

// Nothing that a script gives a set can make it larger than a message or read beyond it.
func TestWhatASetRefuses(t *testing.T) {
	dnsluatest.New(t).Run(`
		local rr = kres.rrset(todname('a'), kres.type.TXT)
		assert(rr:add_rdata(('x'):rep(60000)))
		local ok, err = rr:add_rdata(('y'):rep(60000))
		assert(ok == nil and tostring(err) == 'more records of one type than a message holds' and rr:rdcount() == 1)
		for _, f in ipairs{
			function() rr:rdata(1) end, function() rr:rdata(-1) end, function() rr:rdata(0.5) end, function() rr:rdata() end, function() rr:get(1) end,
			function() rr:add_rdata() end, function() rr:add_rdata('abc', 4) end, function() rr:add_rdata('abc', -1) end, function() rr:add_rdata(('x'):rep(65536)) end,
			function() kres.rrset('com') end, function() kres.rrset(todname('com'), 65536) end, function() kres.rrset(todname('com'), 1, 1, -1) end,
			function() rr._ttl = 2^31 end, function() rr._owner = 'x' end, function() rr.nosuch = 1 end, function() rr:merge_rdata('x') end,
			function() kres.rrset():rdata(0) end, function() rr.owner() end, function() rr.rdata(5, 0) end,
		} do assert(not pcall(f), 'no error') end
	`)
}
