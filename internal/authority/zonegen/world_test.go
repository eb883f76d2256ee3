package zonegen

import (
	"fmt"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

const wall = 1790000000

// everything is what all servers of a world say to all its questions.
func everything(w *World) (out []string) {
	for _, q := range w.Questions {
		for _, h := range w.Net.Hosts() {
			m := new(dns.Msg)
			m.SetQuestion(q.Name, q.Type)
			m.Id = 1
			m.SetEdns0(1232, true)
			if r := h.Ask(m, true).Reply; r != nil && r.Rcode != dns.RcodeRefused {
				out = append(out, fmt.Sprint(q, h.Addr(), r))
			}
		}
	}
	return out
}

func TestASeedMakesTheSameWorldAgain(t *testing.T) {
	one, two := everything(New(7, 0, 12, wall)), everything(New(7, 0, 12, wall))
	if !slices.Equal(one, two) || len(one) < 100 {
		t.Errorf("of %d and %d answers some differ", len(one), len(two))
	}
	if slices.Equal(one, everything(New(8, 0, 12, wall))) {
		t.Error("another seed makes the same world")
	}
}

// A world has each damage once, every status, and no question twice.
func TestAWorldHasEveryDamage(t *testing.T) {
	w := New(1, 0, len(Damages()), wall)
	seen, damaged, asked := map[Status]int{}, map[string]int{}, map[string]bool{}
	for _, q := range w.Questions {
		seen[q.Want]++
		damaged[q.Damage]++
		key := q.Name + " " + dns.Type(q.Type).String()
		if asked[key] {
			t.Errorf("%s is asked twice", key)
		}
		asked[key] = true
	}
	for _, name := range Damages() {
		if damaged[name] == 0 {
			t.Errorf("no zone has the damage %q", name)
		}
	}
	for _, s := range []Status{Secure, Insecure, Unclear, Open, Bogus} {
		if seen[s] < 20 {
			t.Errorf("%d questions are %s", seen[s], s)
		}
	}
	t.Logf("%d questions about %d damages: %v", len(w.Questions), len(Damages()), seen)
	if names := Damages(); len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		t.Error("two damages have one name")
	}
}
