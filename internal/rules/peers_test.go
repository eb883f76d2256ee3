package rules

import (
	"net/netip"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

func tlsPeer(t *testing.T, host string) zonecut.Peer {
	t.Helper()
	p, err := zonecut.NewPeer(zonecut.PeerConfig{Protocol: zonecut.DoT, Names: []string{host}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What is said of a server counts from then on for all rules that name it, and until it is
// taken back.
func TestHowServersAreSpokenTo(t *testing.T) {
	var p Peers
	at, other := netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("192.0.2.2:53")
	if (*Peers)(nil).Of(at) != (zonecut.Peer{}) || !p.Of(at).Plain() || len(p.All()) != 0 {
		t.Error("something is said of a server from the beginning")
	}
	one, two := tlsPeer(t, "one.example"), tlsPeer(t, "two.example")
	if p.Set(at, one) || p.Set(other, two) {
		t.Error("something was said before")
	}
	before := p.All()
	if p.Of(at) != one || p.Of(other) != two || len(before) != 2 {
		t.Errorf("said: %v", before)
	}
	if !p.Set(at, two) || p.Of(at) != two {
		t.Errorf("said last: %v", p.Of(at))
	}
	if !p.Set(at, zonecut.Peer{}) || !p.Of(at).Plain() || len(p.All()) != 1 || p.Of(other) != two {
		t.Errorf("after one was taken back: %v", p.All())
	}
	if before[at] != one || len(before) != 2 {
		t.Error("what others read has changed")
	}
	if p.Set(at, zonecut.Peer{}) {
		t.Error("what was taken back was said before")
	}
	done := make(chan bool)
	go func() { p.Set(other, one); close(done) }()
	<-done // the first change has let go of the lock
}

// A rule sends questions to its servers as Peers says at that time, but for those of which
// the rule itself says it.
func TestADestinationFollowsWhatIsSaidOfItsServers(t *testing.T) {
	var p Peers
	a, err := Forward([]Server{{Text: "192.0.2.1"}, {Text: "192.0.2.2@5353"}, {Text: "tls://192.0.2.3"}}, &p)
	if err != nil {
		t.Fatal(err)
	}
	table := NewTable(nil, func() {})
	table.Add(0, &Rule{Filter: All(), Action: a})
	sent := func() *zonecut.Cut {
		req := &resolve.Request{Question: resolve.Question{Name: "\x01a\x00", Type: wire.TypeA, Class: wire.ClassIN}}
		table.Try(req, SubjectOf(req), false)
		return req.Cut
	}
	named, print := sent(), table.Fingerprint()
	if !named.NS[0].Peer.Plain() || named.NS[2].Peer.Plain() {
		t.Errorf("as the rule names them: %+v", named.NS)
	}
	one, two, own := tlsPeer(t, "one.example"), tlsPeer(t, "two.example"), named.NS[2].Peer
	p.Set(netip.MustParseAddrPort("192.0.2.1:53"), one)
	p.Set(netip.MustParseAddrPort("192.0.2.2:53"), two) // another port
	p.Set(netip.MustParseAddrPort("192.0.2.3:853"), two)
	table.Renew()
	said := sent()
	if said.NS[0].Peer != one || said.NS[0].Port != 53 || !said.NS[1].Peer.Plain() || said.NS[2].Peer != own {
		t.Errorf("as was said: %+v", said.NS)
	}
	if !named.NS[0].Peer.Plain() {
		t.Error("servers that a request has got already have changed")
	}
	if sent() != said {
		t.Error("the servers are put together for each request")
	}
	if table.Fingerprint() == print {
		t.Error("how servers are spoken to makes no difference for what is kept of them")
	}
	p.Set(netip.MustParseAddrPort("192.0.2.2:5353"), two)
	if again := sent(); again.NS[0].Peer != one || again.NS[1].Peer != two || again.NS[1].Port != 5353 {
		t.Errorf("as was said later: %+v", again.NS)
	}
	p.Set(netip.MustParseAddrPort("192.0.2.1:53"), zonecut.Peer{})
	p.Set(netip.MustParseAddrPort("192.0.2.2:5353"), zonecut.Peer{})
	table.Renew()
	if table.Fingerprint() != print || !sent().NS[0].Peer.Plain() {
		t.Error("what was taken back leaves something")
	}
}

// How a server is named decides how it is spoken to and what it has to prove; what is
// wrong about it is said.
func TestHowServersAreNamed(t *testing.T) {
	var said Peers
	said.Set(netip.MustParseAddrPort("192.0.2.9:853"), tlsPeer(t, "said.example"))
	name := zonecut.PeerConfig{Names: []string{"dns.example"}}
	pin := zonecut.PeerConfig{Pins: []zonecut.Pin{{1}}}
	both := zonecut.PeerConfig{Names: name.Names, Pins: pin.Pins}
	for _, c := range []struct {
		server  Server
		overTLS bool
		by      zonecut.Protocol
		port    uint16
		proves  string // the first name; "" none
		why     string // it is refused
	}{
		{Server{Text: "192.0.2.1"}, false, zonecut.Do53, 0, "", ""},
		{Server{Text: "192.0.2.1@5353"}, false, zonecut.Do53, 5353, "", ""},
		{Server{Text: "192.0.2.1", Proof: name}, false, 0, 0, "", "is asked in plain DNS, which proves nothing"},
		{Server{Text: "192.0.2.1", Proof: zonecut.PeerConfig{Insecure: true}}, false, 0, 0, "", "is asked in plain DNS, which proves nothing"},
		{Server{Text: "192.0.2.1", Proof: zonecut.PeerConfig{Authorities: []string{"/ca"}}}, false, 0, 0, "", "is asked in plain DNS, which proves nothing"},
		{Server{Text: "192.0.2.1", Addresses: []string{"192.0.2.2"}}, false, 0, 0, "", "address belongs to a URL"},
		{Server{Text: "nonsense"}, false, 0, 0, "", "is not an IP address"},
		{Server{Text: "192.0.2.1", Proof: name}, true, zonecut.DoT, 0, "dns.example", ""},
		{Server{Text: "192.0.2.1@8853", Proof: pin}, true, zonecut.DoT, 8853, "", ""},
		{Server{Text: "192.0.2.1", Proof: both}, true, 0, 0, "", "pin_sha256 and hostname are given"},
		{Server{Text: "192.0.2.1"}, true, 0, 0, "", "nothing says how '192.0.2.1' proves who it is"},
		{Server{Text: "192.0.2.9"}, true, zonecut.DoT, 0, "said.example", ""},
		{Server{Text: "192.0.2.9@53"}, true, 0, 0, "", "nothing says how"},
		{Server{Text: "tls://192.0.2.1"}, false, zonecut.DoT, 0, "192.0.2.1", ""},
		{Server{Text: "tls://192.0.2.1:8853"}, false, zonecut.DoT, 8853, "192.0.2.1", ""},
		{Server{Text: "tls://192.0.2.1", Proof: name}, false, zonecut.DoT, 0, "dns.example", ""},
		{Server{Text: "tls://192.0.2.1", Proof: pin}, false, zonecut.DoT, 0, "", ""},
		{Server{Text: "tls://192.0.2.1", Proof: both}, false, 0, 0, "", "pin_sha256 and hostname are given"},
		{Server{Text: "tls://192.0.2.1", Addresses: []string{"192.0.2.2"}}, false, 0, 0, "", "names its address, and another is given"},
		{Server{Text: "quic://dns.example", Addresses: []string{"192.0.2.2"}}, false, zonecut.DoQ, 0, "dns.example", ""},
		{Server{Text: "quic://dns.example"}, false, 0, 0, "", "the address of 'dns.example' has to be given"},
		{Server{Text: "quic://dns.example", Addresses: []string{"nonsense"}}, false, 0, 0, "", "is not an IP address"},
		{Server{Text: "quic://dns.example", Addresses: []string{"192.0.2.2@853"}}, false, 0, 0, "", "'192.0.2.2@853' has a port, which belongs into the URL"},
		{Server{Text: "https://DNS.Example/q", Addresses: []string{"192.0.2.2"}}, false, zonecut.DoH, 0, "dns.example", ""},
		{Server{Text: "https://192.0.2.1:0/"}, false, 0, 0, "", "has no port from 1 to 65535"},
		{Server{Text: "https://a b/"}, false, 0, 0, "", "is no URL"},
		{Server{Text: "udp://192.0.2.1"}, false, 0, 0, "", "begins with none of tls://, https:// and quic://"},
		{Server{Text: "tls://.."}, false, 0, 0, "", "is no host name"},
	} {
		list, err := c.server.endpoints(c.overTLS, &said)
		if (err != nil) != (c.why != "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%+v: %v, want %q", c.server, err, c.why)
			continue
		}
		if err != nil {
			continue
		}
		proves := ""
		if names := list[0].Peer.Config().Names; len(names) > 0 {
			proves = names[0]
		}
		if ns := list[0]; ns.Peer.Protocol() != c.by || ns.Port != c.port || proves != c.proves {
			t.Errorf("%+v: %v at port %d, of the name %q", c.server, ns.Peer.Protocol(), ns.Port, proves)
		}
	}
}

// Where nothing else is said, the path of a DoH server is the usual one (RFC 8484, section
// 4.1.1).
func TestThePathOfADoHServer(t *testing.T) {
	for text, want := range map[string]string{
		"https://192.0.2.1": "/dns-query", "https://192.0.2.1/": "/", "https://192.0.2.1/a%2fb": "/a%2fb", "https://192.0.2.1/q{?dns}": "/q",
	} {
		s := Server{Text: text}
		list, err := s.endpoints(false, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := list[0].Peer.Config().Path; got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// One address is as many servers as it has protocols and ports.
func TestServersOfOneAddressAreToldApart(t *testing.T) {
	var all []Server
	for _, text := range []string{"192.0.2.3", "192.0.2.3@54", "tls://192.0.2.3", "tls://192.0.2.3:54", "https://192.0.2.3", "https://192.0.2.3:54", "quic://192.0.2.3", "quic://192.0.2.3:54"} {
		all = append(all, Server{Text: text})
	}
	for i := range all {
		if _, err := Forward(all[i:i+1:i+1], nil); err != nil {
			t.Errorf("%s: %v", all[i].Text, err)
		}
		for k := range i {
			if _, err := Forward([]Server{all[i], all[k]}, nil); err != nil {
				t.Errorf("%s and %s: %v", all[i].Text, all[k].Text, err)
			}
		}
	}
}

// net.tls_client says how a server at an address and a port is spoken to.
func TestAServerOfTLSClient(t *testing.T) {
	for _, c := range []struct {
		server Server
		at     string
		why    string
	}{
		{Server{Text: "192.0.2.1", Proof: zonecut.PeerConfig{Names: []string{"dns.example"}}}, "192.0.2.1:853", ""},
		{Server{Text: "192.0.2.1@8853", Proof: zonecut.PeerConfig{Pins: []zonecut.Pin{{1}}}}, "192.0.2.1:8853", ""},
		{Server{Text: "192.0.2.1"}, "", "nothing says how the server is authenticated"},
		{Server{Text: "tls://192.0.2.1"}, "", "is not an IP address"},
		{Server{Text: "192.0.2.1", Addresses: []string{"192.0.2.2"}}, "", "address belongs to a URL"},
	} {
		at, as, err := TLSClient(&c.server)
		if (err != nil) != (c.why != "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%+v: %v, want %q", c.server, err, c.why)
		}
		if err == nil && (at.String() != c.at || as.Protocol() != zonecut.DoT) {
			t.Errorf("%+v: %v at %v", c.server, as.Protocol(), at)
		}
	}
}

// A rule that is switched off, and then deleted, takes nothing from the fingerprint twice.
func TestADeletedRuleIsSwitchedOffInVain(t *testing.T) {
	forward := func(at string) *Action {
		a, err := Forward(plainly(at), nil)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	table := NewTable(nil, func() {})
	table.Add(0, &Rule{Filter: All(), Action: forward("192.0.2.1")})
	want := table.Fingerprint()
	gone := table.Add(1, &Rule{Filter: Suffix([]dnsname.Name{"\x01a\x00"}, ""), Action: forward("192.0.2.2")})
	table.Delete(1)
	for _, on := range []bool{true, false} {
		if gone.Suspend(on); table.Fingerprint() != want {
			t.Errorf("a deleted rule, switched off %v, changes the fingerprint", on)
		}
	}
}

// Where a rule before it lets a question pass to the next one, the decision tells so, for it
// is counted.
func TestADecisionTellsWhatWasPassed(t *testing.T) {
	pass := Choose("PASS ON", func(*Subject, int) (*Saying, Decision) { return nil, GoOn })
	for _, c := range []struct {
		first *Action
		want  bool
	}{{pass, true}, {Refuse(), false}} {
		table := NewTable(nil, func() {})
		e := table.Add(0, &Rule{Filter: All(), Action: c.first})
		last := table.Add(1, &Rule{Filter: All(), Action: Refuse()})
		if c.want {
			e = last
		}
		if d := table.Decide(subject(t, "www.example")); !d.Sure || d.Passed != c.want || d.Decision != Answered || d.Entry != e || d.Answer == nil {
			t.Errorf("%s first: %+v", c.first, d)
		}
	}
}

// A pattern with a mistake is refused when the rule is made, and filters that mean other
// names tell caches so.
func TestFiltersThatDiffer(t *testing.T) {
	if _, err := Pattern("[a"); err == nil {
		t.Error("a pattern without an end is taken")
	}
	one, _ := Pattern("one")
	two, _ := Pattern("two")
	seen := map[uint64]string{}
	for what, f := range map[string]Filter{
		"all": All(), "suffix a": Suffix(list(t, "a"), ""), "suffix b": Suffix(list(t, "b"), ""), "domains a": Domains(list(t, "a")), "domains b": Domains(list(t, "b")),
		"below a": Below(list(t, "a")), "below b": Below(list(t, "b")), "one": one, "two": two, "suffix b below a": Suffix(list(t, "b"), name(t, "a")),
	} {
		if other := seen[f.digest]; other != "" {
			t.Errorf("%s and %s are one for caches", what, other)
		}
		seen[f.digest] = what
	}
	for text, want := range map[string]string{"it's": `'it\'s'`, " ~": "' ~'", "\x7f\x1f": `'\127\031'`, `\`: `'\\'`} {
		if got := Quoted(text); got != want {
			t.Errorf("%q is written %s, want %s", text, got, want)
		}
	}
}
