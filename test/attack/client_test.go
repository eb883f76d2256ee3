package attack

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// outcome is what a burst of questions came to.
type outcome struct {
	answered int
	rcodes   map[int]int
	waits    []time.Duration // of the answered, sorted
	unheard  []string
}

// p99 is the wait that one of a hundred exceeds.
func (o *outcome) p99() time.Duration {
	if len(o.waits) == 0 {
		return 0
	}
	return o.waits[len(o.waits)*99/100]
}

// burst asks for the A records of names, all at once from so many sockets, and
// waits for answers at most limit.
func burst(t *testing.T, to netip.AddrPort, names []string, sockets int, limit time.Duration) outcome {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	all := outcome{rcodes: map[int]int{}}
	for s := range sockets {
		var mine []string
		for i := s; i < len(names); i += sockets {
			mine = append(mine, names[i])
		}
		wg.Go(func() {
			o := volley(t, to, mine, limit)
			mu.Lock()
			defer mu.Unlock()
			all.answered += o.answered
			all.waits = append(all.waits, o.waits...)
			all.unheard = append(all.unheard, o.unheard...)
			for rcode, n := range o.rcodes {
				all.rcodes[rcode] += n
			}
		})
	}
	wg.Wait()
	slices.Sort(all.waits)
	return all
}

// volley is the part of a burst that leaves one socket.
func volley(t *testing.T, to netip.AddrPort, names []string, limit time.Duration) outcome {
	o := outcome{rcodes: map[int]int{}}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Error(err)
		return o
	}
	defer c.Close()
	_ = c.SetReadBuffer(1 << 20)
	sent := make([]time.Time, len(names))
	heard := make([]bool, len(names))
	for i, name := range names {
		q := proctest.Query(name, dns.TypeA, 1232)
		q.Id = uint16(i)
		wire, err := q.Pack()
		if err != nil {
			t.Error(err)
			return o
		}
		sent[i] = time.Now()
		if _, err := c.Write(wire); err != nil {
			t.Error(err)
			return o
		}
	}
	_ = c.SetReadDeadline(time.Now().Add(limit))
	buf := make([]byte, 65536)
	for o.answered < len(names) {
		n, err := c.Read(buf)
		if err != nil {
			break
		}
		if id := int(binary.BigEndian.Uint16(buf)); n >= 12 && id < len(names) && !heard[id] {
			heard[id] = true
			o.answered++
			o.rcodes[int(buf[3]&15)]++
			o.waits = append(o.waits, time.Since(sent[id]))
		}
	}
	for i, ok := range heard {
		if !ok {
			o.unheard = append(o.unheard, names[i])
		}
	}
	return o
}

// newQuery asks for the A records of name, with EDNS.
func newQuery(name string) *dns.Msg { return proctest.Query(name, dns.TypeA, 1232) }
