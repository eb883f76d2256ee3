package metrics

import (
	"slices"
	"testing"
	"time"
)

// One snapshot serves all figures of a group, so that they belong together.
func TestAGroupIsReadAtOnce(t *testing.T) {
	taken := 0
	g := Of("worker", func() int { taken++; return taken }, []Figure[int]{
		{Desc{"udp", Counter, Number, "questions"}, func(n *int) float64 { return float64(*n) }},
		{Desc{"rss", Gauge, Octets, "memory"}, func(n *int) float64 { return float64(*n) * 10 }},
	})
	for round := 1.0; round < 3; round++ {
		got := g.Read()
		if len(got) != 2 || got[0].Value != round || got[1].Value != 10*round || got[1].Name != "rss" || got[1].Unit != Octets || got[1].Kind != Gauge {
			t.Errorf("round %v: %+v", round, got)
		}
	}
}

func TestARegistryHasOneGroupOfAName(t *testing.T) {
	of := func(name, figure string) *Group {
		return NewGroup(name, func() []Sample { return []Sample{{Desc: Desc{Name: figure}}} })
	}
	var r Registry
	names := func() (all []string) {
		r.Each(func(group string, s Sample) { all = append(all, group+"."+s.Name) })
		return all
	}
	first, second := of("stats", "a"), of("stats", "b")
	r.Add(of("cache", "hit"))
	r.Add(first)
	r.Add(second)
	if got := names(); !slices.Equal(got, []string{"cache.hit", "stats.b"}) {
		t.Errorf("after a second group of the same name: %v", got)
	}
	r.Remove(first) // has lost its place already
	if got := r.Read("stats"); len(got) != 1 || got[0].Name != "b" {
		t.Errorf("stats has %v", got)
	}
	r.Remove(second)
	if got := names(); !slices.Equal(got, []string{"cache.hit"}) || r.Read("stats") != nil {
		t.Errorf("after it was removed: %v", got)
	}
}

func TestDurationsCountAtTheirBound(t *testing.T) {
	h := NewDurations(time.Millisecond, 10*time.Millisecond)
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 10 * time.Millisecond, time.Hour} {
		h.Observe(d)
	}
	s := h.Spread()
	if !slices.Equal(s.Counts, []uint64{2, 2, 1}) || len(s.Bounds) != 2 || s.Sum != time.Hour+12*time.Millisecond+1 {
		t.Errorf("%+v", s)
	}
}

func TestObservingAllocatesNothing(t *testing.T) {
	h := NewDurations(time.Millisecond, time.Second)
	if n := testing.AllocsPerRun(100, func() { h.Observe(20 * time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Each group is found, in whatever place it stands, keeps its place when it is replaced, and
// goes when it is removed. What is asked of a group that is not there keeps nobody waiting.
func TestEachPlaceOfARegistry(t *testing.T) {
	of := func(name, figure string) *Group {
		return NewGroup(name, func() []Sample { return []Sample{{Desc: Desc{Name: figure}}} })
	}
	for place := range 3 {
		var r Registry
		groups := []*Group{of("a", "1"), of("b", "1"), of("c", "1")}
		for _, g := range groups {
			if r.Read(g.name) != nil {
				t.Errorf("%s is there before it was added", g.name)
			}
			r.Add(g)
		}
		name := groups[place].name
		if got := r.Read(name); len(got) != 1 || got[0].Name != "1" {
			t.Errorf("%s: %v", name, got)
		}
		again := of(name, "2")
		r.Add(again)
		var order []string
		r.Each(func(group string, s Sample) { order = append(order, group+s.Name) })
		want := []string{"a1", "b1", "c1"}
		want[place] = name + "2"
		if !slices.Equal(order, want) {
			t.Errorf("got %v, want %v", order, want)
		}
		if r.Remove(again); r.Read(name) != nil {
			t.Errorf("%s was removed, and is there", name)
		}
	}
}
