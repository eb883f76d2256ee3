package attack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"kresd/internal/authority"
)

// TestC5HeldAnswers holds answers back while one client asks, and gives all of them at
// once (DNSBomb, CVE-2024-33655): what leaves for the client must be no pulse.
func TestC5HeldAnswers(t *testing.T) {
	const all, asking, most = 1000, time.Second, 5.0
	for _, tc := range []struct {
		what string
		name func(i int) string
		hold time.Duration // from the first question on
	}{
		{"different questions", func(i int) string { return fmt.Sprintf("c%d.evil.com.", i) }, 1100 * time.Millisecond},
		{"equal questions", func(int) string { return "one.evil.com." }, 1100 * time.Millisecond},
		{"different questions for longer", func(i int) string { return fmt.Sprintf("c%d.evil.com.", i) }, 1500 * time.Millisecond},
		{"different questions for very long", func(i int) string { return fmt.Sprintf("c%d.evil.com.", i) }, 4 * time.Second},
	} {
		zs := honest()
		evilZone(zs, "evil.com.", "127.66.1.1", "*.evil.com. A 192.0.2.99\n")
		l := newLab(t, zs, 1)
		l.ask("warm.evil.com.", dns.TypeA)
		for try := range 6 {
			// What a machine does that is busy with other things is not the resolver's: the
			// same is tried again, with fewer questions if they are too many for it, and beside
			// what the same machine makes of answers that keep no pace.
			n, bound := all>>(try/2), most
			got := l.held(n, asking, tc.hold, tc.name)
			worst, ratios := got.worst()
			if try > 0 && worst > most && !got.lacks(n) {
				l.g.Eval(t, "net.forwarders({'127.0.0.1'})")
				reference, _ := l.held(n, asking, tc.hold, tc.name).worst()
				l.g.Eval(t, "net.forwarders({})")
				bound = max(most, reference/2)
			}
			if fine := worst <= bound && !got.lacks(n); !fine && try < 5 {
				continue
			} else if !fine {
				t.Errorf("%s: the peak is %.1f times the mean, more than %.1f times, %d answers of %d", tc.what, worst, bound, len(got.came), n)
			}
			tell(t, "C5", fmt.Sprintf("%d %s within %v, answered %v after the first, to one client", n, tc.what, asking, tc.hold),
				"peak <= 5 times the mean in windows of 20 ms and more", "%s; %d answers within %v", strings.Join(ratios, ", "), len(got.came), got.span().Round(time.Millisecond))
			break
		}
	}
}

// held is when the answers came that were held back from the first question on.
func (l *lab) held(n int, asking, hold time.Duration, name func(i int) string) pulse {
	l.t.Helper()
	l.clear()
	l.ask("warm.evil.com.", dns.TypeA)
	release := time.Now().Add(hold)
	l.net.Host("127.66.1.1").Play(func(x *authority.Exchange) { x.Delay = max(time.Until(release), 0) })
	return heldBack(l.t, l.g.Addr, n, asking, name)
}

// A pulse is when answers came, after the first question.
type pulse struct{ came []time.Duration }

// lacks tells whether so many questions have not been answered nearly all.
func (p pulse) lacks(n int) bool { return len(p.came) < n*9/10 }

// worst is the highest ratio, and texts of all, by windows.
func (p pulse) worst() (worst float64, ratios []string) {
	for _, window := range []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond} {
		ratio := p.ratio(window)
		if window > 10*time.Millisecond { // shorter than what the kernel may keep a process from running
			worst = max(worst, ratio)
		}
		ratios = append(ratios, fmt.Sprintf("%.1f in %v", ratio, window))
	}
	return worst, ratios
}

// span is how long answers came.
func (p pulse) span() time.Duration {
	if len(p.came) == 0 {
		return 0
	}
	return p.came[len(p.came)-1] - p.came[0]
}

// ratio is how many answers came in the fullest window, by how many came in one on
// average from the first question on.
func (p pulse) ratio(window time.Duration) float64 {
	most, first := 0, 0
	for i, at := range p.came {
		for at-p.came[first] >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	if most == 0 {
		return 0
	}
	mean := float64(len(p.came)) * float64(window) / float64(p.came[len(p.came)-1])
	return float64(most) / mean
}

// heldBack asks so many questions, evenly within a time, from one socket, and hears when
// they are answered.
func heldBack(t *testing.T, to netip.AddrPort, n int, within time.Duration, name func(int) string) (p pulse) {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetReadBuffer(4 << 20)
	stamped(t, c)
	start, heard := time.Now(), make(chan struct{})
	go func() {
		defer close(heard)
		buf, control := make([]byte, 4096), make([]byte, 128)
		for len(p.came) < n {
			_, size, _, _, err := c.ReadMsgUDP(buf, control)
			if err != nil {
				return
			}
			p.came = append(p.came, arrival(t, control[:size]).Sub(start.Round(0)))
		}
	}()
	for i := range n {
		q := newQuery(name(i))
		q.Id = uint16(i)
		wire, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(start.Add(within * time.Duration(i) / time.Duration(n))))
		if _, err := c.Write(wire); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(12 * time.Second))
	<-heard
	slices.Sort(p.came)
	return p
}

// stamped has the kernel tell when datagrams arrive: on a busy machine the reader may run
// much later, and find then in one moment what came evenly.
func stamped(t *testing.T, c *net.UDPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
	if err := errors.Join(err, set); err != nil {
		t.Fatal(err)
	}
}

// arrival is when a datagram arrived, by what the kernel gave beside it.
func arrival(t *testing.T, control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 || len(messages[0].Data) < 16 {
		t.Errorf("a datagram without the time of its arrival: %v", err)
		return time.Time{}
	}
	data := messages[0].Data // a struct timespec
	return time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:])))
}
