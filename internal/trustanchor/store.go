package trustanchor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"kresd/internal/digest"
	"kresd/internal/dnsname"
	"kresd/internal/wire"
	"kresd/internal/wording"
)

// Snapshot is one state of a Store. It is never changed.
type Snapshot struct {
	Sets     map[dnsname.Name]*KeySet
	Insecure map[dnsname.Name]*Negative

	fingerprint uint64
}

// Closest is the set of keys whose zone a name lies in, the deepest one; nil when
// nothing is known. Of an anchor and a negative anchor the deeper one holds, and
// the negative one at the same name.
func (s *Snapshot) Closest(name dnsname.Name) *KeySet {
	_, k := s.deepest(name)
	return k
}

// Store keeps the anchors. It is safe for concurrent use.
type Store struct {
	snap     atomic.Pointer[Snapshot]
	mu       sync.Mutex // held while anything is changed, and for all below
	changed  []*func()
	fallback fallback
	timing   Timing
	source   Source
}

// New is a Store without anchors.
func New() *Store {
	s := &Store{timing: Timing{HoldDown: holdDown}, source: Source{URL: IANA}}
	empty := &Snapshot{}
	empty.fingerprint = empty.sum()
	s.snap.Store(empty)
	return s
}

// Snapshot is the current state.
func (s *Store) Snapshot() *Snapshot { return s.snap.Load() }

// OnChange has fn called after each change, by whoever changed something, until cancel
// is called.
func (s *Store) OnChange(fn func()) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	watcher := &fn
	s.changed = append(s.changed, watcher)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed = slices.DeleteFunc(slices.Clone(s.changed), func(w *func()) bool { return w == watcher })
	}
}

// change publishes what fn makes of the current state.
func (s *Store) change(fn func(*Snapshot)) {
	s.changeIf(func(next *Snapshot) bool { fn(next); return true })
}

// changeIf is change for what fn may find to be settled already.
func (s *Store) changeIf(fn func(*Snapshot) bool) bool {
	s.mu.Lock()
	old := s.snap.Load()
	next := &Snapshot{Sets: maps.Clone(old.Sets), Insecure: old.Insecure}
	if next.Sets == nil {
		next.Sets = map[dnsname.Name]*KeySet{}
	}
	if !fn(next) {
		s.mu.Unlock()
		return false
	}
	next.fingerprint = next.sum()
	s.snap.Store(next)
	watchers := slices.Clone(s.changed)
	s.mu.Unlock()
	for _, tell := range watchers {
		(*tell)()
	}
	return true
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
				merged := old.clone()
				for _, k := range set.Keys {
					merged.add(k)
				}
				set = merged
			}
			next.Sets[set.Owner] = set
		}
	})
	return nil
}

// put has a set take the place of what is known about its zone.
func (s *Store) put(set *KeySet) {
	s.change(func(next *Snapshot) { next.Sets[set.Owner] = set })
}

// Replace has next take the place of old, unless something else has done so: it
// tells whether it did.
func (s *Store) Replace(old, next *KeySet) bool {
	return s.changeIf(func(snap *Snapshot) bool {
		if snap.Sets[next.Owner] != old {
			return false
		}
		snap.Sets[next.Owner] = next
		return true
	})
}

// Remove takes the anchors of a zone out and tells whether there were any. When those of
// the root are removed, the built-in ones are not used either.
func (s *Store) Remove(owner dnsname.Name) bool {
	if owner.IsRoot() {
		s.SetDefault("")
	}
	return s.changeIf(func(next *Snapshot) bool {
		if next.Sets[owner] == nil {
			return false
		}
		delete(next.Sets, owner)
		return true
	})
}

// Owners are the zones with anchors, in canonical order.
func (s *Snapshot) Owners() []dnsname.Name {
	return slices.SortedFunc(maps.Keys(s.Sets), dnsname.Compare)
}

// Brief is a set in a few words: its zone, the tags of the keys that are trusted,
// where they came from.
func (k *KeySet) Brief() string {
	var tags []string
	for i := range k.Keys {
		if tag := fmt.Sprint(k.Keys[i].Tag); k.Keys[i].State.Trusted() && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return fmt.Sprintf("%s (%s%s)", k.Owner, strings.Join(tags, ", "), k.source())
}

// source is where a set came from, with a blank ahead; "" for what a script gave.
func (k *KeySet) source() string {
	switch {
	case k.File != "":
		return " from " + k.File
	case k.builtIn():
		return " built in"
	}
	return ""
}

// builtIn tells whether the set is the built-in one.
func (k *KeySet) builtIn() bool { return k.File == "" && k.Equal(Builtin()) }

// Summary is a set in words, a line for each key.
func (k *KeySet) Summary() string {
	text := k.Owner.String() + k.source()
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

// Fingerprint is equal for equal anchors in all processes, and 0 for the built-in
// ones: a key counts alike as DS and as DNSKEY record.
func (s *Snapshot) Fingerprint() uint64 { return s.fingerprint }

func (s *Snapshot) sum() uint64 {
	total := -Builtin().summed()
	for _, k := range s.Sets {
		total += k.summed()
	}
	for name := range s.Insecure {
		total += digest.Of("insecure", string(name))
	}
	return total
}

// summed is a number for the keys that are trusted.
func (k *KeySet) summed() (total uint64) {
	for i := range k.Keys {
		if key := &k.Keys[i]; key.State.Trusted() {
			total += key.summed(k.Owner)
		}
	}
	return total
}
