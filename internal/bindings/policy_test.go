package bindings

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/module"
	"kresd/internal/modules/policy"
	"kresd/internal/modules/view"
	"kresd/internal/resolve"
	"kresd/internal/textfile"
	"kresd/internal/trustanchor"
	"kresd/internal/wire"
)

// rulesWorld is a world with the real policy and real trust anchors.
type rulesWorld struct {
	*world
	inst   *module.Instance
	logged []string
}

func newRulesWorld(t *testing.T) *rulesWorld {
	w := &rulesWorld{}
	w.world = newWorld(t, func(d *Daemon) {
		d.Policy = policy.New(func(s string) { w.logged = append(w.logged, s) }, nil)
		d.Policy.Lists = policy.NewLists(policy.Files{Latest: textfile.Disk, InForce: textfile.Disk, Warn: func(string) {}, Notice: func(string) {}, Changed: func() {}})
		d.View = view.New(d.Policy.NextID)
		d.Anchors = fileAnchors{trustanchor.New()}
	})
	var err error
	if w.inst, err = w.d.Policy.Open(); err != nil {
		t.Fatal(err)
	}
	w.expect(step{"modules.load('policy')", "true\n"})
	return w
}

// fileAnchors are trust anchors that are never fetched.
type fileAnchors struct{ *trustanchor.Store }

func (a fileAnchors) AddFile(_ context.Context, path string, readonly bool) error {
	_, err := a.Store.AddFile(path, readonly)
	return err
}

func (w *rulesWorld) request(name string, qtype uint16) *resolve.Request {
	n, err := dnsname.Parse(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return &resolve.Request{Question: resolve.Question{Name: n, Type: qtype, Class: wire.ClassIN}, RD: true, ID: 77,
		Client: netip.MustParseAddrPort("192.0.2.9:5353"), Result: resolve.Result{EDE: ede.None}}
}

func (w *rulesWorld) begin(name string, qtype uint16) (*resolve.Request, resolve.State) {
	req := w.request(name, qtype)
	return req, w.inst.Layer.Begin(req)
}

func TestPolicyRulesFromScripts(t *testing.T) {
	w := newRulesWorld(t)
	w.expect(
		step{"policy:add(policy.suffix(policy.DENY, { todname('example.cz') }))", "[cb] => policy.suffix(policy.DENY, policy.todnames({ 'example.cz.' }))\n[count] => 0\n[id] => 0\n"},
		step{"policy.add(policy.suffix_common(policy.REFUSE, policy.todnames({'a.cz', 'b.cz'}), todname('cz'))).id", "1\n"},
		step{"policy.add(policy.pattern(policy.DROP, todname('dummy.org'))).id", "2\n"},
		step{"policy.add(policy.domains(policy.DENY_MSG('closed'), { todname('one.org') })).id", "3\n"},
		step{"policy.add(policy.all(policy.PASS), true).id", "4\n"},
		step{"#policy.rules", "4\n"},
		step{"#policy.postrules", "1\n"},
		step{"policy:del(4)", "true\n"},
		step{"policy.del(4)", "false\n"},
	)
	if _, s := w.begin("www.example.cz", wire.TypeA); s != resolve.Done {
		t.Errorf("www.example.cz: state %d", s)
	}
	if _, s := w.begin("x.dummy.org", wire.TypeA); s != resolve.Fail {
		t.Errorf("x.dummy.org: state %d", s)
	}
	if _, s := w.begin("x.one.org", wire.TypeA); s != resolve.Produce {
		t.Errorf("x.one.org: state %d", s)
	}
	w.expect(
		step{"policy.rules[1].count", "1\n"},
		step{"policy.rules[1].suspended = true", ""},
		step{"policy.rules[1].suspended", "true\n"},
	)
	if _, s := w.begin("www.example.cz", wire.TypeA); s != resolve.Produce {
		t.Errorf("a suspended rule was tried: state %d", s)
	}
}

func TestPolicyRefusesMistakes(t *testing.T) {
	w := newRulesWorld(t)
	w.expect(
		step{"policy.add()", "ERROR error: wrong number of arguments…"},
		step{"policy.add(5)", "ERROR error: bad argument #1 to 'policy.add' (policy rule or function expected, got number)…"},
		step{"policy.add(policy.DENY)", "ERROR error: bad argument #1 to 'policy.add' (an action says not for which names; policy.all(policy.DENY) is a rule for all)…"},
		step{"net.listen({policy.DENY})", "ERROR error: net: address expected, or a table of them, got userdata"},
		step{"policy.suffix(policy.DENY, 'example.com')", "ERROR error: bad argument #2 to 'policy.suffix' (table expected, got string)…"},
		step{"policy.suffix(policy.DENY, { 'example.com' })", "ERROR error: bad argument #2 to 'policy.suffix' (entry 1: 'example.com' is no name in wire form; todname('example.com') makes one)…"},
		step{"policy.suffix('DENY', {})", "ERROR error: bad argument #1 to 'policy.suffix' (policy action or function(state, req) expected, got string)…"},
		step{"policy.FORWARD('example.com')", "ERROR error: policy.FORWARD: address 1: 'example.com' is not an IP address with an optional @port"},
		step{"policy.FORWARD({ '1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4', '1.1.1.5' })", "ERROR error: policy.FORWARD: 5 addresses given, at most 4 are possible"},
		step{"policy.STUB({})", "ERROR error: policy.STUB: no address given"},
		step{"policy.DENY_MSG(('x'):rep(256))", "ERROR error: bad argument #1 to 'policy.DENY_MSG' (a message of 256 octets is too long; at most 255)…"},
		step{"policy.FLAGS('NO_SUCH')", "ERROR error: bad argument #1 to 'policy.FLAGS' (unknown flag 'NO_SUCH')…"},
		step{"policy.ANSWER({ A = {} })", "ERROR error: bad argument #1 to 'policy.ANSWER' ('A' is no type; write [kres.type.A] = …"},
		step{"policy.todnames({ 'a..b' })", "ERROR error: policy.todnames: 'a..b': empty label"},
		step{"policy.pattern(policy.DENY, '[')", "ERROR error: bad argument #2 to 'policy.pattern' (malformed pattern…"},
		step{"policy.rpz(policy.DENY, 'file')", "ERROR error: policy.rpz: file: no such file or directory"},
		step{"policy.rpz(5, 'file')", "ERROR error: bad argument #1 to 'policy.rpz' (policy action or function(state, req) expected, got number)…"},
		step{"policy.rpz(policy.DENY, 'file', { nodata = 1 })", "ERROR error: bad argument #3 to 'policy.rpz' (true, false or { watch = boolean, nodata = boolean } expected)…"},
		step{"policy.rpz(policy.DENY, 'file', 'x')", "ERROR error: bad argument #3 to 'policy.rpz' (…"},
		step{"policy.add(policy.all(policy.DENY)).count = 5", "ERROR error: 'count' of a rule cannot be assigned; suspended can"},
	)
}

func TestSlices(t *testing.T) {
	w := newRulesWorld(t)
	w.expect(
		step{"policy.slice(policy.slice_randomize_psl(7), policy.DENY, policy.REFUSE)", "policy.slice(policy.slice_randomize_psl(7), policy.DENY, policy.REFUSE)\n"},
		step{"policy.slice(function (query, count) return 1 end, policy.DENY)", "policy.slice(a function, policy.DENY)\n"},
		step{"policy.slice(policy.slice_randomize_psl(7))", "ERROR error: wrong number of arguments to 'policy.slice'; usage: policy.slice(function(query, count), action, …)"},
		step{"policy:slice(5, policy.DENY)", "ERROR error: bad argument #1 to 'policy.slice' (function expected, got number)…"},
		step{"policy.slice(policy.slice_randomize_psl(7), 5)", "ERROR error: bad argument #2 to 'policy.slice' (policy action or function(state, req) expected, got number)…"},
		step{"policy.slice_randomize_psl(-1)", "ERROR error: bad argument #1 to 'policy.slice_randomize_psl' (a number that is not negative expected)…"},
	)
}

func TestFunctionsAsActions(t *testing.T) {
	w := newRulesWorld(t)
	w.expectFile(`
		seen = {}
		local function look(state, req)
			local qry = req:current()
			seen.state, seen.name, seen.type = state, kres.dname2str(qry:name()), qry.stype
			seen.addr, seen.tcp, seen.answer = tostring(req.qsource.addr), req.qsource.flags.tcp, req.answer:qtype()
			req:vars().n = (req:vars().n or 0) + 1
			seen.n = req:vars().n
			kept = req
			qry.flags.NO_CACHE = true
		end
		policy.add(policy.all(look))
		policy.add(policy.suffix(look, policy.todnames{ 'twice.org' }))
		policy.add(policy.pattern(function (state, req)
			return policy.DENY_MSG('because ' .. req:initial().stype)(state, req)
		end, 'deny'))
		policy.add(function (req, query)
			if query:name() == todname('rule.org') then return policy.REFUSE end
			if query:name() == todname('fn.org') then return function () return kres.FAIL end end
			if query:name() == todname('inner.org') then return policy.all(policy.DENY)(req, query) end
			if query:name() == todname('bad.org') then return 'x' end
		end)
		policy.add(policy.suffix(function (state, req)
			local pkt = req:ensure_answer()
			pkt:rcode(kres.rcode.NOERROR) pkt:aa(1) pkt:begin(kres.section.ANSWER)
			pkt:put(pkt:qname(), 30, pkt:qclass(), kres.type.A, kres.str2ip('192.0.2.7'))
			return kres.DONE
		end, policy.todnames{ 'made.org' }))
		policy.add(policy.suffix(function () error('oops') end, policy.todnames{ 'error.org' }))
		policy.add(policy.suffix(function () while true do end end, policy.todnames{ 'loop.org' }))
		policy.add(policy.suffix(policy.FORWARD('192.0.2.53'), policy.todnames{ 'last.org' }))
	`, "")
	req, s := w.begin("twice.org", wire.TypeMX)
	if s != resolve.Produce || !req.Options.BypassCache || !req.Alone {
		t.Errorf("twice.org: state %d, options %+v, alone %v", s, req.Options, req.Alone)
	}
	w.expect(step{"seen", "[addr] => 192.0.2.9#5353\n[answer] => 15\n[n] => 2\n[name] => twice.org.\n[state] => 1\n[tcp] => false\n[type] => 15\n"},
		step{"kept.uid", "ERROR error: this request is over…"})
	for _, c := range []struct {
		name  string
		state resolve.State
		rcode int
	}{
		{"x.deny.org", resolve.Done, 3}, {"rule.org", resolve.Done, 5}, {"fn.org", resolve.Fail, 0}, {"inner.org", resolve.Done, 3},
		{"bad.org", resolve.Fail, 0}, {"made.org", resolve.Done, 0}, {"error.org", resolve.Fail, 0}, {"other.org", resolve.Produce, 0},
		{"loop.org", resolve.Fail, 0},
	} {
		req, s := w.begin(c.name, wire.TypeA)
		if s != c.state || req.Result.Rcode != c.rcode {
			t.Errorf("%s: state %d, rcode %d; want %d, %d", c.name, s, req.Result.Rcode, c.state, c.rcode)
		}
		if c.name == "made.org" && (len(req.Result.Answer) != 1 || string(req.Result.Answer[0].Data[0]) != "\xc0\x00\x02\x07" || !req.Result.AA || !req.Result.NoCache) {
			t.Errorf("made.org: %+v", req.Result)
		}
	}
	if text := w.log.String(); !strings.Contains(text, "oops") || !strings.Contains(text, "bad.org") {
		t.Errorf("the log says %q", text)
	}
}

func TestAMissingMemberIsNamed(t *testing.T) {
	w := newRulesWorld(t)
	w.expectFile(`policy.add(policy.all(function (state, req) ok, message = pcall(function () return req.uptream end) end))`, "")
	w.begin("a.org", wire.TypeA)
	w.expect(step{"message", "config:1: error: a request has no 'uptream' here; it has answer, current_query…"})
}

// Errors count the arguments of a method as the script wrote them.
func TestWrongArgumentsOfAPacketAreNamedAsTheyAreWritten(t *testing.T) {
	w := newRulesWorld(t)
	w.expectFile(`policy.add(policy.all(function (state, req)
		local pkt = req:ensure_answer()
		said = {}
		local function try(...)
			local ok, why = pcall(pkt.put, pkt, ...)
			said[#said + 1] = tostring(ok) .. ' ' .. tostring(why):match('bad argument (#%d)')
		end
		try('a.org', 1, 1, 1, '')
		try(todname('a.org'), -1, 1, 1, '')
		try(todname('a.org'), 1, -1, 1, '')
		try(todname('a.org'), 1, 1, -1, '')
		try(todname('a.org'), 1, 1, 1, {})
		try(todname('a.org'), 1, 1, 1, ('x'):rep(65536))
	end))`, "")
	w.begin("a.org", wire.TypeA)
	w.expect(step{"table.concat(said, ', ')", "false #1, false #2, false #3, false #4, false #5, false #5\n"})
}

func TestDebugIfAsksAtTheEnd(t *testing.T) {
	w := newRulesWorld(t)
	w.expectFile(`policy.add(policy.all(policy.DEBUG_IF(function (req) return req.answer:rcode() == kres.rcode.SERVFAIL end)))`, "")
	for rcode, want := range map[int]int{wire.RcodeNoError: 0, wire.RcodeServFail: 1} {
		req, _ := w.begin("a.org", wire.TypeA)
		req.Result.Rcode = rcode
		w.logged = nil
		w.inst.Layer.Finish(req)
		if len(w.logged) != want {
			t.Errorf("rcode %d: %d stories", rcode, len(w.logged))
		}
	}
}

func TestKres(t *testing.T) {
	newRulesWorld(t).expect(
		step{"kres.type.TXT", "16\n"}, step{"kres.type.TYPE123", "123\n"}, step{"kres.type.NOPE", "nil\n"}, step{"kres.type['NSAP-PTR']", "23\n"},
		step{"kres.type.TYPE99999", "nil\n"},
		step{"kres.rcode.NXDOMAIN", "3\n"}, step{"kres.class.IN", "1\n"}, step{"kres.DONE", "4\n"}, step{"kres.YIELD", "16\n"},
		step{"kres.rank.SECURE", "32\n"}, step{"kres.section.ADDITIONAL", "2\n"}, step{"kres.opcode.NOTIFY", "4\n"},
		step{"kres.tostring.type[16]", "TXT\n"}, step{"kres.tostring.type[1234]", "TYPE1234\n"}, step{"kres.tostring.rcode[2]", "SERVFAIL\n"},
		step{"kres.tostring.rcode[99]", "nil\n"},
		step{"#kres.str2dname('www.Example.com')", "17\n"}, step{"kres.dname2str(todname('www.Example.com'))", "www.example.com.\n"},
		step{"kres.str2dname(5)", "nil\n"}, step{"kres.dname2str(nil)", "nil\n"}, step{"kres.dname2str('com')", "ERROR error: bad argument #1…"},
		step{"kres.str2ip('192.0.2.1') == '\\192\\0\\2\\1'", "true\n"}, step{"#kres.str2ip('::1')", "16\n"}, step{"kres.str2ip('x')", "nil\n"},
		step{"kres.opcode", "[IQUERY] => 1\n[NOTIFY] => 4\n[QUERY] => 0\n[STATUS] => 2\n[UPDATE] => 5\n"},
		step{"kres.mk_qflags({'NO_CACHE'}).NO_CACHE", "true\n"},
		step{"kres.parse_rdata({'A 192.0.2.1', 'TXT a b'})[1] == kres.str2ip('192.0.2.1')", "true\n"},
		step{"kres.parse_rdata({'A 192.0.2.1', 'TXT a b'})[2] == '\\1a\\1b'", "true\n"},
		step{"kres.parse_rdata({'A nonsense'})", "ERROR error: bad argument #1 to 'kres.parse_rdata' ('A nonsense': …"},
		step{"kres.parse_rdata({''})", "ERROR error: bad argument #1…"}, step{"kres.parse_rdata({5})", "ERROR error: bad argument #1…"},
	)
}

const rootDS = ". 3600 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"

func TestTrustAnchorsFromScripts(t *testing.T) {
	w := newRulesWorld(t)
	path := filepath.Join(t.TempDir(), "root.keys")
	if err := os.WriteFile(path, []byte(rootDS+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.expect(
		step{"trust_anchors.remove('.')", "false\n"},
		step{"trust_anchors.add('" + rootDS + "')", "true\n"},
		step{"trust_anchors.keysets['\\0'][1].key_tag", "20326\n"},
		step{"trust_anchors.add_file('" + path + "')", "nil\n"},
		step{"trust_anchors.summary('.')", ". from " + path + "\n[ ta ] key: 20326 state: Valid (DS)\n"},
		step{"trust_anchors.negative = { 'bad.boy', 'example.com' }", ""},
		step{"trust_anchors.insecure", "[1] => bad.boy\n[2] => example.com\n"},
		step{"trust_anchors.set_insecure('x')", "ERROR error: bad argument #1…"},
		step{"trust_anchors.set_insecure({ 'a..b' })", "ERROR error: bad argument #1 to 'trust_anchors.set_insecure' ('a..b' is no name: empty label)…"},
		step{"trust_anchors.insecure", "[1] => bad.boy\n[2] => example.com\n"},
		step{"trust_anchors.set_insecure { name = 'broken.example', reason = 'lost keys', expires = 2 * hour }", "nil\n"},
		step{"trust_anchors.insecure.name", "nil\n"},
		step{"trust_anchors.insecure[1].reason", "lost keys\n"},
		step{"trust_anchors.set_insecure({ 'bad.boy', { name = 'x.example', expires = 5 } })", "nil\n"},
		step{"trust_anchors.insecure[2].name", "x.example\n"},
		step{"trust_anchors.set_insecure({ { name = 'x.example', expires = 0 } })", "ERROR error: bad argument #1…"},
		step{"trust_anchors.set_insecure({ { name = 'x.example', expires = 'soon' } })", "ERROR error: bad argument #1…"},
		step{"trust_anchors.set_insecure({ { name = 'x.example', untill = 5 } })", "ERROR error: bad argument #1…"},
		step{"trust_anchors.set_insecure({ { reason = 'x' } })", "ERROR error: bad argument #1…"},
		step{"trust_anchors.hold_down_time", "2592000000\n"},
		step{"trust_anchors.refresh_time", "nil\n"},
		step{"trust_anchors.refresh_time = 5 * sec", ""},
		step{"trust_anchors.refresh_time", "5000\n"},
		step{"trust_anchors.keep_removed = 2", ""},
		step{"trust_anchors.keep_removed", "2\n"},
		step{"trust_anchors.hold_down_time = 'x'", "ERROR error: bad value…"},
		step{"trust_anchors.bootstrap_url", "https://data.iana.org/root-anchors/root-anchors.xml\n"},
		step{"trust_anchors.bootstrap_ca = 'ca.pem'", ""},
		step{"trust_anchors.bootstrap_ca", "ca.pem\n"},
		step{"trust_anchors.keep_removed = 'x'", "ERROR error: bad value…"},
		step{"trust_anchors.add('nonsense')", "ERROR error: trust_anchors.add: …"},
		step{"trust_anchors.add_file('/nonexistent/root.keys', true)", "ERROR error: trust_anchors.add_file: /nonexistent/root.keys: no such file or directory"},
		step{"trust_anchors.remove('.')", "true\n"},
	)
	w.expectFile("trust_anchors = { file = '"+path+"', negative = {} }", "")
	w.expect(step{"trust_anchors.keysets['\\0'].filename", path + "\n"})
	if got := w.d.Anchors.Snapshot().Closest("\x03com\x00"); got == nil || got.File != path {
		t.Errorf("the anchor above com. is %v", got)
	}
}

func TestLogLevel(t *testing.T) {
	newWorld(t).expect(
		step{"log_level()", "notice\n"}, step{"log_level('debug')", "debug\n"}, step{"verbose()", "true\n"},
		step{"log_level('err')", "err\n"}, step{"log_level('loud')", "ERROR log_level: 'loud' is not one of debug, info, notice, warning, err, crit"},
		step{"log_level()", "err\n"},
	)
}

func TestLogGroups(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"#log_groups()", "0\n"},
		step{"log_groups({'cache', 'iterat', 'iter'})", "[1] => cache\n[2] => iter\n"},
		step{"log_groups({'cache', 'nope'})", "ERROR log_groups: 'nope' is not one of system, plan, iter, …"},
		step{"log_groups({cache = true})", "ERROR log_groups: a list of names of groups expected, …"},
		step{"log_groups('cache')", "ERROR …"},
		step{"log_groups()", "[1] => cache\n[2] => iter\n"},
		step{"verbose()", "false\n"}, step{"log_level()", "notice\n"},
		step{"log_groups({'system'})", "[1] => system\n"}, step{"verbose()", "false\n"},
		step{"#log_groups({'tls'})", "0\n"},
		step{"#log_groups({})", "0\n"},
	)
	if !strings.Contains(w.log.String(), "log_groups: the group 'tls' is not in this version; it has no lines") {
		t.Errorf("the log does not say that a group is silent: %q", w.log.String())
	}
}

func TestLogTarget(t *testing.T) {
	newWorld(t).expect(
		step{"log_target()", "stdout\n"}, step{"log_target('stderr')", "stderr\n"}, step{"log_target()", "stderr\n"},
		step{"log_target('printer')", "ERROR log_target: 'printer' is not one of stdout, stderr, syslog"},
		step{"log_target(1)", "ERROR …"},
		step{"log_target('stdout')", "stdout\n"},
	)
}

// An action is told with its arguments as a configuration has them: what is told can be
// run, and says the same again.
func TestActionsAreToldWithTheirArguments(t *testing.T) {
	w := newRulesWorld(t)
	for _, c := range []struct{ action, told string }{
		{"policy.ANSWER({ [kres.type.A] = { rdata = kres.str2ip('192.0.2.7'), ttl = 300 } })",
			"policy.ANSWER({ [kres.type.A] = { rdata = kres.parse_rdata({ 'A 192.0.2.7' }), ttl = 300 } })"},
		{"policy.ANSWER({ [kres.type.TXT] = { rdata = '\\4it\\'s' }, [kres.type.MX] = { rdata = kres.parse_rdata({ 'MX 10 m.example.', 'MX 20 n.example.' }) } }, true)",
			"policy.ANSWER({ [kres.type.MX] = { rdata = kres.parse_rdata({ 'MX 10 m.example.', 'MX 20 n.example.' }), ttl = 1 }, [kres.type.TXT] = { rdata = kres.parse_rdata({ 'TXT \"it\\'s\"' }), ttl = 1 } }, true)"},
		{"policy.ANSWER({ [65280] = { rdata = '\\1\\2' } })", "policy.ANSWER({ [65280] = { rdata = kres.parse_rdata({ 'TYPE65280 \\\\# 2 0102' }), ttl = 1 } })"},
		{"policy.ANSWER({}, true)", "policy.ANSWER({}, true)"},
		{"policy.FLAGS({ 'NO_CACHE' }, { 'STUB' })", "policy.FLAGS({ 'NO_CACHE' }, { 'STUB' })"},
		{"policy.DENY_MSG('no')", "policy.DENY_MSG('no')"},
	} {
		w.expect(step{"tostring(" + c.action + ")", c.told + "\n"}, step{"tostring(" + c.told + ")", c.told + "\n"})
	}
	w.expect(step{"tostring(policy.DEBUG_IF(function() end))", "policy.DEBUG_IF(a function)\n"})
	w.expect(step{"#tostring(policy.ANSWER({ [kres.type.A] = { rdata = kres.parse_rdata((function() local l = {} for i = 1, 200 do l[i] = 'A 192.0.2.1' end return l end)()) } })) < 300", "true\n"})
}

// A list in which todname has left nothing for a name would make a rule for fewer names
// than are written there.
func TestARuleHasAllNamesOfItsList(t *testing.T) {
	w := newRulesWorld(t)
	for _, text := range []string{
		"policy.suffix(policy.DENY, { todname('a..b') })",
		"policy.domains(policy.DENY, { todname('good.example'), kres.str2dname('a..b'), todname('c') })",
		"policy.suffix_common(policy.DENY, { todname('a.b') }, todname('a..b'))",
	} {
		if got := w.eval(text); !strings.Contains(got, "'a..b' is no name: empty label") {
			t.Errorf("%s says %q", text, got)
		}
	}
	w.expect(
		step{"todname('a..b')", "nil\n"},
		step{"tostring(policy.suffix(policy.DENY, {}))", "policy.suffix(policy.DENY, policy.todnames({}))\n"},
		step{"(function() local none = todname('a..b') return tostring(policy.domains(policy.DENY, { todname('b') })) end)()", "policy.domains(policy.DENY, policy.todnames({ 'b.' }))\n"})
}
