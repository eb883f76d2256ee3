package test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// lossyLoad is questions in a steady stream, each for a new name.
type lossyLoad struct {
	rate   int // a second
	length time.Duration
	seed   uint64
}

type lossyResult struct {
	asked, right, wrong, failed, none int
	upstream                          float64 // questions that servers got
	times                             []time.Duration
}

func (l lossyLoad) play(t *testing.T, n *authority.Internet, c contender) lossyResult {
	t.Helper()
	at := proctest.FreePort(t)
	stop := c.start(t, proctest.RunDir(t), at)
	defer stop()
	var r lossyResult
	var mu sync.Mutex
	var wg sync.WaitGroup
	before := n.Queries()
	tick := time.NewTicker(time.Second / time.Duration(l.rate))
	defer tick.Stop()
	for i := range int(l.length.Seconds() * float64(l.rate)) {
		<-tick.C
		wg.Go(func() {
			z := popular(l.seed, i)
			start := time.Now()
			m, err := proctest.Exchange("udp", at, proctest.Query(fmt.Sprintf("n%d.%s", i, lossyZone(z)), dns.TypeA, 1232))
			took := time.Since(start)
			mu.Lock()
			defer mu.Unlock()
			r.add(m, err, z, took)
		})
	}
	wg.Wait()
	r.upstream = float64(n.Queries() - before)
	slices.Sort(r.times)
	return r
}

// popular is the zone of a question; the first are asked most.
func popular(seed uint64, question int) int {
	x := rand.New(rand.NewPCG(seed, uint64(question))).Float64()
	return int(x * x * lossyZones)
}

func (r *lossyResult) add(m *dns.Msg, err error, zone int, took time.Duration) {
	r.asked++
	r.times = append(r.times, took)
	switch {
	case err != nil:
		r.none++
	case m.Rcode == dns.RcodeServerFailure:
		r.failed++
	case len(m.Answer) == 1 && strings.HasSuffix(m.Answer[0].String(), fmt.Sprintf("\t192.0.2.%d", zone)):
		r.right++
	default:
		r.wrong++
	}
}

// quantile is in milliseconds.
func (r *lossyResult) quantile(q float64) float64 {
	return float64(r.times[min(int(q*float64(len(r.times))), len(r.times)-1)].Microseconds()) / 1000
}

// lossyFigures are the columns of the table.
var lossyFigures = []struct {
	head, format string
	of           func(*lossyResult) float64
}{
	{"questions", "%.0f", func(r *lossyResult) float64 { return float64(r.asked) }},
	{"right", "%.0f", func(r *lossyResult) float64 { return float64(r.right) }},
	{"wrong", "%.0f", func(r *lossyResult) float64 { return float64(r.wrong) }},
	{"SERVFAIL", "%.0f", func(r *lossyResult) float64 { return float64(r.failed) }},
	{"none", "%.0f", func(r *lossyResult) float64 { return float64(r.none) }},
	{"upstream per question", "%.2f", func(r *lossyResult) float64 { return r.upstream / float64(r.asked) }},
	{"p50 ms", "%.1f", func(r *lossyResult) float64 { return r.quantile(0.5) }},
	{"p90", "%.1f", func(r *lossyResult) float64 { return r.quantile(0.9) }},
	{"p99", "%.1f", p99},
	{"max", "%.1f", func(r *lossyResult) float64 { return r.quantile(1) }},
}

func p99(r *lossyResult) float64 { return r.quantile(0.99) }

// median of one figure over the rounds.
func median(rounds []lossyResult, of func(*lossyResult) float64) float64 {
	var v []float64
	for i := range rounds {
		v = append(v, of(&rounds[i]))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// bestPeer is the least median p99 of the others in milliseconds; 0: there are none.
func bestPeer(contenders []contender, all map[string][]lossyResult) (best float64) {
	for _, c := range contenders {
		if v := median(all[c.name], p99); c.name != ourselves.name && (best == 0 || v < best) {
			best = v
		}
	}
	return best
}

// lossyTable is a line for each resolver: medians over the rounds.
func lossyTable(contenders []contender, all map[string][]lossyResult) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %% loss, %v delay, one server in %d dead, %d zones; medians of %d rounds\n| resolver |",
		lossyPercent, lossyDelay, lossyDead, lossyZones, len(all[ourselves.name]))
	for _, f := range lossyFigures {
		b.WriteString(" " + f.head + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(lossyFigures)))
	for _, c := range contenders {
		b.WriteString("\n| " + c.name + " |")
		for _, f := range lossyFigures {
			fmt.Fprintf(&b, " "+f.format+" |", median(all[c.name], f.of))
		}
	}
	return b.String() + "\n"
}
