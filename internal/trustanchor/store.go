package trustanchor

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"kresd/internal/digest"
	"kresd/internal/dnsname"
	"kresd/internal/wire"
	"kresd/internal/wording"
)

// A Key is one anchor: a DS or DNSKEY record and what is known about it.
type Key struct {
	Type  uint16
	TTL   uint32 // as the file says, in seconds
	RData []byte
	Tag   uint16 // RFC 4034, appendix B
	State State
	// Timer is when the state may change, in the file's words.
	Timer string
	// Comment is what stood behind the record.
	Comment string
}

// State is a state of RFC 5011, section 4.
type State string

// States.
const (
	Start   State = "Start"
	AddPend State = "AddPend"
	Valid   State = "Valid"
	Missing State = "Missing"
	Revoked State = "Revoked"
	Removed State = "Removed"
)

// Trusted tells whether a key in this state is an anchor.
func (s State) Trusted() bool { return s == Valid || s == Missing }

// A KeySet is what is known about the keys of one zone. It is never changed once
// it is in a Store.
type KeySet struct {
	Owner dnsname.Name
	Keys  []Key
	// File is where the set came from, "" for one that a script gave.
	File string
	// Managed tells that the file is to be kept up to date (RFC 5011).
	Managed bool
}

// Anchors are the trusted keys as RRsets; nil when there are none of a type.
func (k *KeySet) Anchors() (ds, dnskey *wire.RRset) {
	for i := range k.Keys {
		key := &k.Keys[i]
		if !key.State.Trusted() {
			continue
		}
		set := &ds
		if key.Type == wire.TypeDNSKEY {
			set = &dnskey
		}
		if *set == nil {
			*set = &wire.RRset{Owner: k.Owner, Type: key.Type, Class: wire.ClassIN, TTL: key.TTL}
		}
		(*set).TTL = min((*set).TTL, key.TTL)
		(*set).Data = append((*set).Data, key.RData)
	}
	return ds, dnskey
}

// Trusted counts the keys that are anchors.
func (k *KeySet) Trusted() (n int) {
	for i := range k.Keys {
		if k.Keys[i].State.Trusted() {
			n++
		}
	}
	return n
}

// Snapshot is one state of a Store. It is never changed.
type Snapshot struct {
	Sets     map[dnsname.Name]*KeySet
	Insecure map[dnsname.Name]bool

	fingerprint uint64
}

// Closest is the set of keys whose zone a name lies in, the deepest one; nil when
// nothing is known. Of an anchor and a negative anchor the deeper one holds, and
// the negative one at the same name.
func (s *Snapshot) Closest(name dnsname.Name) *KeySet {
	for {
		if s.Insecure[name] {
			return nil
		}
		if k := s.Sets[name]; k != nil && k.Trusted() > 0 {
			return k
		}
		if name.IsRoot() {
			return nil
		}
		name = name.Parent()
	}
}

// Store keeps the anchors. Methods that change it are for one goroutine at a
// time; Snapshot is for any.
type Store struct {
	snap atomic.Pointer[Snapshot]
	// Changed is called after each change; it may be nil.
	Changed func()
}

// New is a Store without anchors.
func New() *Store {
	s := &Store{}
	s.snap.Store(&Snapshot{})
	return s
}

// Snapshot is the current state.
func (s *Store) Snapshot() *Snapshot { return s.snap.Load() }

func (s *Store) change(fn func(*Snapshot)) {
	old := s.snap.Load()
	next := &Snapshot{Sets: maps.Clone(old.Sets), Insecure: old.Insecure}
	if next.Sets == nil {
		next.Sets = map[dnsname.Name]*KeySet{}
	}
	fn(next)
	next.fingerprint = next.sum()
	s.snap.Store(next)
	if s.Changed != nil {
		s.Changed()
	}
}

// Add adds records to the anchors of their owners.
func (s *Store) Add(text string) error {
	sets, err := parse(text)
	if err != nil {
		return wording.Record("", err)
	}
	s.change(func(next *Snapshot) {
		for _, set := range sets {
			if old := next.Sets[set.Owner]; old != nil {
				merged := *old
				merged.Keys = slices.Clone(old.Keys)
				for _, k := range set.Keys {
					merged.add(k)
				}
				set = &merged
			}
			next.Sets[set.Owner] = set
		}
	})
	return nil
}

// add takes a key in, once.
func (k *KeySet) add(key Key) {
	for i := range k.Keys {
		if k.Keys[i].Type == key.Type && string(k.Keys[i].RData) == string(key.RData) {
			k.Keys[i] = key
			return
		}
	}
	k.Keys = append(k.Keys, key)
}

// Remove takes the anchors of a zone out and tells whether there were any.
func (s *Store) Remove(owner dnsname.Name) bool {
	if s.Snapshot().Sets[owner] == nil {
		return false
	}
	s.change(func(next *Snapshot) { delete(next.Sets, owner) })
	return true
}

// SetInsecure replaces the negative anchors.
func (s *Store) SetInsecure(names []dnsname.Name) {
	s.change(func(next *Snapshot) {
		next.Insecure = make(map[dnsname.Name]bool, len(names))
		for _, n := range names {
			next.Insecure[n] = true
		}
	})
}

// Owners are the zones with anchors, in canonical order.
func (s *Snapshot) Owners() []dnsname.Name {
	return slices.SortedFunc(maps.Keys(s.Sets), dnsname.Compare)
}

// Summary is a set in words, a line for each key.
func (k *KeySet) Summary() string {
	text := k.Owner.String()
	if k.File != "" {
		text += " from " + k.File
	}
	for i := range k.Keys {
		key := &k.Keys[i]
		kind := "DS"
		if key.Type == wire.TypeDNSKEY {
			kind = "DNSKEY"
		}
		text += fmt.Sprintf("\n[ ta ] key: %d state: %s (%s)", key.Tag, key.State, kind)
	}
	return text
}

// Fingerprint is equal for equal anchors in all processes, and 0 without any.
func (s *Snapshot) Fingerprint() uint64 { return s.fingerprint }

func (s *Snapshot) sum() uint64 {
	var total uint64
	for owner, k := range s.Sets {
		for i := range k.Keys {
			if key := &k.Keys[i]; key.State.Trusted() {
				total += digest.Of(string(owner), wire.TypeText(key.Type), string(key.RData))
			}
		}
	}
	for name := range s.Insecure {
		total += digest.Of("insecure", string(name))
	}
	return total
}
