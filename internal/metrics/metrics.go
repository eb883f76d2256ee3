// Package metrics says what a worker's figures are: their names, kinds, units,
// help and values.
//
// Figures stand in groups that are read together, and the groups of one worker in
// its Registry. Who counts something keeps the number where counting it costs
// least, for instance one for each thread; a group only knows how to read it. So
// nothing here is touched on the way of a query, but for a Histogram that somebody
// observes on the driver's way.
//
// The package knows neither scripts nor any format for the outside: the console
// and a page of metrics both walk the Registry.
package metrics

import (
	"slices"
	"sync"
)

// Kind is how a figure behaves.
type Kind uint8

// The kinds.
const (
	// Counter only rises, while the process lives.
	Counter Kind = iota
	// Gauge rises and falls.
	Gauge
	// Histogram counts durations by their length.
	Histogram
)

// String is the kind's name in the text format of Prometheus.
func (k Kind) String() string { return [...]string{"counter", "gauge", "histogram"}[k] }

// Unit is what a figure is measured in.
type Unit string

// The units. Number is for what is counted.
const (
	Number  Unit = ""
	Seconds Unit = "seconds"
	Octets  Unit = "bytes"
	Percent Unit = "percent"
)

// Desc describes a figure. Names are those of the manual, unique within a group.
type Desc struct {
	Name string
	Kind Kind
	Unit Unit
	// Help says in a line what is counted or measured.
	Help string
}

// A Sample is a figure at one time.
type Sample struct {
	Desc
	Value float64
	// Spread is set for a Histogram, which has no Value.
	Spread *Spread
}

// A Group is figures that are read together.
type Group struct {
	name string
	read func() []Sample
}

// NewGroup makes a group whose figures are read by a function.
func NewGroup(name string, read func() []Sample) *Group { return &Group{name, read} }

// A Figure is one of a group that stands on snapshots of type S.
type Figure[S any] struct {
	Desc
	Of func(*S) float64
}

// Of makes a group of figures that are all taken from one snapshot, in the order
// of the list.
func Of[S any](name string, snapshot func() S, list []Figure[S]) *Group {
	return NewGroup(name, func() []Sample {
		s := snapshot()
		out := make([]Sample, len(list))
		for i, f := range list {
			out[i] = Sample{Desc: f.Desc, Value: f.Of(&s)}
		}
		return out
	})
}

// Read takes the figures.
func (g *Group) Read() []Sample { return g.read() }

// Registry is the groups of one worker. Any goroutine may use it.
type Registry struct {
	mu     sync.Mutex
	groups []*Group
}

// Add puts a group behind the others, in the place of one with its name.
func (r *Registry) Add(g *Group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.index(g.name); i >= 0 {
		r.groups[i] = g
		return
	}
	r.groups = append(r.groups, g)
}

// Remove takes a group out, if it is still there.
func (r *Registry) Remove(g *Group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.groups, g); i >= 0 {
		r.groups = slices.Delete(r.groups, i, i+1)
	}
}

// Read takes the figures of the group with a name, in its order; nil if there is
// no such group.
func (r *Registry) Read(group string) []Sample {
	r.mu.Lock()
	i := r.index(group)
	if i < 0 {
		r.mu.Unlock()
		return nil
	}
	g := r.groups[i]
	r.mu.Unlock()
	return g.Read()
}

// Each calls fn for every figure of every group.
func (r *Registry) Each(fn func(group string, s Sample)) {
	r.mu.Lock()
	groups := slices.Clone(r.groups)
	r.mu.Unlock()
	for _, g := range groups {
		for _, s := range g.Read() {
			fn(g.name, s)
		}
	}
}

// index is used under the lock.
func (r *Registry) index(name string) int {
	return slices.IndexFunc(r.groups, func(g *Group) bool { return g.name == name })
}
