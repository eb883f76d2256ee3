package test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// reaction sends a packet and after it, from the same socket, a good query; it
// returns the RCODE of what came back for the packet, or "silence" when the good
// query's answer came first. The name of the good query must be cached.
func reaction(t *testing.T, server netip.AddrPort, packet []byte) string {
	t.Helper()
	conn, err := net.Dial("udp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	good := proctest.Query("www.example.com", dns.TypeA, 0)
	good.Id = 0x6006
	wire, err := good.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range [][]byte{packet, wire} {
		if _, err := conn.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 65536)
	n, err := conn.Read(buf)
	if err != nil || n < 12 {
		t.Fatalf("neither packet was answered: %d octets, %v", n, err)
	}
	if buf[0] == 0x60 && buf[1] == 0x06 {
		return "silence"
	}
	return dns.RcodeToString[int(buf[3]&0x0f)]
}

// changed packs a query after a change to it.
func changed(t *testing.T, qtype uint16, change func(*dns.Msg)) []byte {
	t.Helper()
	q := proctest.Query("www.example.com", qtype, 0)
	q.Id = 0x1234
	change(q)
	wire, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// Every kind of packet that is no ordinary question has its one reaction: never
// an answer to an answer (loops), never more than a header for nonsense.
func TestOddPackets(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	warm(t, g)
	same := func(*dns.Msg) {}
	for what, tc := range map[string]struct {
		packet []byte
		want   string // alternatives by |
	}{
		"one octet":     {[]byte{1}, "silence"},
		"eleven octets": {make([]byte, 11), "silence"},
		"an answer":     {changed(t, dns.TypeA, func(q *dns.Msg) { q.Response = true }), "silence"},
		"no question":   {changed(t, dns.TypeA, func(q *dns.Msg) { q.Question = nil }), "FORMERR"},
		"cut question":  {changed(t, dns.TypeA, same)[:20], "FORMERR"},
		"two questions": {changed(t, dns.TypeA, func(q *dns.Msg) { q.Question = append(q.Question, q.Question[0]) }), "FORMERR"},
		"an answer record": {changed(t, dns.TypeA, func(q *dns.Msg) {
			q.Answer = []dns.RR{&dns.NULL{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNULL, Class: 1}}}
		}), "FORMERR"},
		"NOTIFY":         {changed(t, dns.TypeSOA, func(q *dns.Msg) { q.Opcode = dns.OpcodeNotify }), "NOTIMP"},
		"UPDATE":         {changed(t, dns.TypeSOA, func(q *dns.Msg) { q.Opcode = dns.OpcodeUpdate }), "NOTIMP"},
		"AXFR":           {changed(t, dns.TypeAXFR, same), "NOTIMP"},
		"TKEY":           {changed(t, dns.TypeTKEY, same), "NOTIMP"},
		"class HS":       {changed(t, dns.TypeA, func(q *dns.Msg) { q.Question[0].Qclass = dns.ClassHESIOD }), "REFUSED|NOTIMP"},
		"EDNS version 5": {changed(t, dns.TypeA, func(q *dns.Msg) { q.SetEdns0(1232, false); q.IsEdns0().SetVersion(5) }), "NOERROR"}, // BADVERS is 16: low bits 0
	} {
		t.Run(what, func(t *testing.T) {
			if got := reaction(t, g.Addr, tc.packet); !strings.Contains("|"+tc.want+"|", "|"+got+"|") {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
	if r := g.Ask(t, "udp", "www.example.com", dns.TypeANY, 1232); len(r.Answer) != 1 || r.Answer[0].Header().Rrtype != dns.TypeHINFO {
		t.Errorf("ANY: %v, want one HINFO (RFC 8482, section 4.2)", r.Answer)
	}
}

// Mutated packets end no worker.
func TestMutatedPackets(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	warm(t, g)
	before := pids(g.Workers())
	conn, err := net.Dial("udp", g.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	base := changed(t, dns.TypeA, func(q *dns.Msg) { q.SetEdns0(1232, true) })
	for range 30000 {
		packet := append([]byte(nil), base[:rnd.IntN(len(base))+1]...)
		for range rnd.IntN(6) {
			packet[rnd.IntN(len(packet))] = byte(rnd.Uint32())
		}
		_, _ = conn.Write(packet)
	}
	for _, name := range names {
		if r := g.Ask(t, "udp", name, dns.TypeA, 1232); len(r.Answer) == 0 {
			t.Errorf("%s after mutated packets: %v", name, r)
		}
	}
	if after := pids(g.Workers()); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("seed %d: workers %v became %v", seed, before, after)
	}
	if strings.Contains(g.Log(), "panic") {
		t.Errorf("seed %d: a panic in the log", seed)
	}
}

// Listening on IPv6, several addresses at once, and inherited by -a alone.
func TestListeningAddresses(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	config := proctest.On(t, proctest.SmallInternet(t), 2)
	config.Lua = strings.Replace(config.Lua, "net.listen(", "--", 1)
	config.Addr = netip.MustParseAddrPort("[::1]:53")
	config.Args = []string{"-a", "::1", "-a", "127.0.0.5@5353", "--addr=127.0.0.6#5354"}
	g := proctest.Start(t, config)
	for _, at := range []string{"[::1]:53", "127.0.0.5:5353", "127.0.0.6:5354"} {
		for _, network := range []string{"udp", "tcp"} {
			r, err := proctest.Exchange(network, netip.MustParseAddrPort(at), proctest.Query("mail.example.com", dns.TypeA, 0))
			if err != nil || len(r.Answer) != 1 {
				t.Errorf("%s over %s: %v, %v", at, network, r, err)
			}
		}
	}
	if got := g.Eval(t, "net.close('127.0.0.5', 5353)"); strings.TrimSpace(got) != "true" {
		t.Errorf("net.close: %q", got)
	}
	if got := g.Eval(t, "net.list()['127.0.0.5']"); strings.TrimSpace(got) != "nil" {
		t.Errorf("net.list after net.close: %q", got)
	}
}
