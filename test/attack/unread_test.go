package attack

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// unread are clients that ask for a large answer over TCP again and again and never read.
type unread struct {
	stop  chan struct{}
	done  sync.WaitGroup
	conns atomic.Int64
}

// startUnread starts so many clients. One whose connection the server has ended comes
// again.
func startUnread(t *testing.T, l *lab, clients int, name string) *unread {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeTXT)
	wire, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	ask := bytes.Repeat(append([]byte{byte(len(wire) >> 8), byte(len(wire))}, wire...), 100)
	d := net.Dialer{Timeout: time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { // little room, so that the server has to wait soon
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		})
	}}
	u := &unread{stop: make(chan struct{})}
	for i := range clients {
		u.done.Go(func() {
			// Not all at once.
			for more := u.rest(time.Second * time.Duration(i) / time.Duration(clients)); more; {
				c, err := d.Dial("tcp", l.g.Addr.String())
				if err != nil {
					more = u.rest(100 * time.Millisecond)
					continue
				}
				u.conns.Add(1)
				_, _ = c.Write(ask)
				more = u.rest(1500 * time.Millisecond)
				c.Close()
			}
		})
	}
	return u
}

// rest waits; false says that the end has come. Clients that looked for the end again and
// again would take the time of those whose waits are measured.
func (u *unread) rest(d time.Duration) bool {
	select {
	case <-u.stop:
		return false
	case <-time.After(d):
		return true
	}
}

func (u *unread) end() int64 {
	close(u.stop)
	u.done.Wait()
	return u.conns.Load()
}

// TestC3ClientsThatNeverRead has clients ask for answers of 60 KB over TCP and never read
// one, beside clients who ask for a cached name over UDP. Rounds with and without them come
// in turns.
func TestC3ClientsThatNeverRead(t *testing.T) {
	const rounds, during, most, read = 5, 1500 * time.Millisecond, 15.0, 40
	zs := honest()
	var b strings.Builder
	for i := range 240 {
		fmt.Fprintf(&b, "big.evil.com. TXT \"%d%s\"\n", i, strings.Repeat("x", 240))
	}
	evilZone(zs, "evil.com.", "127.66.1.1", b.String())
	l := newLab(t, zs, 1)
	l.ask("www.example.com.", dns.TypeA)
	if r, err := dnsTCP(l.g.Addr, "big.evil.com.", dns.TypeTXT); err != nil || len(r.Answer) != 240 {
		t.Fatalf("%v: %d records", err, len(r.Answer))
	}
	clients := 300 * min(scale(), 4)
	load := func() proctest.Report {
		hits := proctest.Load(t, l.g.Addr, benignRate, "www.example.com")
		time.Sleep(during)
		return hits.Stop()
	}
	load()
	var alone, beside []float64
	var busyAlone, busyBeside, busyRead time.Duration
	var conns, judged int64
	lost := 0
	for range rounds {
		used := processorTime(t, l.g.PID())
		r := load()
		busyAlone += processorTime(t, l.g.PID()) - used
		alone = append(alone, float64(r.Wait(0.99)))
		u := startUnread(t, l, clients, "big.evil.com.")
		time.Sleep(time.Second)
		used, come := processorTime(t, l.g.PID()), u.conns.Load()
		r = load()
		busyBeside += processorTime(t, l.g.PID()) - used
		judged += u.conns.Load() - come
		beside = append(beside, float64(r.Wait(0.99)))
		lost += len(r.Lost) + int(r.Failed)
		conns += u.end()
		time.Sleep(500 * time.Millisecond)
		used = processorTime(t, l.g.PID())
		for range read {
			if r, err := dnsTCP(l.g.Addr, "big.evil.com.", dns.TypeTXT); err != nil || len(r.Answer) != 240 {
				t.Fatalf("who reads has no answer: %v", err)
			}
		}
		busyRead += processorTime(t, l.g.PID()) - used
	}
	slices.Sort(alone)
	slices.Sort(beside)
	before, after := alone[rounds/2]/1e6, beside[rounds/2]/1e6
	share := 100 * float64(busyBeside-busyAlone) / float64(rounds*during)
	answers := float64(busyBeside-busyAlone) / float64(judged) / (float64(busyRead) / (rounds * read))
	tell(t, "C3", fmt.Sprintf("%d clients, %d connections, that ask for 60 KB over TCP and never read, beside %d questions a second over UDP", clients, conns, benignRate),
		"15 % of a processor, or each as much as four who read (p99 <= 10 % more where nothing else runs)", "p99 %.2f ms alone, %.2f ms beside them, who take %.1f %% of a processor, each as much as %.1f who read, %d lost", before, after, share, answers, lost)
	// The waits are those of the whole machine, with all else that it has to do: they are told
	// and not judged. A slow processor is told by what it takes for those who read.
	if share > most && answers > 4 || lost > 0 {
		t.Errorf("p99 %.2f ms alone, %.2f ms beside clients that never read, who take %.1f %% of a processor, each as much as %.1f who read, %d lost", before, after, share, answers, lost)
	}
	if l.hits("tcp_time") == 0 {
		t.Error("worker.limits().tcp_time is 0")
	}
}
