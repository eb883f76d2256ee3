package resolve

import (
	"errors"
	"math"
	"testing"

	"kresd/internal/ede"
	"kresd/internal/limits"
)

// What a proof costs is debited before it is spent, to the response and to the whole
// request, whichever has less left.
func TestProofsHaveABudget(t *testing.T) {
	counters := &limits.Counters{}
	// proofs makes proofs one after the other, each as far as it may go, until one may
	// not begin.
	proofs := func(do func(*Proof) error, most int) (first, all int) {
		b := NewBudget(counters)
		for i := range most {
			p, n := b.Proof(), 0
			for do(&p) == nil {
				n++
			}
			if i == 0 {
				first = n
			}
			if all += n; n == 0 {
				break
			}
		}
		return first, all
	}
	unit := func(n int) func(*Proof) error { return func(p *Proof) error { return p.Hash(n) } }
	for _, c := range []struct {
		name          string
		do            func(*Proof) error
		id            limits.ID
		first, atMost int
	}{
		{"checks", (*Proof).Check, limits.SignatureChecks, limits.MaxVerifyPerResponse, limits.MaxVerifyPerRequest},
		{"wrong ones", (*Proof).Wrong, limits.FailedChecks, limits.MaxFailedPerResponse - 1, limits.MaxFailedPerRequest},
		{"units", unit(1), limits.HashUnits, limits.MaxHashPerResponse, limits.MaxHashPerRequest},
		{"many units", unit(1024), limits.HashUnits, 2, limits.MaxHashPerRequest / 1024},
		{"more than all", unit(math.MaxInt), limits.HashUnits, 0, 0},
		{"less than none", unit(-1), limits.HashUnits, 0, 0},
	} {
		before := counters.Get(c.id)
		first, all := proofs(c.do, 1000)
		if first != c.first || all > c.atMost || all < c.atMost/3 {
			t.Errorf("%s: %d for a response, %d for a request; want %d and about %d", c.name, first, all, c.first, c.atMost)
		}
		if counters.Get(c.id) == before {
			t.Errorf("%s: nothing was counted", c.name)
		}
	}
	p := NewBudget(nil).Proof()
	err := p.Hash(limits.MaxHashPerResponse + 1)
	if code, text := Explain(err); !errors.Is(err, ErrProof) || fatal(err) || code != ede.Indeterminate || text != "the proof costs too much, limit hash_units" {
		t.Errorf("%v: extended error %d %q, fatal %v", err, code, text, fatal(err))
	}
}
