package validate

import (
	"fmt"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// zoneAt is the place of one of many zones.
func zoneAt(i int) place {
	name, err := dnsname.Root.Prepend(fmt.Sprint(i))
	if err != nil {
		panic(err)
	}
	return place{zone: name}
}

// keyOf is the RDATA of a key with so many octets that comes in a message of 64 KiB.
func keyOf(octets int) [][]byte {
	message := make([]byte, 64<<10)
	copy(message, []byte{1, 0, 3, 250})
	return [][]byte{message[:octets]}
}

// Whoever has zones can give them as many keys as fit into a message: what a worker
// keeps of them is bounded by their octets, too.
func TestKeysAtHandAreBoundedByTheirOctets(t *testing.T) {
	var m memory
	const each = 60 << 10
	for i := range 2 * limits.KeyOctetsAtHand / each {
		m.put(zoneAt(i), keyOf(each), 0, 60)
		if kept := len(m.m) * each; kept > limits.KeyOctetsAtHand || kept != m.octets {
			t.Fatalf("after %d zones %d octets of keys are kept, counted as %d", i+1, kept, m.octets)
		}
		if m.at(zoneAt(i), 0) == nil {
			t.Fatalf("the keys of zone %d are not kept", i)
		}
	}
	if kept := len(m.m) * each; kept < limits.KeyOctetsAtHand*3/4 {
		t.Errorf("only %d octets of keys are kept", kept)
	}
}

func TestKeysAtHandAreBoundedByTheirZones(t *testing.T) {
	var m memory
	for i := range limits.KeySetsAtHand + 1 {
		m.put(zoneAt(i), keyOf(68), 0, 60)
	}
	if n := len(m.m); n > limits.KeySetsAtHand || n < limits.KeySetsAtHand*3/4 {
		t.Errorf("the keys of %d zones are kept", n)
	}
}

// A zone whose keys are asked for again and again counts once.
func TestKeysThatAreReplacedOrForgottenDoNotCount(t *testing.T) {
	var m memory
	for _, octets := range []int{100, 300, 200} {
		if m.put(zoneAt(0), keyOf(octets), 0, 60); m.octets != octets || len(m.m) != 1 {
			t.Errorf("%d octets of %d zones are kept, want %d of one", m.octets, len(m.m), octets)
		}
	}
	m.forget(zoneAt(1))
	m.forget(zoneAt(0))
	if m.octets != 0 || len(m.m) != 0 {
		t.Errorf("%d octets of %d zones are left", m.octets, len(m.m))
	}
}

// Keys that are kept do not keep the message alive in which they came.
func TestKeysAtHandAreCopies(t *testing.T) {
	var m memory
	data := keyOf(68)
	keys := m.put(place{zone: dnsname.Root}, data, 0, 60)
	data[0][0] = 0
	if got := keys.Octets(); got != 68 {
		t.Fatalf("%d octets of keys, want 68", got)
	}
	if again := m.put(place{zone: dnsname.Root}, data, 0, 60); again.Only(signs).Len() != 0 || keys.Only(signs).Len() != 1 {
		t.Error("the keys that are kept have changed with the message")
	}
}

func signs(k *dnssec.Key) bool { return k.RData[0] == 1 }

// A name that one proof has hashed costs the next one nothing.
func TestHashesAreRememberedAcrossProofs(t *testing.T) {
	done := &work{}
	name := zoneAt(1).zone
	for _, want := range []bool{false, true} {
		m := &meter{&Counts{}, &resolve.Request{}, resolve.NewBudget(nil).Proof(), done}
		_, known := m.Hashed(dnssec.HashedName{Chain: dnssec.Chain{Iterations: 50}, Name: name})
		if _, err := dnssec.NewHasher(m).Hash(dnssec.Chain{Iterations: 50}, name); err != nil || known != want {
			t.Errorf("%v, known %t, want %t", err, known, want)
		}
	}
}

// Keys are at hand from when they came until their TTL is over.
func TestHowLongKeysAreAtHand(t *testing.T) {
	var m memory
	m.put(zoneAt(0), keyOf(68), 1000, 60)
	for now, want := range map[int64]bool{999: false, 1000: true, 1059: true, 1060: false} {
		if got := m.at(zoneAt(0), now) != nil; got != want {
			t.Errorf("at %d: %t", now, got)
		}
	}
}
