package module

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"kresd/internal/resolve"
)

// Snapshot is the loaded modules as the paths of queries see them.
type Snapshot struct {
	Layers []*resolve.Layer
	// Begin and Own are the hooks of Fast.
	Begin, Own []func(*Query) Disposition
	// Sees says which questions take the driver's way because a layer sees them. It is
	// never SeesOpen.
	Sees    Sight
	Observe []func(*Answered)
	Tallies []func() Tally
	// shapes and signed are the functions Shape and Signed of the modules.
	shapes []func() uint64
	signed []func() bool
}

// Signed tells whether a module judges signatures of clients.
func (s *Snapshot) Signed() bool {
	for _, judges := range s.signed {
		if judges() {
			return true
		}
	}
	return false
}

// Shape is p for the answers of those whose modules are configured alike.
func (s *Snapshot) Shape(p resolve.Partition) resolve.Partition {
	for _, shape := range s.shapes {
		p = p.With(shape())
	}
	return p
}

// Chain is the loaded modules in order. Its methods that change it are for one
// goroutine at a time; Snapshot is for any.
type Chain struct {
	host   *Host
	known  map[string]Module
	loaded []entry
	snap   atomic.Pointer[Snapshot]
}

type entry struct {
	name string
	inst *Instance
}

// NewChain is an empty chain over the modules that may be loaded, which are given
// host.
func NewChain(host *Host, known []Module) *Chain {
	c := &Chain{host: host, known: map[string]Module{}}
	for _, m := range known {
		c.known[m.Name] = m
	}
	c.publish()
	return c
}

// Snapshot is the current order. It is never changed, only replaced.
func (c *Chain) Snapshot() *Snapshot { return c.snap.Load() }

// Names lists the loaded modules in order.
func (c *Chain) Names() []string {
	names := make([]string, len(c.loaded))
	for i, e := range c.loaded {
		names[i] = e.name
	}
	return names
}

// Known lists the modules that could be loaded, sorted.
func (c *Chain) Known() []string {
	var names []string
	for n := range c.known {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Instance returns a loaded module, or nil.
func (c *Chain) Instance(name string) *Instance {
	if i := c.index(name); i >= 0 {
		return c.loaded[i].inst
	}
	return nil
}

// declaration is a name, perhaps with an operator and a reference, with any blanks.
var declaration = regexp.MustCompile(`^\s*([^\s<>]+)\s*(?:([<>])\s*([^\s<>]+)\s*)?$`)

// Declaration splits what modules.load() takes: "name", "name > reference" or
// "name < reference", with any blanks. op is 0 where there is no reference.
func Declaration(text string) (name string, op byte, ref string, err error) {
	f := declaration.FindStringSubmatch(text)
	switch {
	case f == nil:
		return "", 0, "", fmt.Errorf("modules: '%s' is not of the form 'name', 'name > other' or 'name < other'", text)
	case f[2] == "":
		return f[1], 0, "", nil
	}
	return f[1], f[2][0], f[3], nil
}

// ErrUnknown is in the error about a module that is not built in.
var ErrUnknown = errors.New("no such module")

// Load loads a module, directly after its reference (">"), directly before it
// ("<") or at the end. A loaded module is unloaded first, so that it may move.
// When it fails nothing has changed, except that a module that was loaded and
// cannot be opened again is gone.
func (c *Chain) Load(declaration string) (name string, err error) {
	name, op, ref, err := Declaration(declaration)
	if err != nil {
		return "", err
	}
	m, ok := c.known[name]
	if !ok {
		return name, fmt.Errorf("%w '%s'; there are %s", ErrUnknown, name, strings.Join(c.Known(), ", "))
	}
	return name, c.place(m, op, ref)
}

// LoadOther is Load for a module that is not built in. The name in the declaration is
// the module's.
func (c *Chain) LoadOther(declaration string, m Module) error {
	_, op, ref, err := Declaration(declaration)
	if err != nil {
		return err
	}
	return c.place(m, op, ref)
}

// place opens a module and puts it where op says.
func (c *Chain) place(m Module, op byte, ref string) error {
	name := m.Name
	if op != 0 && (c.index(ref) < 0 || ref == name) {
		return fmt.Errorf("modules: '%s %c %s': referenced module '%s' not found", name, op, ref, ref)
	}
	if c.index(name) >= 0 {
		c.remove(name)
	}
	inst, err := m.Open(c.host)
	if err != nil {
		c.publish()
		return fmt.Errorf("module '%s': %w", name, err)
	}
	at := len(c.loaded)
	if op != 0 {
		at = c.index(ref)
		if op == '>' {
			at++
		}
	}
	c.loaded = slices.Insert(c.loaded, at, entry{name, inst})
	c.publish()
	return nil
}

// Reread has all modules read their files anew. Of what they say nothing is in force
// before apply is called, and it is not to be after an error.
func (c *Chain) Reread() (apply func(), err error) {
	var all []func()
	var failed []error
	for _, e := range c.loaded {
		if e.inst.Reread == nil {
			continue
		}
		one, err := e.inst.Reread()
		if err != nil {
			failed = append(failed, err)
		}
		all = append(all, one)
	}
	return func() {
		for _, one := range all {
			one()
		}
	}, errors.Join(failed...)
}

// Unload takes a module out.
func (c *Chain) Unload(name string) error {
	if c.index(name) < 0 {
		return fmt.Errorf("modules: no module '%s' is loaded", name)
	}
	c.remove(name)
	c.publish()
	return nil
}

// Close unloads everything, the last first.
func (c *Chain) Close() {
	for len(c.loaded) > 0 {
		c.remove(c.loaded[len(c.loaded)-1].name)
	}
	c.publish()
}

func (c *Chain) index(name string) int {
	return slices.IndexFunc(c.loaded, func(e entry) bool { return e.name == name })
}

func (c *Chain) remove(name string) {
	i := c.index(name)
	if end := c.loaded[i].inst.Close; end != nil {
		end()
	}
	c.loaded = slices.Delete(c.loaded, i, i+1)
}

func (s *Snapshot) addFast(f *Fast) {
	if f == nil {
		return
	}
	if f.Begin != nil {
		s.Begin = append(s.Begin, f.Begin)
	}
	if f.Own != nil {
		s.Own = append(s.Own, f.Own)
	}
}

// cacheName is the module that answers from the cache.
const cacheName = "cache"

// at is the sight of a layer where it stands, behind the cache or not.
func (s Sight) at(behindCache bool) Sight {
	switch {
	case s != SeesOpen:
		return s
	case behindCache:
		return SeesServers
	}
	return SeesCached
}

func (c *Chain) publish() {
	s := &Snapshot{}
	cached := false // the cache has been asked by now
	for _, e := range c.loaded {
		if e.inst.Layer != nil {
			s.Layers = append(s.Layers, e.inst.Layer)
		}
		s.addFast(e.inst.Fast)
		s.Sees = max(s.Sees, e.inst.Sees.at(cached))
		cached = cached || e.name == cacheName
		if e.inst.Observe != nil {
			s.Observe = append(s.Observe, e.inst.Observe)
		}
		if e.inst.Shape != nil {
			s.shapes = append(s.shapes, e.inst.Shape)
		}
		if e.inst.Signed != nil {
			s.signed = append(s.signed, e.inst.Signed)
		}
		if e.inst.NewTally != nil {
			s.Tallies = append(s.Tallies, e.inst.NewTally)
		}
	}
	c.snap.Store(s)
}
