package bindings

import (
	"net/netip"
	"strings"
	"testing"

	"kresd/internal/cache"
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

func TestTheContextOfAWorker(t *testing.T) {
	w := newWorld(t)
	w.d.Settings.Bufsize.Store(1232)
	w.expect(
		step{"cache.size = 1*MB", ""},
		step{"kres.context().options.NO_MINIMIZE", "false\n"},
		step{"kres.context().options.NO_MINIMIZE = true", ""},
		step{"option('NO_MINIMIZE')", "true\n"},
		step{"kres.mk_qflags(kres.context().options).NO_MINIMIZE", "true\n"},
		step{"require('ffi').C.kr_qflags_clear(kres.context().options, kres.mk_qflags('NO_MINIMIZE'))", "nil\n"},
		step{"option('NO_MINIMIZE')", "false\n"},
		step{"kres.context().opt_rr:class()", "1232\n"},
		step{"kres.context().root_hints.name == '\\0'", "true\n"},
		step{"#kres.context().trust_anchors + #kres.context().negative_anchors", "0\n"},
		step{"type(kres.context().cache)", "cdata\n"},
		step{"kres.context().cache.stats.insert", "3\n"},
		step{"kres.context().cache.stats.nosuch", "ERROR error: the cache has no figure 'nosuch'…"},
		step{"kres.context().cache.ttl_min", "5\n"},
		step{"kres.context().cache.ttl_max", "518400\n"},
		step{"kres.context().cache.ttl_min = 7", ""},
		step{"cache.min_ttl()", "7\n"},
		step{"kres.context().cache.ttl_max = 6", "ERROR …"},
		step{"kres.context().cache.ttl_max = 700", ""},
		step{"cache.max_ttl()", "700\n"},
		step{"kres.context().cache.size = 5", "ERROR …"},
		step{"kres.context().nosuch", "ERROR error: a context has no 'nosuch' here; it has options, cache…"},
	)
	if w.changes == 0 {
		t.Error("nobody was told of the changed option")
	}
}

func TestSetsAreInsertedIntoTheCache(t *testing.T) {
	w := newWorld(t)
	const insert = `
		local c = kres.context().cache
		local rr = kres.rrset('\3com\0', kres.type.MX, kres.class.IN, 66)
		rr:add_rdata('\0\5\4MAIL\3com\0')
		local sig = kres.rrset('\3com\0', kres.type.RRSIG, kres.class.IN, 66)
		sig:add_rdata('\0\15' .. ('\0'):rep(16) .. '\3com\0sig')
		local ok, err = c:insert(rr, sig, kres.rank.SECURE + kres.rank.AUTH, 77)
		if not ok then return tostring(err) end
		assert(c:sync() == true and c:commit() == true)
		return 'done'`
	w.expect(step{insert, "no cache is open: open one with cache.open() or cache.size"})
	w.expect(step{"cache.size = 1*MB", ""}, step{insert, "done"})
	if len(w.cache.inserted) != 1 || w.cache.told != 77 || w.cache.synced != 2 {
		t.Fatalf("%+v", w.cache)
	}
	set := w.cache.inserted[0]
	if string(set.Data[0]) != "\x00\x05\x04mail\x03com\x00" || len(set.Sigs) != 1 || set.TTL != 66 || set.Rank != rank.Secure|rank.Auth {
		t.Errorf("%+v", set)
	}
	for _, c := range []string{
		"kres.rrset('\\3com\\0', kres.type.A)",
		"(function() local s = kres.rrset('\\3com\\0', kres.type.A) s:add_rdata('abc') return s end)()",
		"(function() local s = kres.rrset('\\3com\\0', kres.type.OPT) s:add_rdata('') return s end)()",
		"(function() local s = kres.rrset('\\3com\\0', kres.type.A) s:add_rdata('abcd') return s end)(), kres.packet(512)",
		"(function() local s = kres.rrset('\\3com\\0', kres.type.A) s:add_rdata('abcd') return s end)(), (function() local s = kres.rrset('\\3com\\0', kres.type.RRSIG) s:add_rdata('abcd') return s end)()",
		"5", "",
	} {
		w.expect(step{"kres.context().cache:insert(" + c + ")", "ERROR …"})
	}
	if len(w.cache.inserted) != 1 {
		t.Errorf("%d sets were inserted", len(w.cache.inserted))
	}
}

func TestWhatTheCacheHoldsIsShown(t *testing.T) {
	w := newWorld(t)
	name := mustName(t, "www.example")
	sig := make([]byte, wire.SigFixed+1)
	sig[1] = byte(wire.TypeA)
	a := resolve.Set{RRset: wire.RRset{Owner: name, Type: wire.TypeA, Class: 1, TTL: 60, Data: [][]byte{{192, 0, 2, 1}}, Sigs: [][]byte{sig}}}
	soa := resolve.Set{RRset: wire.RRset{Owner: mustName(t, "example"), Type: wire.TypeSOA, Class: 1, TTL: 5, Data: [][]byte{append([]byte("\x00\x00"), make([]byte, 20)...)}}}
	w.cache.shown = map[dnsname.Name][]cache.Shown{name: {
		{Kind: cache.ShownSet, Type: wire.TypeA, Class: 1, Rank: rank.Secure | rank.Auth, Age: 3, Left: 57, Sets: []resolve.Set{a, soa}},
		{Kind: cache.ShownNoData, Type: wire.TypeAAAA, Class: 1, Rank: rank.Insecure, Partition: 255, Sets: []resolve.Set{soa}},
		{Kind: cache.ShownNXDomain, Class: 1, Sets: []resolve.Set{soa}},
		{Kind: cache.ShownCut, Type: wire.TypeNS, Class: 1, Cut: &zonecut.Cut{
			Name: name, NS: []zonecut.NameServer{{Name: mustName(t, "ns.example"), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.53")}}}, DS: &soa.RRset,
		}},
		{Kind: cache.ShownFailure, Type: wire.TypeA, Class: 1, Failed: ede.NetworkError, Reason: "nobody answers"},
		{Kind: cache.ShownAnswer, Type: wire.TypeA, Class: 1, Rcode: 3, DO: true, Sets: []resolve.Set{a}},
	}}
	w.expect(step{"cache.get('www.example')", "ERROR error: no cache is open…"})
	w.expect(
		step{"cache.size = 1*MB", ""},
		step{"#cache.get('WWW.example.')", "6\n"},
		step{"#cache.get('other.example')", "0\n"},
		step{"#cache.get('www.example', 'AAAA')", "2\n"}, // that there is none, and that there is no such name
		step{"#cache.get('www.example', kres.type.A)", "4\n"},
		step{"cache.get('www.example', 'AAAA')[1].partition", "00000000000000ff\n"},
		step{"cache.get('a..b')", "ERROR …"}, step{"cache.get()", "ERROR …"}, step{"cache.get('a', 'NOSUCH')", "ERROR …"},
		step{"cache.get('www.example')[1]", "[age] => 3\n[kind] => rrset\n[proofs] => {\n    [1] => www.example. 60 RRSIG A 0 0 0 19700101000000 19700101000000 0 . \n" +
			"    [2] => example. 5 SOA . . 0 0 0 0 0\n}\n[rank] => 48\n[records] => {\n    [1] => www.example. 60 A 192.0.2.1\n}\n[trust] => secure, auth\n[ttl] => 57\n[type] => A\n"},
		step{"local e = cache.get('www.example') return e[2].kind .. e[3].kind .. e[4].kind .. e[5].kind .. e[6].kind", "nodatanxdomaindelegationfailureanswer"},
		step{"local e = cache.get('www.example') return e[4].servers['ns.example.'][1] .. #e[4].proofs .. e[5].reason .. e[6].rcode .. tostring(e[6].dnssec) .. tostring(e[6].cd) .. #e[6].records", "192.0.2.531extended error 23 (network error): nobody answersNXDOMAINtruefalse1"},
		step{"map('#cache.get(\"www.example\")')[1]", "6\n"},
	)
}

func TestAPacketIsResolved(t *testing.T) {
	w, r := withResolver(t)
	w.expect(step{`local p = kres.packet(512)
		p:question(todname('www.example'), kres.class.IN, kres.type.A)
		p:cd(true)
		p:begin(2)
		p:put('\0', 0x8000, 1232, kres.type.OPT, '')
		return tostring(worker.resolve_pkt(p, 'NO_CACHE', function(pkt, req) told = pkt:qname() end, function(req) asked = req:initial().stype end))`, "true"})
	req := <-r.asked
	if req.Name != mustName(t, "www.example") || req.Type != wire.TypeA || !req.DO || !req.CD || !req.Options.BypassCache {
		t.Errorf("%+v", req)
	}
	eventually(t, "the answer is told", func() bool { return w.eval("told == todname('www.example') and asked") == "1\n" })
	for _, args := range []string{"", "5", "kres.packet(512)", "kres.packet(512, ('x'):rep(20))", "'x'"} {
		if got := w.eval("worker.resolve_pkt(" + args + ")"); !strings.HasPrefix(got, "ERROR") {
			t.Errorf("worker.resolve_pkt(%s) gives %q", args, got)
		}
	}
}

// A script hears the steps of a request of its own, then its end, then gets the answer.
func TestAScriptHearsTheStepsOfItsRequest(t *testing.T) {
	w, r := withResolver(t)
	r.step = resolve.WaitsForWorkers{}
	w.expect(step{`resolve { name = 'www.example', type = 'A',
		init = function(req)
			local ffi = require('ffi')
			req.trace_log = ffi.cast('trace_log_f', function(req, line) heard = (heard or '') .. line end)
			req.trace_finish = ffi.cast('trace_callback_f', function(req) heard = heard .. 'end ' .. kres.dname2str(req:current().sname) .. '\n' end)
			later = req
		end,
		finish = function(pkt, req) heard = heard .. 'answer ' .. pkt:rcode() end }`, "…"})
	eventually(t, "the steps are heard", func() bool { return strings.HasSuffix(w.eval("return heard or ''"), "answer 0") })
	if got := w.eval("return heard"); !strings.HasPrefix(got, "[00000.00][") || strings.Count(got, "\n") != 2 || !strings.HasSuffix(got, "\nend www.example.\nanswer 0") {
		t.Errorf("heard %q", got)
	}
	w.expect(step{"later.trace_log = print", "ERROR error: this request is over…"})
}
