package dnslua_test

import (
	"testing"

	"kresd/internal/dnslua/dnsluatest"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

// handed makes a global function that tries every method of a value, every function of kres
// and of the libraries, with all sorts of arguments. A panic inside fails the test (newWorld).
const handed = `
	local values = { nil, 1.5, 0/0, -1, 0, 1, 65535, 2^53, '\0', ('\255'):rep(300), '\7example\0', { owner = '\0', type = 1, rdata = 'abcd' }, function() end,
		kres.packet(512), kres.rrset('\7example\0', kres.type.RRSIG), kres.mk_qflags('TCP') }
	local n = 16
	function try(call)
		for i = 1, n do
			pcall(call)
			pcall(call, values[i])
			for k = 1, n do
				pcall(call, values[i], values[k])
				pcall(call, values[i], values[k], values[(i * 7 + k) % n + 1], values[(i * 3 + k * 5) % n + 1], values[(i + k * 7) % n + 1])
			end
		end
	end
	function fields(value, names)
		for name in names:gmatch('%S+') do
			for i = 1, n do
				pcall(function() return tostring(value[name]) end)
				pcall(function() value[name] = values[i] end)
				pcall(function() return value[values[i]] end)
			end
		end
		pcall(function() return #value end)
		pcall(function() for _, v in ipairs(value) do tostring(v) end end)
		pcall(function() return tostring(value) end)
	end
	function methods(value, names)
		for name in names:gmatch('%S+') do
			try(function(...) return value[name](value, ...) end)
			pcall(function() return value[name]() end)
			pcall(function() return value[name]('x') end)
		end
	end`

const (
	packetMethods = "id opcode rcode qdcount ancount nscount arcount rd tc aa qr cd ad ra dobit qname qtype qclass section rrsets empty towire tostring remaining_bytes begin put put_rr clear_payload question parse resize recycle"
	setMethods    = "owner ttl rdcount rdata rdata_pt get tostring txt_dump type_covered is_covered_by wire_size class add_rdata merge_rdata"
)

// No value that a script can give makes anything panic.
func TestNoValueMakesAnythingPanic(t *testing.T) {
	w := dnsluatest.New(t)
	w.Run(handed)
	for _, p := range []string{"kres.packet(512)", "kres.packet(12)", "kres.packet(512, ('\\0'):rep(12))", "kres.packet(512, ('\\255'):rep(30))"} {
		w.Run("local p = " + p + "\nmethods(p, '" + packetMethods + "') fields(p, 'wire size max_size opt_rr tsig_rr nosuch')")
	}
	for _, s := range []string{"kres.rrset()", "kres.rrset('\\7example\\0', kres.type.RRSIG)", "kres.rrset('\\7example\\0', kres.type.OPT)"} {
		w.Run("local s = " + s + "\nfields(s, 'type rclass _owner _ttl rrs') methods(s, '" + setMethods + "') fields(s.rrs, 'count rdata size') for i = 0, 3 do pcall(function() fields(s:rdata_pt(i), 'data len 0') end) end")
	}
	w.Run(`local map = kres.lru(3)
		methods(map, 'get set get_ref')
		fields(map:get_ref('x', 1, true) or {}, '0')
		local parser = require('zonefile').new()
		methods(parser, 'open parse current_rr strerr')
		fields(parser, 'r_owner r_type line_counter')
		for name, f in pairs(kres) do if type(f) == 'function' then try(f) end end
		for _, name in ipairs{ 'string', 'new' } do try(require('zonefile')[name]) end
		local ffi = require('ffi')
		for _, name in ipairs{ 'string', 'istype', 'cast', 'gc', 'copy', 'new' } do try(ffi[name]) end
		for _, name in ipairs{ 'kr_pkt_make_auth_header', 'knot_dname_is_equal', 'knot_dname_in_bailiwick', 'knot_dname_labels', 'kr_qflags_set', 'kr_qflags_clear', 'kr_now',
			'kr_bitcmp', 'kr_straddr_subnet', 'kr_straddr_family', 'kr_dnssec_key_tag', 'free' } do try(ffi.C[name]) end`)
}

// Nor does it where a request is at hand, before, while and after it is resolved.
func TestNoValueMakesARequestPanic(t *testing.T) {
	w := dnsluatest.New(t)
	w.Run(handed)
	const all = `
		methods(req, 'current initial resolved first_resolved last push pop vars ensure_answer selected_tostring set_extended_error')
		fields(req, 'answer current_query state options rank uid qsource upstream has_tls rplan answ_selected auth_selected add_selected trace_log trace_finish pool')
		local qry = req:current()
		fields(qry, 'sname stype flags forward_flags stale_cb parent cname_parent fails timestamp ns zone_cut request id uid')
		methods(qry, 'name write')
		fields(qry.zone_cut, 'name key trust_anchor parent')
		fields(qry.ns, 'name score reputation')
		fields(qry.timestamp, 'tv_sec tv_usec')
		fields(qry.flags, 'TCP NOSUCH')
		fields(req.qsource, 'addr dst_addr packet opt key size tcp flags')
		fields(req.upstream, 'addr rtt')
		fields(req.rplan, 'pending resolved initial')
		for _, list in ipairs{ req.answ_selected, req.rplan.pending, req.rplan.resolved } do
			fields(list, 'len at')
			methods(list, 'get')
			fields(list.at, '0 1 -1')
			for _, one in ipairs(list) do fields(one, 'rr rank cached expiring to_wire qry_uid') end
		end
		methods(req.answer, '` + packetMethods + `')
		fields(req.answer, 'wire size max_size opt_rr tsig_rr')`
	for _, req := range []*resolve.Request{dnsluatest.Finished(t, "www.example."), {Question: dnsluatest.Finished(t, ".").Question}} {
		w.Run("keep(function(req)\n" + all + "\nend)")
		view := w.Views.Of(req)
		w.Do(func(*script.Call) error { // without the limit of a hook's time
			return view.During(true, func() error {
				_, err := w.Kept.Call(w.Views.Handle(view))
				return err
			})
		})
	}
}
