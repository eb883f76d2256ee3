package module

import (
	"slices"
	"testing"

	"kresd/internal/resolve"
)

// tally is one of a module by name.
type tally string

func (tally) Answered(*Answered) {}
func (tally) Close()             {}

// A snapshot has what each module brought, in the order of modules, and nothing of
// what a module does without.
func TestASnapshotHasTheHooksOfEveryModule(t *testing.T) {
	var ran []string
	fast := func(name string) func(*Query) Disposition {
		return func(*Query) Disposition { ran = append(ran, name); return Pass }
	}
	module := func(name string, inst *Instance) Module {
		return Module{Name: name, Open: func(*Host) (*Instance, error) { return inst, nil }}
	}
	whole := func(name string, shape uint64) *Instance {
		return &Instance{
			Layer: &resolve.Layer{Name: name}, Fast: &Fast{Begin: fast(name + " begin"), Own: fast(name + " own")},
			Observe:  func(*Answered) { ran = append(ran, name+" observe") },
			NewTally: func() Tally { return tally(name) }, Shape: func() uint64 { return shape },
		}
	}
	c := NewChain(nil, []Module{
		module("a", whole("a", 1)), module("b", whole("b", 2)), module("bare", &Instance{}),
		module("begins", &Instance{Fast: &Fast{Begin: fast("begins begin")}}), module("owns", &Instance{Fast: &Fast{Own: fast("owns own")}}),
	})
	for _, load := range []string{"b", "bare", "begins", "owns", "a < b"} {
		if _, err := c.Load(load); err != nil {
			t.Fatal(err)
		}
	}
	s := c.Snapshot()
	q := &Query{Own: s.Own}
	for _, begin := range s.Begin {
		begin(q)
	}
	if q.Owned() {
		t.Error("a question that all hooks let pass is owned")
	}
	for _, observe := range s.Observe {
		observe(nil)
	}
	if want := []string{"a begin", "b begin", "begins begin", "a own", "b own", "owns own", "a observe", "b observe"}; !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
	if len(s.Layers) != 2 || len(s.Tallies) != 2 || s.Tallies[0]() != tally("a") || s.Tallies[1]() != tally("b") {
		t.Errorf("%d layers, %d tallies", len(s.Layers), len(s.Tallies))
	}
	if got, want := s.Shape(7), resolve.Partition(7).With(1).With(2); got != want {
		t.Errorf("shape %d, want %d", got, want)
	}
}

// counter counts.
type counter int

func (c *counter) Hit() { *c++ }

// Who answers or drops a question is told when that is carried out, and only then;
// the next question begins with nothing of it.
func TestWhatAHookDecidedIsThatOfOneQuestion(t *testing.T) {
	q, n := &Query{}, new(counter)
	own := func(q *Query) Disposition { return q.Answer(q.Room(), n) }
	q.Own = []func(*Query) Disposition{func(*Query) Disposition { return Pass }, own}
	if d := q.AskOwners(); d != Answer || !q.Owned() || q.Answered() != q.Room() || *n != 0 {
		t.Errorf("disposition %d, counted %d", d, *n)
	}
	if q.Hit(); *n != 1 {
		t.Errorf("counted %d", *n)
	}
	q.Reset(5)
	if q.Hit(); *n != 1 || q.Answered() != nil || q.Partition != 5 {
		t.Errorf("the next question: counted %d, %+v", *n, q)
	}
	if d := q.Drop(n); d != Drop {
		t.Errorf("disposition %d", d)
	}
	if q.Hit(); *n != 2 {
		t.Errorf("a drop: counted %d", *n)
	}
}

// A chain that is closed closes its modules, the last one first.
func TestAChainEndsFromItsEnd(t *testing.T) {
	var closed []string
	var known []Module
	for _, name := range []string{"a", "b", "c"} {
		known = append(known, Module{Name: name, Open: func(*Host) (*Instance, error) {
			return &Instance{Layer: &resolve.Layer{Name: name}, Close: func() { closed = append(closed, name) }}, nil
		}})
	}
	c := NewChain(nil, known)
	for _, name := range []string{"c", "a", "b"} {
		if _, err := c.Load(name); err != nil {
			t.Fatal(err)
		}
	}
	if c.Instance("a") == nil || !slices.Equal(c.Known(), []string{"a", "b", "c"}) {
		t.Errorf("known %v", c.Known())
	}
	if c.Close(); !slices.Equal(closed, []string{"b", "a", "c"}) || len(c.Names()) != 0 || len(c.Snapshot().Layers) != 0 || c.Instance("a") != nil {
		t.Errorf("closed %v, left %v", closed, c.Names())
	}
}
