package trustanchor

import (
	"fmt"
	"slices"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/wire"
)

// A Change is a key that came into another state. A key in state Start is no longer
// remembered, or was not known before.
type Change struct {
	Tag      uint16
	From, To State
}

// String is what the log says of it.
func (c Change) String() string { return fmt.Sprintf("key: %d state: %s", c.Tag, c.To) }

// Changes are what is different in a later state of a set.
func Changes(old, next *KeySet) (changes []Change) {
	for i := range next.Keys {
		k := &next.Keys[i]
		if before := old.of(k); before != k.State {
			changes = append(changes, Change{Tag: k.Tag, From: before, To: k.State})
		}
	}
	for i := range old.Keys {
		if k := &old.Keys[i]; next.of(k) == Start {
			changes = append(changes, Change{Tag: k.Tag, From: k.State, To: Start})
		}
	}
	return changes
}

// of is the state of a key in a set, be it there as itself or as its digest; Start
// where it is not known.
func (k *KeySet) of(key *Key) State {
	for i := range k.Keys {
		if mine := &k.Keys[i]; mine.Type == key.Type && slices.Equal(mine.RData, key.RData) || key.Type == wire.TypeDNSKEY && mine.is(k.Owner, key.RData) ||
			mine.Type == wire.TypeDNSKEY && key.is(k.Owner, mine.RData) {
			return mine.State
		}
	}
	return Start
}

// Step is what becomes of the keys of a zone by a sighting, at the wall second now
// (RFC 5011, section 4). Two states go beyond the RFC, which never ends them: a
// missing key is removed after four times the hold-down, unless it is the last one
// that is trusted.
func (k *KeySet) Step(seen Sighting, now int64, t Timing) (next *KeySet, changes []Change) {
	m := &machine{set: k.clone(), seen: seen, now: now, timing: t}
	m.set.Fetched = m.set.Fetched && !seen.Proved
	for i := range m.set.Keys {
		m.known(&m.set.Keys[i])
	}
	if seen.Proved {
		m.discover()
	}
	m.purge()
	return m.set, m.changes
}

// machine is one step.
type machine struct {
	set     *KeySet
	seen    Sighting
	now     int64
	timing  Timing
	changes []Change
}

// known judges a key that is remembered.
func (m *machine) known(k *Key) {
	if rdata := m.find(k, m.seen.Revoked); rdata != nil {
		m.revoke(k, rdata)
	}
	if !m.seen.Proved {
		return
	}
	rdata := m.find(k, m.seen.Keys)
	if k.Type == wire.TypeDS && rdata != nil { // the key itself takes the place of its digest
		m.become(k, rdata)
	}
	over := m.now >= k.Timer
	switch present := rdata != nil; {
	case k.State == AddPend && !present:
		m.to(k, Start, 0)
	case k.State == AddPend && over:
		m.to(k, Valid, 0)
	case k.State == Valid && !present:
		m.to(k, Missing, m.held(m.timing.HoldDown))
	case k.State == Missing && present:
		m.to(k, Valid, 0)
	case k.State == Missing && m.now > k.Timer+3*seconds(m.timing.HoldDown) && m.set.Trusted() > 1:
		m.to(k, Removed, m.now)
	case k.State == Revoked && over:
		m.to(k, Removed, m.now)
	}
}

// revoke acts on a key whose owner revoked it. It is an anchor no longer, whatever
// comes.
func (m *machine) revoke(k *Key, rdata []byte) {
	switch k.State {
	case Valid, Missing:
		m.become(k, rdata)
		m.to(k, Revoked, m.held(m.timing.HoldDown))
	case AddPend:
		m.to(k, Start, 0)
	}
}

// discover takes in keys that were not known.
func (m *machine) discover() {
	hold := m.timing.HoldDown
	if hold >= holdDown {
		hold = max(hold, m.seen.TTL) // so that at least two sets are seen (section 2.4.1)
	}
	for _, rdata := range m.seen.Keys {
		if m.set.knows(rdata) {
			continue
		}
		k := Key{Type: wire.TypeDNSKEY, State: Start}
		m.become(&k, rdata)
		m.to(&k, AddPend, m.held(hold))
		m.set.Keys = append(m.set.Keys, k)
	}
}

// become has a key be that DNSKEY record.
func (m *machine) become(k *Key, rdata []byte) {
	k.Type, k.RData, k.Tag = wire.TypeDNSKEY, rdata, dnssec.KeyTag(rdata)
	if m.seen.Proved {
		k.TTL = uint32(m.seen.TTL / time.Second)
	}
}

func (m *machine) to(k *Key, state State, timer int64) {
	m.changes = append(m.changes, Change{Tag: k.Tag, From: k.State, To: state})
	k.State, k.Timer = state, timer
}

// held is the wall second at which a hold-down that begins is over.
func (m *machine) held(d time.Duration) int64 { return m.now + seconds(d) }

func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// find is the record among data that is the key; nil for none.
func (m *machine) find(k *Key, data [][]byte) []byte { return find(k, m.set.Owner, data) }

func find(k *Key, owner dnsname.Name, data [][]byte) []byte {
	for _, rdata := range data {
		if k.is(owner, rdata) {
			return rdata
		}
	}
	return nil
}

// purge forgets keys that were given up, and all but the last few of those that were
// removed. Each key is there once.
func (m *machine) purge() {
	var removed []int64 // their times
	for i := range m.set.Keys {
		if m.set.Keys[i].State == Removed {
			removed = append(removed, m.set.Keys[i].Timer)
		}
	}
	slices.Sort(removed)
	excess := max(len(removed)-m.timing.KeepRemoved, 0)
	there := map[string]bool{}
	m.set.Keys = slices.DeleteFunc(m.set.Keys, func(k Key) bool {
		again := there[string(k.RData)] // two digests of one key have become the key
		there[string(k.RData)] = true
		return again || k.State == Start || k.State == Removed && excess > 0 && k.Timer <= removed[excess-1]
	})
}
