package attack

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// far is a message whose last names are reached by more pointers than may be
// followed.
func far(question []byte) []byte {
	b := bytes.Clone(question)
	b[2] |= 0x84
	const records = 20
	b[6], b[7], b[10], b[11] = 0, records, 0, 0
	end := 12
	for b[end] != 0 {
		end += 1 + int(b[end])
	}
	b = b[:end+5]
	for at := 12; b[7] > 0; b[7]-- {
		next := len(b)
		b = append(b, record("\x01a"+pointer(at), 1, "abcd")...)
		at = next
	}
	b[7] = records
	return b
}

// TestLimitsAreCounted does what exceeds a limit, once, and reads on the console
// that it was met.
func TestLimitsAreCounted(t *testing.T) {
	t.Parallel()
	zs := honest()
	evilZone(zs, "evil.com.", "127.66.1.1", "")
	many := "many.com. NS ns.many.com.\n"
	for i := range 40 {
		many += fmt.Sprintf("ns.many.com. A 127.66.2.%d\n", i+1)
	}
	zs["com."] += many
	zone := "deep.com."
	for i := range 12 {
		evilZone(zs, zone, "127.66.1.2", "")
		zone = fmt.Sprintf("l%d.%s", i, zone)
	}
	l := newLab(t, zs, 1)
	l.net.Host("127.66.1.1").Play(func(x *authority.Exchange) {
		q := x.Query.Question[0]
		x.Reply.Rcode, x.Reply.Ns = dns.RcodeSuccess, nil
		switch label, _, _ := strings.Cut(strings.ToLower(q.Name), "."); {
		case label == "options":
			opt := x.Reply.IsEdns0()
			for range 33 {
				opt.Option = append(opt.Option, &dns.EDNS0_LOCAL{Code: 65001})
			}
		case !x.TCP:
			x.Reply.Truncated = true
		}
	})
	l.net.Host("127.66.1.1").WriteTCP(func(c net.Conn, framed []byte) error {
		if bytes.Contains(bytes.ToLower(framed), []byte("\x03far\x04evil")) {
			msg := far(framed[2:])
			framed = append([]byte{byte(len(msg) >> 8), byte(len(msg))}, msg...)
		}
		_, err := c.Write(framed)
		return err
	})
	for _, tc := range []struct{ limit, name string }{
		{"edns_options", "options.evil.com."},
		{"name_bytes", "far.evil.com."},
		{"addrs_per_ns", "www.many.com."},
		{"qname_min_steps", "www." + zone},
	} {
		before := l.hits(tc.limit)
		l.ask(tc.name, dns.TypeA)
		if n := l.hits(tc.limit) - before; n < 1 {
			t.Errorf("%s: worker.limits().%s has not risen", tc.name, tc.limit)
		}
	}
	l.consoleLimit()
	l.slowClient()
}

// consoleLimit sends a command that is too long to the console.
func (l *lab) consoleLimit() {
	l.t.Helper()
	c, err := net.Dial("unix", l.g.Workers()[0].Socket)
	if err != nil {
		l.t.Fatal(err)
	}
	defer c.Close()
	go io.Copy(io.Discard, c)
	_, _ = c.Write(bytes.Repeat([]byte("x"), 1<<17))
	proctest.Eventually(l.t, 10*time.Second, "the console's limit", l.met("console"))
}

// slowClient begins a message over TCP and does not end it.
func (l *lab) slowClient() {
	l.t.Helper()
	c, err := net.Dial("tcp", l.g.Addr.String())
	if err != nil {
		l.t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write([]byte{0, 40, 1})
	proctest.Eventually(l.t, 20*time.Second, "the limit of a message's time", l.met("tcp_time"))
}

// met looks now and then whether a limit was met.
func (l *lab) met(limit string) func() bool {
	return func() bool {
		time.Sleep(200 * time.Millisecond)
		return l.hits(limit) > 0
	}
}
