package worker

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/limits"
	"kresd/internal/proctest"
)

// served is a laboratory that clients ask over loopback, as they ask a worker.
type served struct {
	*Worker
	t    testing.TB
	addr netip.AddrPort
}

func serve(t testing.TB) *served {
	t.Helper()
	s := &served{Worker: laboratory(t), t: t}
	if err := s.server.Listen(netip.MustParseAddrPort("127.0.0.1:0"), plainDNS()); err != nil {
		t.Fatal(err)
	}
	if err := s.server.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s.server.Drain(ctx)
	})
	s.addr = s.server.Endpoints()[0].Addr
	return s
}

// ask asks over the network, with EDNS; what was learnt is in the map then.
func (s *served) ask(network, name string, qtype uint16) *dns.Msg {
	s.t.Helper()
	m, err := proctest.Exchange(network, s.addr, proctest.Query(name, qtype, 1232))
	if err != nil {
		s.t.Fatalf("%s over %s: %v", name, network, err)
	}
	flush(s.t, s.Worker)
	return m
}

func (s *served) eval(command string) string {
	s.t.Helper()
	return s.console(s.t, command)
}

// counter waits until a counter of the module stats has a value: an answer is
// counted a moment after it was sent.
func (s *served) counter(name, want string) {
	s.t.Helper()
	until(s.t, name+" is "+want, func() bool { return s.eval("stats['"+name+"']") == want })
}

// What the driver answered is counted, with its time, as it came.
func TestAnswersOfTheDriversWayAreCounted(t *testing.T) {
	s := serve(t)
	s.eval("modules.unload('priming'); modules.load('stats')")
	s.ask("udp", "www.example.com", dns.TypeA)
	s.ask("tcp", "nothing.example.com", dns.TypeA)
	for name, want := range map[string]string{
		"answer.total": "2", "answer.noerror": "1", "answer.nxdomain": "1", "request.udp4": "1", "request.tcp4": "1", "answer.cached": "0",
	} {
		s.counter(name, want)
	}
	if got := s.eval("stats['answer.sum_ms'] > 0 or stats['answer.1ms'] > 0"); got != "true" {
		t.Errorf("no time was taken: %s", s.eval("stats.list('answer')"))
	}
}

// A listener that is at work hears of modules that are loaded and unloaded.
func TestListenersAdoptModulesAtRunTime(t *testing.T) {
	s := serve(t)
	s.ask("udp", "www.example.com", dns.TypeA)
	s.ask("udp", "www.example.com", dns.TypeA) // the listener's thread has its modules
	s.eval("modules.load('stats')")
	for range 3 {
		s.ask("udp", "www.example.com", dns.TypeA)
	}
	s.counter("answer.cached", "3")
	s.counter("answer.total", "3")
	s.eval("modules.unload('stats')")
	s.ask("udp", "www.example.com", dns.TypeA)
	s.eval("modules.load('stats')")
	s.ask("udp", "www.example.com", dns.TypeA)
	s.counter("answer.total", "1")
}

// Each loaded module is asked before the cached answer is told, not only the
// first one: policy's rules and the names of hints both count.
func TestEveryModuleIsAskedBeforeACachedAnswer(t *testing.T) {
	s := serve(t)
	for _, name := range []string{"www.example.com", "www.example.net"} {
		s.ask("udp", name, dns.TypeA)
		if m := s.ask("udp", name, dns.TypeA); m.Rcode != dns.RcodeSuccess || m.Authoritative {
			t.Fatalf("%s at first: %v", name, m)
		}
	}
	s.eval("modules.load('hints > iterate'); hints.set('www.example.com 192.0.2.77')")
	m := s.ask("udp", "www.example.com", dns.TypeA)
	if len(m.Answer) != 1 || !strings.HasSuffix(m.Answer[0].String(), "\t192.0.2.77") {
		t.Errorf("a name of hints that is cached: %v", m)
	}
	s.eval("policy.add(policy.suffix(policy.DENY, policy.todnames({'example.net'})))")
	if m := s.ask("udp", "www.example.net", dns.TypeA); m.Rcode != dns.RcodeNameError {
		t.Errorf("a denied name that is cached: %v", m)
	}
}

// Answers that were made with other trust anchors, negative ones among them, are not
// told.
func TestTrustAnchorsKeepFormerAnswersBack(t *testing.T) {
	s := serve(t)
	s.ask("udp", "www.example.com", dns.TypeA)
	fromCache := func() bool {
		before := s.cache.Stats().AnswerHit
		s.ask("udp", "www.example.com", dns.TypeA)
		return s.cache.Stats().AnswerHit > before
	}
	if !fromCache() {
		t.Fatal("the second answer does not come from the cache")
	}
	s.eval("trust_anchors.set_insecure({'example.net'})")
	if fromCache() {
		t.Error("an answer of before is told where there is a negative anchor")
	}
	if !fromCache() {
		t.Error("the answer that was made with the negative anchor is not kept")
	}
	s.eval("trust_anchors.add('example.com. IN DS 12345 8 2 e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d')")
	if m := s.ask("udp", "www.example.com", dns.TypeA); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("an answer of before is told where there is a trust anchor: %v", m)
	}
}

// fill fills the map beyond the mark at which it is collected.
func fill(t *testing.T, w *Worker) {
	t.Helper()
	store := w.storage.current()
	for i := 0; store.Usage() < limits.CollectHighPercent+1; i++ {
		store.Put([]byte{'x', byte(i >> 16), byte(i >> 8), byte(i)}, make([]byte, 3000))
		if i%200 == 0 {
			flush(t, w)
		}
		if i > 1<<20 {
			t.Fatal("the map does not fill up")
		}
	}
	flush(t, w)
}

// The worker that leads its group makes room; so does one whose own writes find
// the map full.
func TestTheCollectorRuns(t *testing.T) {
	for name, leads := range map[string]bool{"leader": true, "another, whose map is full": false} {
		t.Run(name, func(t *testing.T) {
			w := laboratory(t)
			if err := w.storage.Open(2<<20, "lmdb://", t.TempDir()); err != nil {
				t.Fatal(err)
			}
			w.storage.leads = func() bool { return leads }
			fill(t, w)
			w.background()
			if !leads {
				time.Sleep(1500 * time.Millisecond) // longer than a leader waits
				if n := w.storage.current().Stats().Evicted; n != 0 {
					t.Fatalf("%d entries were removed by one that does not lead", n)
				}
				w.storage.full <- struct{}{}
			}
			until(t, "there is room again", func() bool { return w.storage.current().Usage() < limits.CollectHighPercent })
			// Room is there when a transaction ends, and what was removed is counted after it.
			until(t, "something was removed", func() bool { return w.storage.current().Stats().Evicted > 0 })
		})
	}
}
