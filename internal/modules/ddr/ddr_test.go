package ddr

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/module"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// A bench is the module with a worker that a test sets.
type bench struct {
	*module.Instance
	t         *testing.T
	endpoints []Endpoint
	name      string
	certified bool
	path      string
	whole     bool
	elsewhere []string // addresses that are not this machine's
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, name: "dns.example.com", certified: true, path: "/dns-query"}
	m := Module(Config{
		Endpoints: func() []Endpoint { return b.endpoints }, Name: func() (string, bool) { return b.name, b.certified },
		Reaches:     func(a netip.Addr) bool { return !slices.Contains(b.elsewhere, a.String()) },
		Unaddressed: func(local netip.AddrPort) bool { return local.Port() == 1 },
		Path:        func() string { return b.path }, Minimises: func() bool { return !b.whole },
	})
	i, err := m.Open(&module.Host{Clock: clock.Real()})
	if err != nil {
		t.Fatal(err)
	}
	b.Instance = i
	return b
}

// renew makes the module see what the test has changed.
func (b *bench) renew() {
	b.t.Helper()
	announce, err := b.Get("announce")
	if err == nil {
		err = b.Set("announce", announce)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) listen(k transport.Kind, at ...string) {
	for _, a := range at {
		b.endpoints = append(b.endpoints, Endpoint{netip.MustParseAddrPort(a), k})
	}
}

// ask asks on both ways, at an address of this host, and compares them. It returns
// nil where the module says nothing.
func (b *bench) ask(name string, t uint16, local string) *dns.Msg {
	b.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, t)
	pkt, err := m.Pack()
	if err != nil {
		b.t.Fatal(err)
	}
	var q wire.Question
	if q.Parse(pkt) != wire.Fine {
		b.t.Fatal("no question")
	}
	own, err := dnsname.FromWire(q.Name)
	if err != nil {
		b.t.Fatal(err)
	}
	at, err := netip.ParseAddrPort(local)
	if err != nil {
		at = netip.AddrPortFrom(netip.MustParseAddr(local), 53)
	}
	req := &resolve.Request{Question: resolve.Question{Name: own, Type: t, Class: wire.ClassIN}, Local: at}
	state := b.Layer.Begin(req)
	query := &module.Query{Question: &q}
	query.Subject.SetName(q.Name)
	query.Subject.Type, query.Subject.Local = t, at
	fast := b.Fast.Begin(query)
	if state != resolve.Done {
		if fast != module.Pass {
			b.t.Errorf("%s: the driver's way says nothing, the other %v", name, fast)
		}
		return nil
	}
	shape := reply.Shape{Kind: transport.TCP, Bufsize: 1232}
	slow := reply.Build(nil, &q, &req.Result, shape)
	if fast != module.Answer {
		b.t.Fatalf("%s: the driver's way answers, the other says %v", name, fast)
	}
	if quick := query.Answered().Finish(make([]byte, 0, 4096), &q, shape); !same(b.t, quick, slow) {
		b.t.Errorf("%s: both ways differ\nfast:   %x\ndriver: %x", name, quick, slow)
	}
	return unpack(b.t, slow)
}

func unpack(t *testing.T, msg []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(msg); err != nil {
		t.Fatal(err)
	}
	return m
}

// same compares messages apart from compression, with which letters may change their
// case.
func same(t *testing.T, a, b []byte) bool {
	return strings.EqualFold(unpack(t, a).String(), unpack(t, b).String())
}

// told are the records of an answer without owner, TTL and class.
func told(m *dns.Msg) string {
	var list []string
	for _, rr := range m.Answer {
		list = append(list, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	return strings.Join(list, " | ")
}

func TestDesignations(t *testing.T) {
	const all = `1 dns.example.com. alpn="dot" ipv4hint="192.0.2.1" | 2 dns.example.com. alpn="h2" ipv4hint="192.0.2.1" dohpath="/dns-query{?dns}"`
	for name, c := range map[string]struct {
		set   func(*bench)
		local string
		want  string
	}{
		"nothing encrypted":   {func(b *bench) { b.listen(transport.UDP, "192.0.2.1:53") }, "192.0.2.1", ""},
		"TLS and HTTPS":       {func(b *bench) { b.listen(transport.HTTPS, "192.0.2.1:443"); b.listen(transport.TLS, "192.0.2.1:853") }, "192.0.2.1", all},
		"another path":        {func(b *bench) { b.listen(transport.HTTPS, "192.0.2.1:443"); b.path = "/mine" }, "192.0.2.1", `2 dns.example.com. alpn="h2" ipv4hint="192.0.2.1" dohpath="/mine{?dns}"`},
		"other ports":         {func(b *bench) { b.listen(transport.TLS, "192.0.2.1:8853"); b.listen(transport.QUIC, "192.0.2.1:784") }, "192.0.2.1", `1 dns.example.com. alpn="dot" port="8853" ipv4hint="192.0.2.1" | 3 dns.example.com. alpn="doq" port="784" ipv4hint="192.0.2.1"`},
		"all addresses":       {func(b *bench) { b.listen(transport.TLS, "0.0.0.0:853", "[::]:853") }, "2001:db8::7", `1 dns.example.com. alpn="dot" ipv6hint="2001:db8::7"`},
		"both families":       {func(b *bench) { b.listen(transport.QUIC, "192.0.2.1:853", "[2001:db8::1]:853") }, "192.0.2.1", `3 dns.example.com. alpn="doq" ipv4hint="192.0.2.1" ipv6hint="2001:db8::1"`},
		"loopback, from here": {func(b *bench) { b.listen(transport.TLS, "127.0.0.1:853", "192.0.2.1:853") }, "127.0.0.1", `1 dns.example.com. alpn="dot" ipv4hint="127.0.0.1"`},
		"loopback, from far":  {func(b *bench) { b.listen(transport.TLS, "127.0.0.1:853") }, "192.0.2.1", ""},
		"another link":        {func(b *bench) { b.listen(transport.TLS, "[fe80::1%eth0]:853") }, "2001:db8::1", ""},
		"behind a proxy":      {func(b *bench) { b.listen(transport.HTTP, "192.0.2.1:80") }, "192.0.2.1", ""},
		"no certificate":      {func(b *bench) { b.listen(transport.TLS, "192.0.2.1:853"); b.certified = false }, "192.0.2.1", ""},
		"no name":             {func(b *bench) { b.listen(transport.TLS, "192.0.2.1:853"); b.name = "a..b" }, "192.0.2.1", ""},
	} {
		b := newBench(t)
		c.set(b)
		b.renew()
		for range 2 { // the second time the address is known
			m := b.ask("_DNS.Resolver.arpa.", dns.TypeSVCB, c.local)
			if got := told(m); got != c.want {
				t.Errorf("%s: %s\nwant %s", name, got, c.want)
			}
			if denied := len(m.Ns) == 1 && m.Ns[0].Header().Rrtype == dns.TypeSOA; m.Rcode != 0 || !m.Authoritative || denied != (c.want == "") {
				t.Errorf("%s: %v", name, m)
			}
		}
	}
}

// What a proxy says that its client has used is not where this machine listens, unless
// it is this machine's as well; and who has used no address is led to none.
func TestWhatCannotBeReachedIsNotDesignated(t *testing.T) {
	const here = `1 dns.example.com. alpn="dot" ipv4hint="192.0.2.1"`
	for name, c := range map[string]struct {
		listen []string
		local  string
		want   string
	}{
		"an address of the proxy's, all listened on": {[]string{"0.0.0.0:853"}, "198.51.100.1", ""},
		"an address of the proxy's, one listened on": {[]string{"192.0.2.1:853"}, "198.51.100.1", ""},
		"the proxy on this machine":                  {[]string{"0.0.0.0:853"}, "192.0.2.1", here},
		"another address of this machine":            {[]string{"192.0.2.1:853"}, "192.0.2.2", here},
		"listened on before the machine has it":      {[]string{"198.51.100.1:853"}, "198.51.100.1", `1 dns.example.com. alpn="dot" ipv4hint="198.51.100.1"`},
		"a UNIX socket":                              {[]string{"0.0.0.0:853", "127.0.0.1:853"}, "127.0.0.1:1", ""},
		"loopback beside a UNIX socket":              {[]string{"0.0.0.0:853"}, "127.0.0.1:53", `1 dns.example.com. alpn="dot" ipv4hint="127.0.0.1"`},
	} {
		b := newBench(t)
		b.elsewhere = []string{"198.51.100.1"}
		b.listen(transport.TLS, c.listen...)
		b.renew()
		for range 2 { // the second time the address is known
			if got := told(b.ask("_dns.resolver.arpa.", dns.TypeSVCB, c.local)); got != c.want {
				t.Errorf("%s: %s, want %s", name, got, c.want)
			}
		}
	}
}

func TestAnnounceIsASwitch(t *testing.T) {
	b := newBench(t)
	b.listen(transport.TLS, "192.0.2.1:853")
	for _, c := range []struct {
		value     any
		certified bool
		want      bool
	}{{"certificate", false, false}, {"certificate", true, true}, {true, false, true}, {false, true, false}} {
		b.certified = c.certified
		if err := b.Set("announce", c.value); err != nil {
			t.Fatal(err)
		}
		if got := told(b.ask("_dns.resolver.arpa.", dns.TypeSVCB, "192.0.2.1")) != ""; got != c.want {
			t.Errorf("announce = %v, certificate %v: told %v", c.value, c.certified, got)
		}
		if got, err := b.Get("announce"); got != c.value || err != nil {
			t.Errorf("announce is %v, want %v", got, c.value)
		}
	}
}

// The zone is the resolver's own: what it has not is denied here, and what only
// looks like it is none of ours.
func TestTheZoneIsAnsweredHere(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		name  string
		qtype uint16
		want  int // -1: not ours
	}{
		{"resolver.arpa.", dns.TypeA, dns.RcodeSuccess}, {"RESOLVER.arpa.", dns.TypeSOA, dns.RcodeSuccess}, {"resolver.arpa.", dns.TypeNS, dns.RcodeSuccess},
		{"_dns.resolver.arpa.", dns.TypeA, dns.RcodeSuccess}, {"_dns.resolver.arpa.", dns.TypeHTTPS, dns.RcodeSuccess},
		{"x.resolver.arpa.", dns.TypeA, dns.RcodeNameError}, {"x._dns.resolver.arpa.", dns.TypeSVCB, dns.RcodeNameError},
		{"arpa.", dns.TypeNS, -1}, {"xresolver.arpa.", dns.TypeA, -1}, {`x\008resolver.arpa.`, dns.TypeA, -1}, {"resolver.arpa.example.", dns.TypeA, -1}, {".", dns.TypeNS, -1},
		{"dns.example.com.", dns.TypeA, -1}, {"dns.example.com.", dns.TypeSVCB, -1},
	} {
		m := b.ask(c.name, c.qtype, "192.0.2.1")
		switch {
		case c.want < 0:
			if m != nil {
				t.Errorf("%s is answered: %v", c.name, m)
			}
		case m == nil || m.Rcode != c.want || !m.Authoritative:
			t.Errorf("%s %s: %v", c.name, dns.TypeToString[c.qtype], m)
		case len(m.Answer) == 0 && len(m.Ns) != 1:
			t.Errorf("%s %s: denied without SOA", c.name, dns.TypeToString[c.qtype])
		}
	}
}

// RESINFO is told at the zone and at the host's name, with authority (RFC 9606,
// section 3).
func TestInformation(t *testing.T) {
	b := newBench(t)
	text := func(name string) []string {
		m := b.ask(name, dns.TypeRESINFO, "192.0.2.1")
		if m == nil || len(m.Answer) != 1 || !m.Authoritative {
			t.Fatalf("%s: %v", name, m)
		}
		return m.Answer[0].(*dns.RESINFO).Txt
	}
	for _, name := range []string{"resolver.arpa.", "DNS.example.com."} {
		if got, want := text(name), []string{"qnamemin", "exterr=0-23,25,27,33"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	b.whole = true
	if err := b.Set("infourl", "https://dns.example/about"); err != nil {
		t.Fatal(err)
	}
	if got, want := text("resolver.arpa."), []string{"exterr=0-23,25,27,33", "infourl=https://dns.example/about"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	b.name = "other.example.com"
	b.renew()
	if m := b.ask("dns.example.com.", dns.TypeRESINFO, "192.0.2.1"); m != nil {
		t.Errorf("the name before is answered: %v", m)
	}
	text("other.example.com.")
}

func TestWrongOptionsAreRefused(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		key   string
		value any
	}{
		{"announce", "yes"}, {"announce", 1.0}, {"announce", nil}, {"infourl", "http://dns.example"}, {"infourl", "https://"}, {"infourl", 5.0},
		{"infourl", "https://dns.example/" + strings.Repeat("x", 255)}, {"other", true},
	} {
		if err := b.Set(c.key, c.value); err == nil || !strings.Contains(err.Error(), "ddr") {
			t.Errorf("%s = %v: %v", c.key, c.value, err)
		}
	}
	if err := b.Config(true); err == nil {
		t.Error("a configuration that is no table is taken")
	}
}

// Another thread's answer costs nothing to word.
func TestTheFastWayAllocatesNothing(t *testing.T) {
	b := newBench(t)
	b.listen(transport.TLS, "192.0.2.1:853")
	b.renew()
	b.ask("_dns.resolver.arpa.", dns.TypeSVCB, "192.0.2.1")
	q := &module.Query{}
	q.Subject.SetName([]byte("\x04_dns\x08resolver\x04arpa\x00"))
	q.Subject.Type, q.Subject.Local = dns.TypeSVCB, netip.MustParseAddrPort("192.0.2.1:53")
	if n := testing.AllocsPerRun(100, func() { b.Fast.Begin(q) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
