package resolve

import (
	"errors"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
)

func TestPlanRefusesCycles(t *testing.T) {
	c := &limits.Counters{}
	p := Plan{counters: c}
	a := &Query{Question: Question{Name: "\x01a\x00", Type: 1, Class: 1}}
	b := &Query{Question: Question{Name: "\x01b\x00", Type: 1, Class: 1}, Parent: a}
	again := &Query{Question: a.Question, Parent: b}
	other := &Query{Question: Question{Name: "\x01a\x00", Type: 28, Class: 1}, Parent: b}
	for _, tt := range []struct {
		q    *Query
		want error
	}{{a, nil}, {b, nil}, {again, ErrCycle}, {other, nil}} {
		q, want := tt.q, tt.want
		if err := p.Push(q); !errors.Is(err, want) {
			t.Errorf("Push(%s %d): got %v, want %v", q.Name, q.Type, err, want)
		}
	}
	if c.Get(limits.Cycle) != 1 {
		t.Error("the cycle was not counted")
	}
	p.Pop(p.stack[0])
	if !p.Empty() {
		t.Error("what stands above a query must leave with it")
	}
}

func TestPlanIsBounded(t *testing.T) {
	c := &limits.Counters{}
	p := Plan{counters: c}
	var err error
	for range limits.MaxQueriesPerPlan {
		if err = p.Push(&Query{Question: Question{Name: dnsname.Root}}); err != nil {
			t.Fatal(err)
		}
		p.Pop(p.Current()) // a solved query still counts
	}
	if err = p.Push(&Query{}); !errors.Is(err, ErrBudget) || c.Get(limits.PlanQueries) != 1 {
		t.Errorf("got %v after %d queries", err, limits.MaxQueriesPerPlan)
	}
}

func TestThrottleForgets(t *testing.T) {
	var th throttle
	a := place{1, "\x01a\x00"}
	th.add(a, 1000)
	for now, want := range map[int64]bool{1000: true, 1059: true, 1060: false, 900: false} {
		if got := th.has(a, now); got != want {
			t.Errorf("at %d: got %v, want %v", now, got, want)
		}
	}
	if th.has(place{0, a.name}, 1000) {
		t.Error("what one partition could not resolve is left alone in another")
	}
	for i := range 3 * limits.ThrottledNames {
		th.add(place{name: dnsname.Name([]byte{3, byte(i), byte(i >> 8), byte(i >> 16), 0})}, 1000)
	}
	if len(th.m) > limits.ThrottledNames {
		t.Errorf("got %d names, want at most %d", len(th.m), limits.ThrottledNames)
	}
	if len(th.m) < limits.ThrottledNames*7/8 {
		t.Errorf("only %d names are left alone: more were forgotten than had to be", len(th.m))
	}
}

// What is withdrawn has failed, with all that was pushed for it, and whoever waits for it
// is next.
func TestWithdrawnQueriesHaveFailed(t *testing.T) {
	p := Plan{counters: &limits.Counters{}}
	a := &Query{Question: Question{Name: "\x01a\x00", Type: 1, Class: 1}}
	b := &Query{Question: Question{Name: "\x01b\x00", Type: 1, Class: 1}, Parent: a}
	c := &Query{Question: Question{Name: "\x01c\x00", Type: 1, Class: 1}, Parent: b}
	for _, q := range []*Query{a, b, c} {
		if err := p.Push(q); err != nil {
			t.Fatal(err)
		}
	}
	gone := errors.New("gone")
	p.Withdraw(b, gone)
	p.Withdraw(b, errors.New("twice"))
	if list := p.Pending(); len(list) != 1 || list[0] != a || p.Current() != a || a.Err != nil || b.Err != gone || c.Err != gone {
		t.Errorf("pending %v, errors %v, %v, %v", p.Pending(), a.Err, b.Err, c.Err)
	}
}
