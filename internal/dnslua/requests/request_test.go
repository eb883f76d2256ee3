package requests_test

import (
	"strings"
	"testing"
	"time"

	"kresd/internal/dnslua/dnsluatest"
	"kresd/internal/ede"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
)

func TestARequestIsRead(t *testing.T) {
	w := dnsluatest.New(t)
	w.Shown(dnsluatest.Finished(t, "www.example."), true, `
		assert(type(req) == 'cdata' and req == kres.request_t(req))
		assert(req.uid == 7 and req.state == kres.DONE and req.rank == kres.rank.SECURE + kres.rank.AUTH and not req.has_tls)
		assert(tostring(req.qsource.addr) == '192.0.2.9#5353' and req.qsource.addr:ip() == '\192\0\2\9' and req.qsource.addr:port() == 5353)
		assert(req.qsource.addr:len() == 4 and req.qsource.addr:family() == 2 and kres.sockaddr_t(req.qsource.addr) == req.qsource.addr)
		assert(tostring(req.qsource.dst_addr) == '127.0.0.1#53' and req.qsource.tcp and req.qsource.flags.tcp and not req.qsource.flags.tls)
		assert(req.qsource.packet:qname() == todname('www.example') and req.qsource.packet:rd() and req.qsource.packet:dobit() and req.qsource.opt:class() == 1400)
		assert(req.qsource.packet:id() == 4711 and req.qsource.opt:rdata(0) == '\0\10\0\8\1\2\3\4\5\6\7\8')
		assert(req.qsource.size == #req.qsource.packet and req.qsource.size == 12 + 17 + 11 + 12 and req.qsource.key == nil)
		assert(type(req.pool) == 'cdata' and not pcall(function() return req.pool.x end))
		assert(req.upstream.addr == nil and req.upstream.rtt == 0)
		local qry = req:current()
		assert(qry == req.current_query and qry == req:initial() and qry.request == req and qry.id == 0 and qry.uid == 0)
		assert(qry:name() == qry.sname and kres.dname2str(qry.sname) == 'www.example.' and qry.stype == kres.type.A and qry.sclass == kres.class.IN)
		assert(qry.parent == nil and qry.cname_parent == nil and qry.fails == 0 and qry.timestamp.tv_sec == 1000)
		assert(qry.zone_cut.name == nil and qry.zone_cut.trust_anchor == nil and qry.ns.name == nil)
		assert(not qry.flags.NO_CACHE)
		qry.flags.NO_CACHE = true
		assert(qry.flags.NO_CACHE and req.options.NO_CACHE)
		qry.flags = kres.mk_qflags{ 'TCP', 'STUB' }
		assert(qry.flags.TCP and qry.flags.STUB and not qry.flags.NO_CACHE)
		qry.forward_flags.NO_CACHE = true
		assert(qry.forward_flags.NO_CACHE and not qry.flags.NO_CACHE and not qry.forward_flags.TCP)
		qry.forward_flags = kres.mk_qflags{ 'STUB' }
		assert(qry.forward_flags.STUB and not qry.forward_flags.NO_CACHE and qry.flags.TCP)
		assert(qry.stale_cb == nil and select(2, pcall(function() qry.stale_cb = print end)):find('serve_stale.callback', 1, true))
		assert(req:resolved() == nil and req:last() == nil and req:first_resolved() == nil)
		assert(req.rplan.pending.len == 0 and #req.rplan.resolved == 0)
		local pkt = kres.packet(512)
		assert(qry:write(pkt) and pkt:qname() == qry.sname and pkt:qtype() == qry.stype)
		req:vars().n = 5
		assert(req:vars().n == 5)
		assert(not pcall(function() req.nosuch = 1 end) and not pcall(function() return req.nosuch end))
		assert(not pcall(req.push, req, qry.sname, 1, 1) and not pcall(req.pop, req, qry))
		req.state = kres.FAIL
		assert(req.state == kres.FAIL)
	`)
}

// What only the program itself asks has no message of a client's. One was made up.
func TestAnInternalRequestHasNoMessage(t *testing.T) {
	w := dnsluatest.New(t)
	req := dnsluatest.Finished(t, "www.example.")
	req.Message = nil
	w.Shown(req, true, `assert(req.qsource.packet == nil and req.qsource.opt == nil and req.qsource.size == 0)`)
}

func TestSelectedSets(t *testing.T) {
	w := dnsluatest.New(t)
	w.Shown(dnsluatest.Finished(t, "www.example."), true, `
		local list = req.answ_selected
		assert(list.len == 2 and #list == 2 and req.auth_selected.len == 0 and req.add_selected.len == 0)
		assert(list.at[0].rr.type == kres.type.A and list.at[0].rr:rdcount() == 2 and list.at[0].rank == kres.rank.SECURE + kres.rank.AUTH)
		assert(list:get(1).rr:type_covered() == kres.type.A and list.at[0].rr:is_covered_by(list.at[1].rr))
		assert(list.at[0].cached and list.at[0].expiring and list.at[0].to_wire and list.at[0].qry_uid == 0)
		local n = 0
		for i, one in ipairs(list) do n = n + i assert(one == list.at[i - 1] or one.rr:rdcount() > 0) end
		assert(n == 3)
		assert(not pcall(function() return list.at[2] end) and not pcall(function() return list.at[-1] end) and not pcall(list.get, list, 5))
		assert(req:selected_tostring():find('; rank: secure, auth\nwww.example.        \t3\tA\t192.0.2.1\n', 1, true), req:selected_tostring())
	`)
}

// What a script does to the answer is what the client is told.
func TestAnAnswerIsMade(t *testing.T) {
	w := dnsluatest.New(t)
	req := dnsluatest.Finished(t, "www.example.")
	w.Shown(req, true, `
		local answer = req:ensure_answer()
		assert(answer == req.answer and answer:qr() and answer:ra() and answer:ad() and answer:rd() and not answer:aa() and answer:dobit())
		assert(answer:ancount() == 3 and #answer:section(0) == 3 and answer:section(0)[3].type == kres.type.RRSIG and #answer:rrsets(0) == 2)
		assert(answer:qname() == todname('www.example') and answer:qdcount() == 1)
		answer:clear_payload()
		assert(answer:empty() and answer:ancount() == 0)
		assert(answer:question(answer:qname(), answer:qclass(), answer:qtype()) and answer:question(todname('b'), 1, 1) == nil)
		answer:aa(true)
		answer:ad(false)
		answer:ra(false)
		answer:tc(1)
		answer:rcode(kres.rcode.NXDOMAIN)
		assert(answer:aa() and not answer:ad() and not answer:ra() and answer:tc() and answer:rcode() == 3)
		assert(answer:begin(kres.section.ANSWER) and answer:put(answer:qname(), 9, 1, 1, 'abcd') and answer:put(answer:qname(), 8, 1, 1, 'efgh'))
		local set = kres.rrset(todname('ns.example'), kres.type.A, 1, 5)
		set:add_rdata('ijkl')
		set:add_rdata('mnop')
		assert(answer:begin(kres.section.ADDITIONAL) and answer:put_rr(set, 1))
		assert(not pcall(answer.id, answer, 5) and not pcall(answer.ancount, answer, 5) and not pcall(answer.opcode, answer, 5))
		assert(answer:arcount() == 2 and answer:section(2)[1].rdata == 'mnop' and answer.max_size == 65535)
		req:set_extended_error(kres.extended_error.FILTERED, 'no')
	`)
	res := &req.Result
	if !res.AA || !res.TC || res.Rcode != 3 || !res.NoCache || res.HeaderOff != wire.FlagAD|wire.FlagRA || res.HeaderOn != 0 || res.EDE != ede.Filtered || res.EDEText != "no" {
		t.Errorf("%+v", res)
	}
	if len(res.Answer) != 1 || res.Answer[0].TTL != 8 || len(res.Answer[0].Data) != 2 || res.Answer[0].Rank != rank.Auth|rank.Insecure {
		t.Errorf("answer %+v", res.Answer)
	}
	if len(res.Additional) != 1 || string(res.Additional[0].Data[0]) != "mnop" {
		t.Errorf("additional %+v", res.Additional)
	}
}

// What a script has changed is not what was proven, whichever change it is.
func TestAnAnswerThatAScriptChangesIsNotProven(t *testing.T) {
	w := dnsluatest.New(t)
	for _, change := range []string{
		"req.answer:rcode(kres.rcode.NXDOMAIN)", "req.answer:clear_payload()", "req.answer:aa(true)",
		"assert(req.answer:begin(kres.section.ANSWER) and req.answer:put(req.answer:qname(), 9, 1, 1, 'abcd'))",
	} {
		req := dnsluatest.Finished(t, "www.example.")
		w.Shown(req, true, change)
		if req.Result.Rank != rank.Auth|rank.Insecure || !req.Result.NoCache {
			t.Errorf("%s: rank %d, kept %t", change, req.Result.Rank, !req.Result.NoCache)
		}
	}
	req := dnsluatest.Finished(t, "www.example.")
	if w.Shown(req, true, "assert(req.answer:ad() and req.answer:rcode() == 0)"); !req.Result.Rank.IsSecure() || req.Result.NoCache {
		t.Errorf("a look at it has changed it: %+v", req.Result)
	}
}

// Whatever belongs to a request that is over raises an error when a script uses it.
func TestNothingOfARequestIsUsedAfterItsEnd(t *testing.T) {
	w := dnsluatest.New(t)
	w.Shown(dnsluatest.Finished(t, "www.example."), true, `
		kept = {
			req = req, qry = req:current(), pkt = req.answer, source = req.qsource.packet, qsource = req.qsource, flags = req.options,
			qflags = req:current().flags, set = req.answer:rrsets(0)[1], list = req.answ_selected, at = req.answ_selected.at, one = req.answ_selected.at[0],
			rr = req.answ_selected.at[0].rr, plan = req.rplan, pending = req.rplan.pending, upstream = req.upstream, cut = req:current().zone_cut,
			ns = req:current().ns, stamp = req:current().timestamp, rdata = req.answer:rrsets(0)[1]:rdata_pt(0), rrs = req.answer:rrsets(0)[1].rrs,
			wire = req.answer.wire, opt = req.qsource.packet.opt_rr,
		}
		next_of, state, first = ipairs(req.answ_selected)
		iterated = select(2, next_of(state, first))
	`)
	for _, use := range []string{
		"kept.req.uid", "kept.req:current()", "kept.req:vars()", "kept.req:push(todname('a'), 1, 1)", "kept.req.answer", "kept.qry.sname", "kept.qry:name()",
		"kept.qry.flags", "kept.pkt:rcode()", "kept.pkt:rcode(1)", "kept.pkt.size", "#kept.pkt", "ipairs(kept.pkt)", "kept.pkt:put(todname('a'), 1, 1, 1, 'abcd')",
		"kept.source:qname()", "kept.qsource.addr", "kept.flags.TCP", "kept.qflags.TCP", "kres.mk_qflags(kept.qflags).TCP", "kept.set:owner()", "kept.set:add_rdata('abcd')",
		"#kept.set", "kept.list.len", "#kept.list", "ipairs(kept.list)", "kept.list:get(0)", "kept.at[0]", "kept.one.rr", "kept.rr:rdata(0)", "kept.plan.pending",
		"kept.pending.len", "kept.upstream.addr", "kept.cut.name", "kept.ns.name", "kept.stamp.tv_sec", "kept.rdata[0]", "kept.rdata.data[0]", "kept.rrs.count",
		"kept.wire[0]", "kept.opt:class()", "iterated.rr", "(function() kept.flags.TCP = true end)()", "(function() kept.qry.flags = 0 end)()", "(function() kept.req.state = 1 end)()", "(function() kept.set._ttl = 1 end)()",
		"kres.packet(512):put_rr(kept.set)", "kept.qry:write(kres.packet(512))", "kres.packet(512, kept.wire)",
	} {
		if got := w.Eval(use); !strings.Contains(got, "this request is over") {
			t.Errorf("%s\n got %q", use, got)
		}
	}
	for name, want := range map[string]string{
		"req": "request", "qry": "query", "pkt": "packet", "set": "RR set", "flags": "flag set", "one": "selected set", "rr": "RR set", "list": "array",
	} {
		w.Expect(dnsluatest.Step{"tostring(kept." + name + ")", want + "\n"})
	}
}

// A hook that is called before the resolution began found no query that was last, and none
// that waits, where the client's question is both.
func TestTheQuestionWaitsBeforeTheResolution(t *testing.T) {
	w := dnsluatest.New(t)
	req := &resolve.Request{Question: dnsluatest.Finished(t, "www.example.").Question}
	w.Shown(req, false, `
		assert(req:last().sname == todname('www.example') and req:resolved() == nil and #req.rplan.resolved == 0)
		assert(req.rplan.pending.len == 1 and req.rplan.pending.at[0].sname == req:last().sname and req.rplan.initial.stype == kres.type.A)`)
	w.Shown(req, true, "assert(req:last() == nil and req.rplan.pending.len == 0)")
}

// An error in a hook closes the request, too, and another request has its own objects.
func TestARequestIsOverAfterAnError(t *testing.T) {
	w := dnsluatest.New(t)
	if err := w.Show(dnsluatest.Finished(t, "a."), true, "kept = req error('oops')"); err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("got %v", err)
	}
	w.Shown(dnsluatest.Finished(t, "b."), true, `
		assert(not pcall(function() return kept.uid end))
		assert(kept ~= req and req:current().sname == todname('b'))`)
}

// A script reads what became of a query as its flags.
func TestFlagsTellWhatBecameOfAQuery(t *testing.T) {
	w := dnsluatest.New(t)
	w.Run(`keep(function(req)
		local set = {}
		for _, name in ipairs{ 'RESOLVED', 'CACHED', 'DNSSEC_WANT', 'DNSSEC_BOGUS', 'DNSSEC_INSECURE', 'CNAME', 'TCP' } do
			if req:current().flags[name] then table.insert(set, name) end
		end
		return table.concat(set, ' ')
	end)`)
	set := func(r rank.Rank, t uint16) []resolve.Set {
		return []resolve.Set{{Rank: r, RRset: wire.RRset{Owner: "\x00", Type: t, Class: 1, Data: [][]byte{{0}}}}}
	}
	for _, tc := range []struct {
		name string
		q    *resolve.Query
		want string
	}{
		{"pending", &resolve.Query{}, ""},
		{"referred", &resolve.Query{Outcome: resolve.Outcome{Kind: resolve.Referral}}, ""},
		{"useless", &resolve.Query{Outcome: resolve.Outcome{Kind: resolve.Lame}}, ""},
		{"denied, with hooks to come", &resolve.Query{Outcome: resolve.Outcome{Kind: resolve.NoData}}, "RESOLVED"},
		{"an alias, with hooks to come", &resolve.Query{Outcome: resolve.Outcome{Kind: resolve.Alias, Answer: set(rank.Insecure, wire.TypeCNAME)}}, "RESOLVED CNAME"},
		{"proven", &resolve.Query{Solved: true, Outcome: resolve.Outcome{Kind: resolve.Positive, Answer: set(rank.Secure|rank.Auth, wire.TypeA)}}, "RESOLVED DNSSEC_WANT"},
		{"unsigned", &resolve.Query{Solved: true, Outcome: resolve.Outcome{Kind: resolve.Positive, Cached: true, Answer: set(rank.Insecure|rank.Auth, wire.TypeCNAME)}}, "RESOLVED CACHED DNSSEC_INSECURE CNAME"},
		{"bogus", &resolve.Query{Solved: true, Outcome: resolve.Outcome{Kind: resolve.Positive, Answer: set(rank.Bogus, wire.TypeA)}}, "RESOLVED DNSSEC_BOGUS"},
	} {
		view := w.Views.Of(&resolve.Request{})
		view.At(tc.q)
		var got any
		w.Do(func(*script.Call) error {
			return view.During(false, func() error {
				results, err := w.Kept.Call(w.Views.Handle(view))
				if err == nil {
					got = results[0]
				}
				return err
			})
		})
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
}

// timestamp_mono is when a question was sent for a query, and creation_time_mono when its
// turn came, in milliseconds of ffi.C.kr_now(); of a query that is still to come, when the
// request was shown first.
func TestTimesOfAQuery(t *testing.T) {
	w := dnsluatest.New(t)
	at := 10 * time.Second
	w.Views.Mono = func() time.Duration { return at }
	req := dnsluatest.Finished(t, "www.example.com.")
	view := w.Views.Of(req)
	at += time.Minute
	now := time.Now()
	for _, c := range []struct {
		q             *resolve.Query
		created, sent float64
	}{
		{&resolve.Query{}, 10_000, 10_000},
		{&resolve.Query{Begun: now.Add(-20 * time.Second)}, 50_000, 50_000},
		{&resolve.Query{Begun: now.Add(-20 * time.Second), Sent: now.Add(-5 * time.Second)}, 50_000, 65_000},
	} {
		var created, sent float64
		view.At(c.q)
		w.Run("keep(function(req) local q = req:current() return q.creation_time_mono, q.timestamp_mono end)")
		w.Do(func(*script.Call) error {
			return view.During(false, func() error {
				results, err := w.Kept.Call(w.Views.Handle(view))
				if err == nil {
					created, sent = results[0].(float64), results[1].(float64)
				}
				return err
			})
		})
		if near := func(got, want float64) bool { return got <= want && got > want-5000 }; !near(created, c.created) || !near(sent, c.sent) {
			t.Errorf("%v, %v: created at %.0f, sent at %.0f, want %.0f and %.0f", c.q.Begun, c.q.Sent, created, sent, c.created, c.sent)
		}
	}
}
