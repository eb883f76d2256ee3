package test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// A zone whose servers all became slow from one moment to the next was answered
// SERVFAIL within three seconds, and its servers were taken for dead, though they
// answered every question and clients had ten seconds.
func TestServersThatBecomeSlowAreNotDead(t *testing.T) {
	u := newUpstreams(t)
	for range 20 { // both servers are known to be fast
		u.ask()
	}
	const slow = 2500 * time.Millisecond
	for _, server := range []string{firstServer, secondServer} {
		u.net.Host(server).Play(authority.Delay(slow))
	}
	before := u.net.Queries()
	const questions = 40
	var clients sync.WaitGroup
	for i := range questions { // a new one each 100 ms: some before the first late answer, some after
		clients.Go(func() {
			name := fmt.Sprintf("slow%d.wild.example.com", i)
			r, err := proctest.Exchange("udp", u.g.Addr, proctest.Query(name, dns.TypeA, 1232))
			if err != nil || r.Rcode != dns.RcodeSuccess || len(r.Answer) != 1 {
				t.Errorf("question %d: %s, %v", i, proctest.Shape(r), err)
			}
		})
		time.Sleep(100 * time.Millisecond)
	}
	clients.Wait()
	cost := float64(u.net.Queries()-before) / questions
	t.Logf("%d questions to servers that take %v: %.1f upstream for each", questions, slow, cost)
	if cost > 8 {
		t.Errorf("%.1f questions upstream for each", cost)
	}
}
