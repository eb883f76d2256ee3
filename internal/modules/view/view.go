package view

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"kresd/internal/digest"
	"kresd/internal/dnsname"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/rules"
)

// View is the views of a worker. They outlive the loading and unloading of the module.
// Methods that change them are for one goroutine at a time.
type View struct {
	nextID func() int
	rules  *rules.Table
	byKey  int         // how many rules are by keys
	signed atomic.Bool // there are such, or keys
	keys   atomic.Pointer[map[dnsname.Name][]byte]
	// subjects are used again by requests that no rule is for.
	subjects sync.Pool // of *rules.Subject
}

// New makes a View without rules, which get the IDs that nextID gives.
func New(nextID func() int) *View {
	v := &View{nextID: nextID}
	v.rules = rules.NewTable(func(id int, what string) string { return fmt.Sprintf("view %d (%s)", id, what) }, nil)
	v.keys.Store(&map[dnsname.Name][]byte{})
	return v
}

// Open makes an instance of the module.
func (v *View) Open() (*module.Instance, error) {
	return &module.Instance{
		Layer:  &resolve.Layer{Name: "view", Begin: v.begin, Decided: v.decided, Route: v.rules.Route},
		Fast:   &module.Fast{Begin: v.fast},
		Signed: v.signed.Load,
	}, nil
}

// Addr puts a rule behind the others, for clients that come from a network, or, with local,
// ask at an address of it.
func (v *View) Addr(of netip.Prefix, r *rules.Rule, local bool) *rules.Entry {
	words := fmt.Sprintf("view:addr(%s, %s)", rules.Quoted(of.String()), r.Text())
	if local {
		words = fmt.Sprintf("view:addr(%s, %s, true)", rules.Quoted(of.String()), r.Text())
	}
	return v.add(r, Within(of, local), words)
}

// TSIG puts a rule behind the others, for questions signed with a key. checked tells that its
// secret is known, so that nobody else can use it.
func (v *View) TSIG(key dnsname.Name, r *rules.Rule) (e *rules.Entry, checked bool) {
	e = v.add(r, signedBy(key), fmt.Sprintf("view:tsig(todname(%s), %s)", rules.Quoted(key.String()), r.Text()))
	v.byKey++
	v.judge()
	_, checked = (*v.keys.Load())[key]
	return e, checked
}

func (v *View) add(r *rules.Rule, c rules.Condition, words string) *rules.Entry {
	return v.rules.Add(v.nextID(), &rules.Rule{Filter: r.Filter.If(c), Action: r.Action, Pick: r.Pick, Slices: r.Slices, Words: words})
}

// Within is the condition that a client comes from a network, or asks at an address of it.
func Within(of netip.Prefix, local bool) rules.Condition {
	if local {
		return rules.Destination(of)
	}
	return rules.Source(of)
}

// Delete takes out the rule with an ID and tells whether there was one. (Rules by keys that
// are gone are still counted: questions with signatures take the driver's way in vain.)
func (v *View) Delete(id int) bool { return v.rules.Delete(id) }

// Rules are the rules in order.
func (v *View) Rules() []*rules.Entry { return v.rules.Entries() }

// Renew is called after it has changed how servers are spoken to that rules name.
func (v *View) Renew() { v.rules.Renew() }

// judge notes whether signatures matter.
func (v *View) judge() { v.signed.Store(v.byKey > 0 || len(*v.keys.Load()) > 0) }

// signedBy is the condition that a question is signed with a key.
type signedBy dnsname.Name

// Holds implements rules.Condition.
func (k signedBy) Holds(s *rules.Subject) (yes, sure bool) { return k.signs(s), true }

func (k signedBy) signs(s *rules.Subject) bool { return s.Key == dnsname.Name(k) }

// Of implements rules.Condition.
func (k signedBy) Of(s *rules.Subject) (which uint64, may bool) { return 1, k.signs(s) }

// Digest implements rules.Condition.
func (k signedBy) Digest() uint64 { return digest.Of("key", string(k)) }
