package module

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"kresd/internal/resolve"
)

func chain(t *testing.T, load ...string) *Chain {
	t.Helper()
	var known []Module
	for _, n := range []string{"iterate", "validate", "cache", "hints", "policy", "view"} {
		known = append(known, Module{Name: n, Open: func(*Host) (*Instance, error) {
			return &Instance{Layer: &resolve.Layer{Name: n}}, nil
		}})
	}
	known = append(known, Module{Name: "broken", Open: func(*Host) (*Instance, error) { return nil, errors.New("will not") }})
	c := NewChain(nil, known)
	for _, l := range append([]string{"iterate", "validate", "cache"}, load...) {
		if _, err := c.Load(l); err != nil {
			t.Fatalf("Load(%q): %v", l, err)
		}
	}
	return c
}

func order(c *Chain) string { return strings.Join(c.Names(), " ") }

// A listener may look before anything is loaded.
func TestAnEmptyChainHasASnapshot(t *testing.T) {
	if s := NewChain(nil, nil).Snapshot(); s == nil || len(s.Layers) != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestDeclarationsPlaceModules(t *testing.T) {
	for _, tc := range []struct{ load, want string }{
		{"hints", "iterate validate cache hints"},
		{"hints  > iterate", "iterate hints validate cache"},
		{"hints > iterate,policy > hints,view < cache", "iterate hints policy validate view cache"},
		{"hints<iterate", "hints iterate validate cache"},
		{"\thints\n> iterate  ", "iterate hints validate cache"},
		{"hints,view,hints < iterate", "hints iterate validate cache view"},
	} {
		c := chain(t, strings.Split(tc.load, ",")...)
		if got := order(c); got != tc.want {
			t.Errorf("%q gives %q, want %q", tc.load, got, tc.want)
		}
		var layers []string
		for _, l := range c.Snapshot().Layers {
			layers = append(layers, l.Name)
		}
		if !slices.Equal(layers, c.Names()) {
			t.Errorf("%q: layers run as %v", tc.load, layers)
		}
	}
}

func TestFailuresChangeNothing(t *testing.T) {
	c := chain(t, "hints")
	before := order(c)
	for _, bad := range []string{"nosuch", "view > nosuch", "hints > hints", "broken", "",
		"hints >", "hints ? iterate", "hints >> iterate", "hints <> iterate", "hints > > iterate", "hints iterate", "hints > iterate and more", "> iterate"} {
		if _, err := c.Load(bad); err == nil {
			t.Errorf("Load(%q) succeeded", bad)
		}
		if got := order(c); got != before {
			t.Errorf("Load(%q) left %q", bad, got)
		}
	}
	if err := c.Unload("nosuch"); err == nil {
		t.Error("a module that is not loaded was unloaded")
	}
}

func TestUnloadClosesAndASnapshotStays(t *testing.T) {
	closed := 0
	c := NewChain(nil, []Module{{Name: "a", Open: func(*Host) (*Instance, error) {
		return &Instance{Layer: &resolve.Layer{Name: "a"}, Close: func() { closed++ }}, nil
	}}})
	if _, err := c.Load("a"); err != nil {
		t.Fatal(err)
	}
	old := c.Snapshot()
	if err := c.Unload("a"); err != nil || closed != 1 {
		t.Fatalf("Unload: %v, closed %d times", err, closed)
	}
	if len(old.Layers) != 1 || len(c.Snapshot().Layers) != 0 {
		t.Error("a query that runs lost its layers, or a new one still sees them")
	}
}

// Of what modules read again nothing is in force before all could be read.
func TestRereadIsAllOrNothing(t *testing.T) {
	applied := ""
	var failing error
	reads := func(name string, err *error) Module {
		return Module{Name: name, Open: func(*Host) (*Instance, error) {
			return &Instance{Reread: func() (func(), error) { return func() { applied += name }, *err }}, nil
		}}
	}
	var fine error
	c := NewChain(nil, []Module{reads("a", &fine), reads("b", &failing), {Name: "none", Open: func(*Host) (*Instance, error) { return &Instance{}, nil }}})
	for _, name := range []string{"a", "none", "b"} {
		if _, err := c.Load(name); err != nil {
			t.Fatal(err)
		}
	}
	apply, err := c.Reread()
	if err != nil || applied != "" {
		t.Errorf("%v, and %q is in force before it is applied", err, applied)
	}
	if apply(); applied != "ab" {
		t.Errorf("%q is in force, want all", applied)
	}
	failing = errors.New("b: line 3")
	if _, err := c.Reread(); err == nil || !strings.Contains(err.Error(), "b: line 3") {
		t.Errorf("a module that cannot read: %v", err)
	}
}
