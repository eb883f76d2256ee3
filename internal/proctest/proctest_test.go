package proctest

import (
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/safe"
)

// echo is a name server that answers every n-th query; n = 1 answers all.
func echo(t *testing.T, n int) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetReadBuffer(1 << 20)
	safe.Go("echo", nil, func() {
		buf := make([]byte, 4096)
		for i := 1; ; i++ {
			size, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if i%n == 0 {
				buf[2] |= 0x80
				_, _ = c.WriteToUDPAddrPort(buf[:size], from)
			}
		}
	})
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestAStreamKnowsOfEveryQuery(t *testing.T) {
	s := Load(t, echo(t, 1), 2000, "www.example.com")
	time.Sleep(300 * time.Millisecond)
	r := s.Stop()
	if r.Sent < 100 || r.Answered != r.Sent || len(r.Lost) != 0 || r.Failed != 0 {
		t.Errorf("sent %d, answered %d, failed %d, lost %d; want all answered", r.Sent, r.Answered, r.Failed, len(r.Lost))
	}
}

func TestAStreamReportsLostQueries(t *testing.T) {
	s := Load(t, echo(t, 10), 1000, "www.example.com")
	time.Sleep(200 * time.Millisecond)
	r := s.Stop()
	if r.Sent == 0 || r.Answered+uint64(len(r.Lost)) != r.Sent || len(r.Lost) < int(r.Sent)*8/10 {
		t.Errorf("sent %d, answered %d, lost %d; want nine of ten lost", r.Sent, r.Answered, len(r.Lost))
	}
}

// A console must be read to its prompt even when the text comes in pieces and
// looks like one in the middle.
func TestConsoleReadsToThePrompt(t *testing.T) {
	path := filepath.Join(RunDir(t), "tty")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	safe.Go("console", nil, func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf := make([]byte, 100)
		for _, answer := range [][]string{{"> "}, {"5", "3\n", "\n> "}, {"[a> ] => ", "1 > 0\n\n> "}, {"\n> "}} {
			for _, piece := range answer {
				_, _ = c.Write([]byte(piece))
				time.Sleep(5 * time.Millisecond)
			}
			_, _ = c.Read(buf)
		}
	})
	c, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, want := range []string{"53\n", "[a> ] => 1 > 0\n", ""} {
		if got, err := c.Do("command"); got != want || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if got, err := c.Do("after the end"); err == nil {
		t.Errorf("closed connection: got %q and no error", got)
	}
}

func TestShapeIgnoresTTLOrderAndCase(t *testing.T) {
	read := func(ttl string, names ...string) *dns.Msg {
		r := new(dns.Msg)
		for _, n := range names {
			rr, err := dns.NewRR("www.example.com. " + ttl + " A " + n)
			if err != nil {
				t.Fatal(err)
			}
			r.Answer = append(r.Answer, rr)
		}
		return r
	}
	a, b := read("60", "192.0.2.1", "192.0.2.2"), read("59", "192.0.2.2", "192.0.2.1")
	a.Answer[0].Header().Name = "WWW.example.com."
	if Shape(a) != Shape(b) {
		t.Errorf("%s\nand\n%s\nshould be equal", Shape(a), Shape(b))
	}
	if c := read("60", "192.0.2.1"); Shape(a) == Shape(c) {
		t.Error("a missing record makes no difference")
	}
}

func TestNamespaceIsPrivate(t *testing.T) {
	if !InNamespace(t) {
		return
	}
	interfaces, err := net.Interfaces()
	if err != nil || len(interfaces) != 1 || interfaces[0].Name != "lo" {
		t.Errorf("interfaces %v, %v; want lo alone", interfaces, err)
	}
	c, err := net.ListenPacket("udp", "127.9.9.9:53")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
