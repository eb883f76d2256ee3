package ddr

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// What is set is what is read back, and what cannot be set changes nothing.
func TestOptionsAreReadBack(t *testing.T) {
	b := newBench(t)
	want := func(key string, want any) {
		t.Helper()
		if got, err := b.Get(key); got != want || err != nil {
			t.Errorf("%s is %v, %v; want %v", key, got, err, want)
		}
	}
	want("announce", "certificate")
	want("infourl", nil)
	for _, v := range []any{true, false, "certificate"} {
		if err := b.Set("announce", v); err != nil {
			t.Fatal(err)
		}
		want("announce", v)
	}
	longest := "https://a/" + strings.Repeat("x", maxInfoURL-len("https://a/"))
	for _, v := range []any{"https://dns.example/info", longest, nil} {
		if err := b.Set("infourl", v); err != nil {
			t.Fatal(err)
		}
		want("infourl", v)
	}
	if err := b.Set("infourl", "https://dns.example/info"); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []any{"http://dns.example/", "https:///info", "", "https://a b/", longest + "x", 5.0, true} {
		if err := b.Set("infourl", bad); err == nil {
			t.Errorf("infourl %v was taken", bad)
		}
		want("infourl", "https://dns.example/info")
	}
	if _, err := b.Get("nonsense"); err == nil || !strings.Contains(err.Error(), "unknown option 'ddr.nonsense'") {
		t.Errorf("an option that there is not: %v", err)
	}
}

// A configuration sets several options, and says what is wrong with one.
func TestAConfigurationIsATable(t *testing.T) {
	b := newBench(t)
	if err := b.Config(nil); err != nil {
		t.Error(err)
	}
	if err := b.Config((&luavalue.Table{}).Add("announce", true).Add("infourl", "https://dns.example/")); err != nil {
		t.Error(err)
	}
	if on, _ := b.Get("announce"); on != true {
		t.Errorf("announce is %v", on)
	}
	for _, bad := range []any{"text", true, (&luavalue.Table{}).Add("announce", 5.0), (&luavalue.Table{}).Add("nonsense", true), luavalue.List(true)} {
		if err := b.Config(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

// timed is a module whose clock the test holds.
func timed(now *time.Duration) *ddr {
	d := &ddr{mono: func() time.Duration { return *now }, Config: Config{
		Endpoints: func() []Endpoint {
			return []Endpoint{{netip.MustParseAddrPort("0.0.0.0:853"), transport.TLS}}
		},
		Name:        func() (string, bool) { return "dns.example", true },
		Reaches:     func(netip.Addr) bool { return true },
		Unaddressed: func(netip.AddrPort) bool { return false },
		Path:        func() string { return "" }, Minimises: func() bool { return true },
	}}
	d.forget()
	return d
}

// asks is a client's question on each way, and tells whether the listener's thread answers
// it.
func (d *ddr) asks(t *testing.T, n dnsname.Name, qtype uint16, local string) (driver resolve.State, fast module.Disposition) {
	t.Helper()
	at := netip.AddrPortFrom(netip.MustParseAddr(local), 53)
	q := &module.Query{Question: &wire.Question{Name: []byte(n), Type: qtype, Class: wire.ClassIN, UDPSize: 1232}}
	q.Subject.SetName(q.Question.Name)
	q.Subject.Type, q.Subject.Local = qtype, at
	fast = d.fast(q)
	return d.begin(&resolve.Request{Question: resolve.Question{Name: n, Type: qtype, Class: wire.ClassIN}, Local: at}), fast
}

// Words are made on the driver's way, and told on both for as long as they hold.
func TestWordsHoldForATime(t *testing.T) {
	now := time.Hour
	d := timed(&now)
	for range 2 {
		if s, fast := d.asks(t, where, wire.TypeSVCB, "192.0.2.1"); s != resolve.Done || fast != module.Driver {
			t.Errorf("at first: driver %v, listener %v", s, fast)
		}
		said := d.said.Load()
		for _, later := range []time.Duration{0, limits.DesignationLife - 1} {
			now = said.at + later
			if s, fast := d.asks(t, where, wire.TypeSVCB, "192.0.2.1"); s != resolve.Done || fast != module.Answer || d.said.Load() != said {
				t.Errorf("%v later: driver %v, listener %v", later, s, fast)
			}
		}
		if _, fast := d.asks(t, zone, wire.TypeNS, "192.0.2.1"); fast != module.Answer {
			t.Errorf("the zone's name servers: %v", fast)
		}
		now = said.at + limits.DesignationLife
	}
}

// What is told is kept for so many addresses of this host, and made for each question at
// others.
func TestDesignationsAreKeptForSoManyAddresses(t *testing.T) {
	now := time.Hour
	d := timed(&now)
	for i := range limits.DesignationAddrs + 3 {
		local := fmt.Sprintf("10.0.%d.%d", i/256, i%256)
		d.asks(t, where, wire.TypeSVCB, local)
		s, fast := d.asks(t, where, wire.TypeSVCB, local)
		if kept := fast == module.Answer; s != resolve.Done || kept != (i < limits.DesignationAddrs) {
			t.Fatalf("address %d: driver %v, kept %v", i+1, s, kept)
		}
	}
	if n := len(*d.said.Load().designs.Load()); n != limits.DesignationAddrs {
		t.Errorf("kept for %d addresses", n)
	}
	w, a := d.said.Load(), netip.MustParseAddr("10.0.0.0")
	if first := d.designation(w, a); d.designation(w, a) != first {
		t.Error("what is kept is made anew")
	}
}

// A service has so many addresses as hints.
func TestHintsAreFew(t *testing.T) {
	var s service
	for i := range limits.DesignationHints + 3 {
		s.offer(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
	}
	s.offer(netip.MustParseAddr("0.0.0.0"))
	if len(s.addrs) != limits.DesignationHints || !s.any4 || s.any6 {
		t.Errorf("%d hints, any %v %v", len(s.addrs), s.any4, s.any6)
	}
	s.offer(netip.MustParseAddr("::"))
	if !s.any6 {
		t.Error("at all addresses of IPv6 it is not offered")
	}
}

// A host without a name that can stand in the DNS designates nothing, and says the rest.
func TestAHostWithoutAName(t *testing.T) {
	for _, name := range []string{"", ".", "a..b", strings.Repeat("x", 64)} {
		b := newBench(t)
		b.name = name
		b.listen(transport.TLS, "192.0.2.1:853")
		b.renew()
		if m := b.ask("_dns.resolver.arpa.", dns.TypeSVCB, "192.0.2.1"); m == nil || len(m.Answer) != 0 || m.Rcode != dns.RcodeSuccess {
			t.Errorf("%q: %v", name, m)
		}
		if m := b.ask("resolver.arpa.", 261, "192.0.2.1"); m == nil || len(m.Answer) != 1 {
			t.Errorf("%q, RESINFO: %v", name, m)
		}
		if m := b.ask(".", 261, "192.0.2.1"); m != nil {
			t.Errorf("%q, RESINFO of the root: %v", name, m)
		}
	}
}

// At its apex the zone has a SOA and an NS record, and nothing else but what it is for.
func TestWhatTheZoneHas(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		name    string
		qtype   uint16
		answers int
		rcode   int
	}{
		{"resolver.arpa.", dns.TypeSOA, 1, 0}, {"resolver.arpa.", dns.TypeNS, 1, 0}, {"resolver.arpa.", dns.TypeA, 0, 0}, {"resolver.arpa.", dns.TypeSVCB, 0, 0},
		{"_dns.resolver.arpa.", dns.TypeNS, 0, 0}, {"_dns.resolver.arpa.", dns.TypeSOA, 0, 0}, {"x.resolver.arpa.", dns.TypeNS, 0, dns.RcodeNameError}, {"x._dns.resolver.arpa.", dns.TypeSVCB, 0, dns.RcodeNameError},
	} {
		if m := b.ask(c.name, c.qtype, "192.0.2.1"); m == nil || len(m.Answer) != c.answers || m.Rcode != c.rcode {
			t.Errorf("%s type %d: %v", c.name, c.qtype, m)
		}
	}
	for _, other := range []string{"arpa.", "xresolver.arpa.", "resolver.arpa.example."} {
		if m := b.ask(other, dns.TypeNS, "192.0.2.1"); m != nil {
			t.Errorf("%s: %v", other, m)
		}
	}
}
