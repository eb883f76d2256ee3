package test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// reaction sends an odd message and after it, the same way, a good query; it
// returns what came back for the first, or "silence" when only the good query
// was answered or the connection ended. The name of the good query must be
// cached, so that its answer cannot come before one that needs no servers.
func reaction(t *testing.T, network string, server netip.AddrPort, o *proctest.Odd) string {
	t.Helper()
	conn, err := net.Dial(network, server.String())
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
	c := &dns.Conn{Conn: conn, UDPSize: 65535}
	for _, p := range [][]byte{o.Packet, wire} {
		if _, err := c.Write(p); err != nil && network == "udp" {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 65536)
	for {
		n, err := c.Read(buf)
		switch {
		case err != nil && network == "tcp" && !os.IsTimeout(err):
			return "silence"
		case err != nil:
			t.Fatalf("%s over %s: %v", o.What, network, err)
		case buf[0] != 0x60 || buf[1] != 0x06:
			return o.Reaction(buf[:n])
		case o.Want == "silence":
			return o.Want
		}
	}
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

// Every kind of message that is no ordinary question has its one reaction over
// UDP and TCP: never an answer to an answer (loops), never more than a header for
// nonsense.
func TestOddPackets(t *testing.T) {
	const host = "odd.host.example"
	version := ""
	for _, network := range []string{"udp", "tcp"} { // a process for each: garbage is answered so many times a second
		g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1, "hostname('"+host+"')"))
		warm(t, g)
		if version == "" {
			version = strings.TrimSpace(g.Eval(t, "package_version()"))
		}
		began, errors := time.Now(), 0
		for _, o := range proctest.Odds(version, host) {
			if errors++; errors%40 == 0 { // see above
				time.Sleep(time.Until(began.Add(2100 * time.Millisecond)))
				began = time.Now()
			}
			if got := reaction(t, network, g.Addr, &o); got != o.Want {
				t.Errorf("%q over %s: %s, want %s", o.What, network, got, o.Want)
			}
		}
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
