package worker

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/listen"
	"kresd/internal/module"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// decisions configures every action that the listener's thread answers by itself,
// and every kind of hint.
const decisions = `
	local function on(name, action) policy.add(policy.suffix(action, policy.todnames{ name })) end
	on('deny.example', policy.DENY)
	on('message.example', policy.DENY_MSG('this is not for you'))
	on('long.example', policy.DENY_MSG(string.rep('x', 255), 17))
	on('refuse.example', policy.REFUSE)
	on('again.example', policy.TC)
	on('silent.example', policy.NO_ANSWER)
	on('open.example', policy.ANSWER{
		[kres.type.A] = { rdata = { '\192\0\2\1', '\192\0\2\2', '\192\0\2\3' }, ttl = 77 },
		[kres.type.TXT] = { rdata = { '\3one', '\5three' } },
		[kres.type.MX] = { rdata = '\0\10\4mail\7example\0', ttl = 5 },
		[kres.type.DS] = { rdata = '\0\1\8\2abcd', ttl = 5 } })
	on('shut.example', policy.ANSWER({ [kres.type.AAAA] = { rdata = string.rep('\1', 16) } }, true))
	on('owned.example', policy.ANSWER({ [kres.type.SOA] = { rdata = '\2ns\0\5admin\0' .. string.rep('\0\0\0\9', 5), ttl = 9 } }, true))
	on('big.example', policy.ANSWER({ [kres.type.TXT] = { rdata = { '\255' .. string.rep('a', 255), '\255' .. string.rep('b', 255), '\255' .. string.rep('c', 255) } } }, true))
	on('pass.test', policy.PASS)
	hints.set('host.hints.example 192.0.2.11') hints.set('host.hints.example 192.0.2.12') hints.set('host.hints.example 2001:db8::11')
	hints.set('six.hints.example 2001:db8::6')
	hints.ttl(33)
`

// decided are names that decisions decide about, and whether the listener's thread
// answers them all.
var decided = []struct {
	name  string
	early bool
}{
	{"deny.example.", true}, {"WWW.Deny.Example.", true}, {"message.example.", true}, {"a.b.c.d.e.message.example.", true}, {"long.example.", true},
	{strings.Repeat("abcdefg.", 30) + "deny.example.", true}, {strings.Repeat("abcdefg.", 29) + "long.example.", false},
	{"refuse.example.", true}, {"x.refuse.example.", true}, {"again.example.", false}, {"silent.example.", true},
	{"open.example.", false}, {"oPEN.example.", false}, {"shut.example.", true}, {"www.shut.example.", true}, {"owned.example.", true}, {"x.owned.example.", true},
	{"big.example.", false}, {"pass.test.", false},
	{"localhost.", true}, {"a.localhost.", true}, {"127.in-addr.arpa.", true}, {"0.127.in-addr.arpa.", true}, {"1.0.0.127.in-addr.arpa.", true}, {"2.0.0.127.in-addr.arpa.", true},
	{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.", true}, {"1.0.0.10.in-addr.arpa.", true}, {"www.test.", true}, {"test.", true}, {"x.onion.", true},
	{"host.hints.example.", false}, {"HOST.hints.example.", false}, {"six.hints.example.", false}, {"11.2.0.192.in-addr.arpa.", false},
	{"6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", false},
}

var decidedTypes = []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeSOA, dns.TypeNS, dns.TypePTR, dns.TypeDS, dns.TypeDNSKEY, dns.TypeNSEC, dns.TypeHTTPS, dns.TypeANY}

// What the listener's thread answers, the driver answers too: the same octets but
// for compression and the order of records.
func TestWhatModulesAnswerEarlyTheDriverAnswers(t *testing.T) {
	for _, reorder := range []string{"false", "true"} {
		l := newLawful(t)
		l.configure(decisions + "reorder_RR(" + reorder + ")")
		early := 0
		for _, sh := range append(shapes, shape{name: "512 and DO", edns: 512, do: true, rd: true}, shape{name: "TCP without EDNS", kind: transport.TCP, cd: true}) {
			for _, a := range decided {
				for _, qtype := range decidedTypes {
					if l.agrees(sh, a.name, qtype) {
						early++
					} else if a.early {
						t.Errorf("%s: %s %s is not answered by the listener's thread", sh.name, a.name, dns.TypeToString[qtype])
					}
				}
			}
		}
		if want := len(shapes) * len(decided) * len(decidedTypes) / 2; early < want {
			t.Errorf("only %d questions were answered by the listener's thread, want at least %d", early, want)
		}
	}
}

// agrees compares both ways for one question and tells whether the listener's
// thread dealt with it.
func (l *lawful) agrees(sh shape, name string, qtype uint16) bool {
	l.t.Helper()
	from := someone
	from.Kind = sh.kind
	pkt := sh.message(name, qtype)
	msg, handling := byCache(l.t, l.s, pkt, from)
	if handling == listen.Driver {
		return false
	}
	driver := byDriver(l.t, l.Worker, pkt, from)
	about := fmt.Sprintf("%s: %s %s", sh.name, name, dns.TypeToString[qtype])
	if handling == listen.Drop || driver == nil {
		if handling != listen.Drop || driver != nil {
			l.t.Errorf("%s: one way says nothing: %x, %x", about, msg, driver)
		}
		return true
	}
	if d := difference(l.t, msg, driver); d != "" {
		l.t.Errorf("%s: %s\nearly:  %x\ndriver: %x", about, d, msg, driver)
	}
	if end := 12 + len(name) + 1 + 4; name != "." && !bytes.Equal(msg[:end], driver[:end]) {
		l.t.Errorf("%s: header or question differ\nearly:  %x\ndriver: %x", about, msg, driver)
	}
	if a, b := ttls(l.t, msg), ttls(l.t, driver); !slices.Equal(a, b) {
		l.t.Errorf("%s: TTLs %v and %v", about, a, b)
	}
	return true
}

// ttls are those of all records of a message.
func ttls(t testing.TB, msg []byte) (list []uint32) {
	var m dns.Msg
	if err := m.Unpack(msg); err != nil {
		t.Fatal(err)
	}
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			list = append(list, rr.Header().Ttl)
		}
	}
	return list
}

// The order of records varies when it shall, on the listener's thread too.
func TestEarlyAnswersRotate(t *testing.T) {
	l := newLawful(t)
	l.configure(decisions + "reorder_RR(true)")
	for _, name := range []string{"open.example.", "host.hints.example."} {
		seen := map[string]bool{}
		for range 6 {
			msg, v := byCache(t, l.s, shapes[1].message(name, dns.TypeA), someone)
			if v != listen.Reply {
				t.Fatalf("%s: %v", name, v)
			}
			var m dns.Msg
			if err := m.Unpack(msg); err != nil {
				t.Fatal(err)
			}
			seen[m.Answer[0].String()] = true
		}
		if len(seen) < 2 {
			t.Errorf("%s: always first: %v", name, seen)
		}
	}
}

// A hint is told though something else is cached for the name, by both ways and
// wherever the module stands.
func TestAHintComesBeforeTheCache(t *testing.T) {
	for _, place := range []string{"hints", "hints > iterate"} {
		l := newLawful(t)
		l.ask("www.example.com.", dns.TypeA, transport.UDP)
		l.configure("modules.load('" + place + "') hints.set('www.example.com 192.0.2.77')")
		if m := l.ask("www.example.com.", dns.TypeA, transport.UDP); len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.String() != "192.0.2.77" {
			t.Errorf("%s: the driver answers %v", place, m.Answer)
		}
		if !l.agrees(shapes[1], "www.example.com.", dns.TypeA) {
			t.Errorf("%s: the listener's thread does not answer", place)
		}
		l.configure("hints.del('www.example.com')")
		if m := l.ask("www.example.com.", dns.TypeA, transport.UDP); len(m.Answer) != 2 {
			t.Errorf("%s: without the hint: %v", place, m.Answer)
		}
	}
}

// Rules of the operator's come before hints, on both ways and wherever the modules
// stand.
func TestARuleComesBeforeAHint(t *testing.T) {
	for _, place := range []string{"hints", "hints > iterate"} {
		l := newLawful(t)
		l.configure("modules.load('" + place + "') hints.set('a.test 192.0.2.77') rule = policy.add(policy.suffix(policy.DENY, policy.todnames{ 'a.test' }))")
		for _, want := range []int{dns.RcodeNameError, dns.RcodeSuccess} {
			msg, v := byCache(t, l.s, shapes[1].message("a.test.", dns.TypeA), someone)
			if v != listen.Reply || int(msg[3]&15) != want {
				t.Errorf("%s: %v %x, want rcode %d", place, v, msg, want)
			}
			l.agrees(shapes[1], "a.test.", dns.TypeA)
			l.configure("policy.del(rule.id)")
		}
	}
}

// Built-in zones serve what the operator says nothing about (RFC 6303, section 3): hints
// in them win, on both ways and wherever the modules stand, and the rest is denied.
func TestAHintComesBeforeANameOfSpecialUse(t *testing.T) {
	for _, place := range []string{"hints", "hints > iterate", "hints < policy"} {
		l := newLawful(t)
		l.configure("modules.load('" + place + "') hints.set('nas.home.arpa 10.0.0.5') hints.set('tv.local 10.0.0.6') hints.set('a.test fd00::7') hints.set('host.localhost 127.0.1.1')")
		for _, c := range []struct {
			name           string
			qtype          uint16
			rcode, records int
		}{
			{"nas.home.arpa.", dns.TypeA, dns.RcodeSuccess, 1},
			{"NAS.home.ARPA.", dns.TypeA, dns.RcodeSuccess, 1},
			{"nas.home.arpa.", dns.TypeAAAA, dns.RcodeSuccess, 0},
			{"nas.home.arpa.", dns.TypeSOA, dns.RcodeSuccess, 0},
			{"tv.local.", dns.TypeA, dns.RcodeSuccess, 1},
			{"a.test.", dns.TypeAAAA, dns.RcodeSuccess, 1},
			{"host.localhost.", dns.TypeA, dns.RcodeSuccess, 1},
			{"5.0.0.10.in-addr.arpa.", dns.TypePTR, dns.RcodeSuccess, 1},
			{"1.1.0.127.in-addr.arpa.", dns.TypePTR, dns.RcodeSuccess, 1},
			{"7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.", dns.TypePTR, dns.RcodeSuccess, 1},
			{"none.home.arpa.", dns.TypeA, dns.RcodeNameError, 0},
			{"x.nas.home.arpa.", dns.TypeA, dns.RcodeNameError, 0},
			{"home.arpa.", dns.TypeA, dns.RcodeNameError, 0},
			{"none.local.", dns.TypeA, dns.RcodeNameError, 0},
			{"8.0.0.10.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, 0},
			{"localhost.", dns.TypeA, dns.RcodeSuccess, 1},
		} {
			if m := l.ask(c.name, c.qtype, transport.UDP); m.Rcode != c.rcode || len(m.Answer) != c.records {
				t.Errorf("%s: %s %d: the driver answers %v", place, c.name, c.qtype, m)
			}
			if !l.agrees(shapes[1], c.name, c.qtype) {
				t.Errorf("%s: %s %d: the listener's thread does not answer", place, c.name, c.qtype)
			}
		}
		l.configure("hints.use_nodata(false)") // the other types are nobody's, and do not leak
		if m := l.ask("nas.home.arpa.", dns.TypeTXT, transport.UDP); m.Rcode != dns.RcodeNameError {
			t.Errorf("%s: without NODATA: %v", place, m)
		}
		l.agrees(shapes[1], "nas.home.arpa.", dns.TypeTXT)
		l.configure("hints.use_nodata(true) hints.del('nas.home.arpa')")
		if m := l.ask("nas.home.arpa.", dns.TypeA, transport.UDP); m.Rcode != dns.RcodeNameError {
			t.Errorf("%s: without the hint: %v", place, m)
		}
	}
}

// What is answered early counts for its rule and in the statistics, as on the
// driver's way.
func TestEarlyAnswersCount(t *testing.T) {
	l := newLawful(t)
	l.configure("modules.load('stats')" + decisions)
	count := func(text string) string {
		out, isErr := l.vm.Eval(context.Background(), text)
		if isErr {
			t.Fatal(out)
		}
		return strings.TrimSpace(out)
	}
	for n, name := range []string{"deny.example.", "silent.example.", "shut.example."} {
		rule := map[string]int{"deny.example.": 0, "silent.example.": 5, "shut.example.": 7}[name]
		pkt := shapes[1].message(name, dns.TypeA)
		byCache(t, l.s, pkt, someone)
		if got := count(fmt.Sprintf("policy.rules[%d].count", rule+1)); got != "1" {
			t.Errorf("%s: the rule counts %s after an early answer", name, got)
		}
		byDriver(t, l.Worker, pkt, someone)
		if got := count(fmt.Sprintf("policy.rules[%d].count", rule+1)); got != "2" {
			t.Errorf("%s: the rule counts %s after the driver's answer", name, got)
		}
		if got := count("stats.get('answer.cached')"); got != "0" {
			t.Errorf("%s: %s answers of modules count as cached", name, got)
		}
		if got, want := count("stats.get('request.udp4')"), fmt.Sprint(n+1); got != want {
			t.Errorf("%s: %s requests, want %s", name, got, want)
		}
	}
}

// While requests are followed in the log, those that a module answers are not
// missing there.
func TestAVerboseLogHasWhatModulesAnswer(t *testing.T) {
	l := newLawful(t)
	l.configure(decisions + "verbose(true)")
	if _, v := byCache(t, l.s, shapes[1].message("deny.example.", dns.TypeA), someone); v != listen.Driver {
		t.Errorf("handling %v, want the driver's way", v)
	}
}

// While requests are followed in the log, cached answers are told there too; they
// go by the driver, so that the cached answer's way writes nothing.
func TestAVerboseLogHasCachedAnswers(t *testing.T) {
	l := newLawful(t)
	l.ask("www.example.com.", dns.TypeA, transport.UDP)
	if !l.cached("www.example.com.", dns.TypeA) {
		t.Fatal("the answer is not given from the cache")
	}
	l.configure("verbose(true)")
	if l.cached("www.example.com.", dns.TypeA) {
		t.Error("a cached answer was given past the log")
	}
	l.configure("verbose(false) log_groups({'cache'})")
	if l.cached("www.example.com.", dns.TypeA) {
		t.Error("a cached answer was given past the log of a group")
	}
	l.configure("log_groups({})")
	if !l.cached("www.example.com.", dns.TypeA) {
		t.Error("cached answers go by the driver when the log is quiet")
	}
}

// Every module is asked, in the order of modules, until one has a say.
func TestEveryModuleIsAskedEarly(t *testing.T) {
	var asked []string
	hook := func(name string, d module.Disposition) func(*module.Query) module.Disposition {
		return func(*module.Query) module.Disposition {
			asked = append(asked, name)
			return d
		}
	}
	for last, want := range map[module.Disposition]string{module.Pass: "a b c d e", module.Drop: "a b c d", module.Driver: "a b c d"} {
		s := &session{modules: &module.Snapshot{
			Begin: []func(*module.Query) module.Disposition{hook("a", module.Pass), hook("b", module.Pass)},
			Own:   []func(*module.Query) module.Disposition{hook("c", module.Pass), hook("d", last), hook("e", module.Pass)},
		}}
		if s.q.Parse(shapes[1].message("www.example.", dns.TypeA)) != wire.Fine {
			t.Fatal("no question")
		}
		asked = nil
		if d := s.ask(&someone); d != last || strings.Join(asked, " ") != want {
			t.Errorf("disposition %d after %v, want %d after %s", d, asked, last, want)
		}
		asked = nil
		s.modules.Begin[1] = hook("b", module.Answer)
		if d := s.ask(&someone); d != module.Answer || strings.Join(asked, " ") != "a b" {
			t.Errorf("disposition %d after %v", d, asked)
		}
	}
}

// A listener's thread goes over to modules that are loaded and unloaded while it
// runs.
func TestAListenerAdoptsModules(t *testing.T) {
	l := newLawful(t)
	early := func() bool {
		_, v := byCache(t, l.s, shapes[1].message("a.deny.example.", dns.TypeA), someone)
		return v == listen.Reply
	}
	l.configure("policy.add(policy.suffix(policy.DENY, policy.todnames{ 'deny.example' }))")
	for _, step := range []struct {
		config string
		early  bool
	}{{"", true}, {"modules.unload('policy')", false}, {"modules.load('policy > cache')", true}} {
		if l.configure(step.config); early() != step.early {
			t.Errorf("after %q: answered early %v", step.config, !step.early)
		}
	}
}

func TestEarlyAnswersAllocateNothing(t *testing.T) {
	l := newLawful(t)
	l.configure(decisions)
	out := make([]byte, 0, 1<<16)
	for _, name := range []string{"www.deny.example.", "message.example.", "open.example.", "refuse.example.", "host.hints.example.", "silent.example.", "www.test.", "a.localhost."} {
		pkt := shapes[1].message(name, dns.TypeA)
		n := testing.AllocsPerRun(500, func() {
			l.s.Begin()
			if _, v := l.s.Answer(pkt, &someone, out); v == listen.Driver {
				t.Fatalf("%s takes the driver's way", name)
			}
			l.s.End()
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// What modules answer is to cost at most 1.3 of a cached answer.
func BenchmarkSession(b *testing.B) {
	l := newLawful(b)
	l.configure(decisions)
	l.ask("www.example.com.", dns.TypeA, transport.UDP)
	out := make([]byte, 0, 1<<16)
	for _, c := range []struct{ what, name string }{
		{"cached", "www.example.com."}, {"DENY", "www.deny.example."}, {"DENY_MSG", "message.example."}, {"ANSWER", "open.example."},
		{"hint", "host.hints.example."}, {"special", "www.example.test."}, {"localhost", "localhost."},
	} {
		pkt := shapes[1].message(c.name, dns.TypeA)
		b.Run(c.what, func(b *testing.B) {
			b.ReportAllocs()
			l.s.Begin()
			defer l.s.End()
			for b.Loop() {
				if _, v := l.s.Answer(pkt, &someone, out); v != listen.Reply {
					b.Fatal("not answered")
				}
			}
		})
	}
}
