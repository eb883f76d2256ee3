package worker

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/limits"
	"kresd/internal/metrics"
	"kresd/internal/wire"
)

// The console and the manual show every limit.
func TestLimitsCanBeRead(t *testing.T) {
	manual, err := os.ReadFile("../../docs/manual.md")
	if err != nil {
		t.Fatal(err)
	}
	w := laboratory(t)
	limits.Each(func(id limits.ID) {
		if row := "| `" + id.String() + "` | " + id.Means() + " |\n"; !strings.Contains(string(manual), row) {
			t.Errorf("the manual has no row %q", row)
		}
		if got := w.console(t, "worker.limits('"+id.String()+"')"); got != id.Means() {
			t.Errorf("worker.limits('%s') is %q", id, got)
		}
		before := w.counters.Get(id)
		w.counters.Hit(id)
		if got := w.console(t, "worker.limits()."+id.String()+" > 0"); got != "true" {
			t.Errorf("worker.limits().%s > 0 is %s after %d hits", id, got, before+1)
		}
	})
}

// The documented keys of worker.stats(), and those that speak of forgery.
func TestStatsHaveTheirKeys(t *testing.T) {
	w := laboratory(t)
	for _, key := range strings.Fields("udp tcp tls ipv4 ipv6 timeout concurrent queries dropped usertime systime pagefaults swaps csw rss mismatched caselost ignored icmp joined handshakes resumed handshakes_failed handshakes_open handshakes_queued certificate_end ephemeral_certificate_end") {
		if got := w.console(t, "type(worker.stats()."+key+")"); got != "number" {
			t.Errorf("worker.stats().%s is a %s", key, got)
		}
		if !strings.Contains(w.console(t, "worker.info()"), "["+key+"]") {
			t.Errorf("worker.info() has no %s", key)
		}
	}
}

// The memory of the process that started a worker was counted as the worker's.
func TestMemoryIsThatOfTheProgramItself(t *testing.T) {
	use := &syscall.Rusage{Maxrss: 5000}
	for status, want := range map[string]uint64{
		"Name:\tkresd\nVmPeak:\t 9999 kB\nVmHWM:\t  1234 kB\nVmRSS:\t  1200 kB\n": 1234 << 10,
		"Name:\tkresd\n": 5000 << 10,
		"":               5000 << 10,
	} {
		if got := mostResident([]byte(status), use); got != want {
			t.Errorf("%q: %d octets, want %d", status, got, want)
		}
	}
	w := laboratory(t)
	if got := w.console(t, "worker.stats().rss > 1e6"); got != "true" {
		t.Errorf("a worker with a megabyte of memory: %s", got)
	}
}

// A client that exceeds a limit of messages raises its counter.
func TestClientsMessagesAreCounted(t *testing.T) {
	w := laboratory(t)
	s, err := w.newHandler().NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	pkt := wire.AppendQuery(nil, 1, 0, []byte("\x01a\x00"), dns.TypeA, wire.ClassIN, 1232, false, []byte(strings.Repeat("\x00\x03\x00\x00", limits.EDNSOptionsPerMessage+1)))
	byCache(t, s, pkt, someone)
	pkt[11] = limits.MaxRRsFromClient + 1
	byCache(t, s, pkt, someone)
	for _, id := range []limits.ID{limits.EDNSOptions, limits.RRsFromClient} {
		if n := w.counters.Get(id); n != 1 {
			t.Errorf("%s is counted %d times, want 1", id, n)
		}
	}
}

// Whoever walks the registry finds each figure described, under the names that
// scripts know.
func TestFiguresAreDescribed(t *testing.T) {
	w := laboratory(t)
	w.console(t, "modules.load('stats')")
	groups := map[string]int{}
	w.figures.Each(func(group string, s metrics.Sample) {
		groups[group]++
		if s.Name == "" || s.Help == "" {
			t.Errorf("%s has the figure %q with the help %q", group, s.Name, s.Help)
		}
	})
	for group, least := range map[string]int{"worker": 21, "cache": 25, "limits": 30, "stats": 20} {
		if groups[group] < least {
			t.Errorf("%s has %d figures, want at least %d", group, groups[group], least)
		}
	}
}

// Each figure of the cache counts what its name says.
func TestFiguresOfTheCache(t *testing.T) {
	w := laboratory(t)
	s, pkt := warm(t, w)
	defer s.Close()
	byCache(t, s, pkt, someone)
	byCache(t, s, shapes[0].message("absent.example.com.", dns.TypeA), someone)
	w.console(t, "cache.count() cache.clear('nothing.example.')")
	for name, least := range map[string]string{"answer_hit": "1", "answer_miss": "1", "count": "1", "open": "1", "insert": "3", "write": "3", "commit": "1", "read": "5", "read_miss": "1"} {
		if got := w.console(t, "cache.stats()."+name+" >= "+least); got != "true" {
			t.Errorf("cache.stats().%s is %s, want at least %s", name, w.console(t, "cache.stats()."+name), least)
		}
	}
	if got := w.console(t, "cache.stats().damaged + cache.stats().evicted + cache.stats().dropped + cache.stats().write_errors"); got != "0" {
		t.Errorf("%s entries were damaged, evicted, dropped or not written", got)
	}
}
