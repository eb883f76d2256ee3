package records_test

import (
	"testing"

	"kresd/internal/dnslua/dnsluatest"
)

// Records are written in the style that a script asks for, by a table or by what ffi.new
// makes of knot_dump_style_t; what is no style is refused.
func TestRecordsAreWrittenInAStyle(t *testing.T) {
	w := dnsluatest.New(t)
	w.Run(`
		local ffi, data = require('ffi'), kres.parse_rdata
		local mx = { owner = '\1a\0', ttl = 90061, class = kres.class.CH, type = kres.type.MX, rdata = data { 'MX 10 m.' }[1] }
		local owner = 'a.' .. (' '):rep(18)
		local function is(got, want) if got ~= want then error('got ' .. got .. ', want ' .. want, 2) end end
		is(kres.rr2str(mx), owner .. '\t90061\tMX\t10 m.')
		is(kres.rr2str(mx, nil), owner .. '\t90061\tMX\t10 m.')
		is(kres.rr2str(mx, { show_class = true }), owner .. '\t90061\tCH\tMX\t10 m.')
		is(kres.rr2str(mx, { show_ttl = false, show_class = true }), owner .. '\tCH\tMX\t10 m.')
		is(kres.rr2str(mx, { human_ttl = true, wrap = false }), owner .. '\t1D1h1m1s\tMX\t10 m.')
		is(kres.rr2str(mx, { generic = true }), owner .. '\t90061\tMX\t\\# 5 000a016d00')
		mx.ttl, mx.comment = 0, 'note'
		local style = ffi.new('knot_dump_style_t', { human_ttl = true })
		style.show_class = true
		is(kres.rr2str(mx, style), owner .. '\t0s\tCH\tMX\t10 m. ;note')

		local sig = data { 'RRSIG A 13 2 300 20261129000000 20261128000000 7 a. c2lnbmF0dXJl' }[1]
		local set = kres.rrset('\1a\0', kres.type.RRSIG, 1, 60)
		set:add_rdata(sig)
		is(set:txt_dump(), owner .. '\t60\tRRSIG\tA 13 2 300 20261129000000 20261128000000 7 a. c2lnbmF0dXJl\n')
		is(set:txt_dump({ human_timestamp = false, hide_crypto = true }), owner .. '\t60\tRRSIG\tA 13 2 300 1795910400 1795824000 7 a. [omitted]\n')
		local ds = kres.rrset('\1a\0', kres.type.DS, 1, 60)
		ds:add_rdata('\1\2\13\2abcd')
		is(ds:txt_dump({ hide_crypto = true }), owner .. '\t60\tDS\t258 13 2 [omitted]\n')
		for wrong, why in pairs {
			['{ wrap = true }'] = "'wrap' is not in this version", ['{ colour = true }'] = "there is no field 'colour'", ['{ generic = 1 }'] = "the field 'generic' is true or false",
			['5'] = 'table expected', ["'x'"] = 'table expected',
		} do
			local ok, got = pcall(loadstring('kres.rr2str({ owner = "\\0", type = 1, rdata = "abcd" }, ' .. wrong .. ')'))
			assert(not ok and got:find(why, 1, true), wrong .. ': ' .. tostring(got))
		end`)
}
