package policy

import (
	"fmt"
	"net/netip"
	"sync"

	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/rules"
	"kresd/internal/zonecut"
)

// Policy is the rules of a worker. They outlive the loading and unloading of the
// module. Methods that change them are for one goroutine at a time.
type Policy struct {
	// Log writes what the DEBUG actions collected. It must not be nil.
	Log func(text string)
	// Changed is told of the fingerprint after every change; it may be nil.
	Changed func(fingerprint uint64)
	// Lists are those that rules go by. It must not be nil where there are such rules.
	Lists *Lists
	// Peers are how servers are spoken to that rules name (SpeakTo).
	Peers rules.Peers

	next   int
	loaded bool
	// special is about names of special use. It is tried when no rule has decided.
	rules, post, special *rules.Table
	// subjects are used again by requests that no rule is for, as most are.
	subjects sync.Pool // of *rules.Subject
}

// New makes a Policy with the special names only.
func New(log func(text string), changed func(fingerprint uint64)) *Policy {
	p := &Policy{Log: log, Changed: changed}
	p.rules = rules.NewTable(func(id int, what string) string { return fmt.Sprintf("rule %d (%s)", id, what) }, p.changed)
	p.post = rules.NewTable(func(id int, what string) string { return fmt.Sprintf("postrule %d (%s)", id, what) }, nil)
	p.special = rules.NewTable(func(int, string) string { return "the rule for names of special use" }, nil)
	for i, r := range specialRules() {
		p.special.Add(i, r)
	}
	return p
}

// Open makes an instance of the module.
func (p *Policy) Open() (*module.Instance, error) {
	p.loaded = true
	p.changed()
	return &module.Instance{
		Layer:  &resolve.Layer{Name: "policy", Begin: p.begin, Route: p.rules.Route, Consume: p.consume, Finalize: p.finalize, Finish: p.finish},
		Fast:   &module.Fast{Begin: p.fast},
		Reread: p.reread,
		Close:  func() { p.loaded = false; p.changed() },
	}, nil
}

// Add puts a rule behind the others; a postrule is for answers.
func (p *Policy) Add(r *rules.Rule, post bool) *rules.Entry {
	table := p.rules
	if post {
		table = p.post
	}
	return table.Add(p.NextID(), r)
}

// NextID is an ID that no rule has had: those of other modules are not of the rules here.
func (p *Policy) NextID() int {
	p.next++
	return p.next - 1
}

// Delete takes out the rule with an ID and tells whether there was one.
func (p *Policy) Delete(id int) bool { return p.rules.Delete(id) || p.post.Delete(id) }

// SpeakTo says how the servers at an address are spoken to wherever a rule names it, and
// tells whether something was said before; the zero Peer stands for nothing.
func (p *Policy) SpeakTo(at netip.AddrPort, as zonecut.Peer) (before bool) {
	before = p.Peers.Set(at, as)
	p.rules.Renew()
	return before
}

// Renew is called after lists have changed that rules go by.
func (p *Policy) Renew() { p.rules.Renew() }

// reread implements module.Instance.
func (p *Policy) reread() (apply func(), err error) {
	if p.Lists == nil {
		return func() {}, nil
	}
	use, err := p.Lists.Reread()
	return func() { use(); p.Renew(); p.Lists.giveBack() }, err
}

// Rules, Postrules and Special are the rules in order.
func (p *Policy) Rules() []*rules.Entry     { return p.rules.Entries() }
func (p *Policy) Postrules() []*rules.Entry { return p.post.Entries() }
func (p *Policy) Special() []*rules.Entry   { return p.special.Entries() }

func (p *Policy) changed() {
	if p.Changed != nil {
		p.Changed(p.Fingerprint())
	}
}

// Fingerprint differs between rules under which the same question may get a
// different answer from the network (rules.Table.Fingerprint). It is 0 while the
// module is not loaded.
func (p *Policy) Fingerprint() uint64 {
	if !p.loaded {
		return 0
	}
	return p.rules.Fingerprint()
}
