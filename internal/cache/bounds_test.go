package cache

import (
	"bytes"
	"errors"
	"testing"

	"kresd/internal/limits"
	"kresd/internal/lmdbcache"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A body that ends too early, or too late, is no entry, though its length and checksum
// are right: whoever may write to the file can make such.
func TestBodiesThatDoNotHoldWhatTheyShould(t *testing.T) {
	w, qs := filled(t)
	whole := w.readAll(qs)
	for _, key := range w.mem.keys() {
		good := bytes.Clone(w.mem.m[key])
		kind := parseHeader(good).kind
		if kind != kindRRset && kind != kindNoData && kind != kindNXDomain && kind != kindCut {
			continue
		}
		valid := 0
		for n := headerLen; n <= len(good)+1; n++ {
			body := append(bytes.Clone(good), 0)[:n]
			if n == len(good) {
				continue
			}
			w.mem.m[key] = seal([]byte(key), body)
			if w.readAll(qs) == whole {
				valid++
				continue
			}
			if _, there := w.mem.m[key]; there {
				t.Errorf("%q with %d of %d octets is left", key, n, len(good))
			}
		}
		if most := map[bool]int{true: 1}[kind == kindCut]; valid > most { // a delegation may come without its DS set
			t.Errorf("%q is read with %d other lengths", key, valid)
		}
		w.mem.m[key] = good
	}
}

// An entry that says that it holds nothing is damaged, not empty.
func TestEntriesWithoutSets(t *testing.T) {
	w, qs := filled(t)
	whole := w.readAll(qs)
	for _, key := range w.mem.keys() {
		good := bytes.Clone(w.mem.m[key])
		if kind := parseHeader(good).kind; kind != kindRRset && kind != kindNoData && kind != kindNXDomain && kind != kindCut {
			continue
		}
		w.mem.m[key] = seal([]byte(key), append(bytes.Clone(good[:headerLen]), 0))
		if got := w.readAll(qs); got != whole-1 {
			t.Errorf("%q: %d things found, want %d", key, got, whole-1)
		}
		if _, there := w.mem.m[key]; there {
			t.Errorf("%q is left", key)
		}
		w.mem.m[key] = good
	}
}

func TestEntriesOfAnotherProgram(t *testing.T) {
	w, qs := filled(t)
	for k, v := range w.mem.m {
		v[0]++
		sealAgain([]byte(k), v)
	}
	if got := w.readAll(qs); got != 0 {
		t.Errorf("%d things found", got)
	}
}

// What was never there is no damage, and nothing is deleted for it.
func TestAMissIsNoDamage(t *testing.T) {
	w := newWorld(t)
	writes := w.mem.writes
	if w.readAll([]resolve.Question{question(t, "www.example.", wire.TypeA)}) != 0 {
		t.Error("found")
	}
	if n := w.Stats().Damaged; n != 0 || w.mem.writes != writes {
		t.Errorf("%d entries were damaged, %d writes", n, w.mem.writes-writes)
	}
}

// The longest key that a Store takes is one that is looked for.
func TestTheLongestKey(t *testing.T) {
	w := newWorld(t)
	h := header{kind: kindRRset, rank: secure, made: w.now(), ttl: 60}
	for n, want := range map[int]bool{maxKey - 1: true, maxKey: true, maxKey + 1: false} {
		key := bytes.Repeat([]byte{'k'}, n)
		w.mem.m[string(key)] = seal(key, newEntry(h, 0))
		if _, ok := w.read(key); ok != want {
			t.Errorf("a key of %d octets: found %v", n, ok)
		}
	}
}

// The largest entry that may be written is one that is read.
func TestTheLargestEntry(t *testing.T) {
	w := newWorld(t)
	h := header{kind: kindRRset, rank: secure, made: w.now(), ttl: 60}
	key := []byte("key")
	for size, want := range map[int]bool{limits.MaxCacheEntryBytes: true, limits.MaxCacheEntryBytes + 1: false} {
		entry := append(newEntry(h, size), make([]byte, size-headerLen)...)
		if sealed := seal(key, entry); (sealed != nil) != want {
			t.Errorf("%d octets: written %v", size, sealed != nil)
		} else if sealed != nil {
			w.mem.m["key"] = sealed
		} else {
			w.mem.m["key"] = entry
		}
		if _, ok := w.read(key); ok != want {
			t.Errorf("%d octets: read %v", size, ok)
		}
	}
}

// What is to be done to a cache fails where none is open.
func TestAClosedCacheSaysSo(t *testing.T) {
	w := newWorld(t)
	w.Swap(nil)
	n := name(t, "example.")
	for what, do := range map[string]func() (int, error){
		"Count": w.Count, "Clear": w.Clear,
		"Remove":     func() (int, error) { return w.Remove(n, false, 5) },
		"RemoveType": func() (int, error) { return w.RemoveType(n, wire.TypeA) },
		"Prune":      func() (int, error) { return w.Prune(t.Context(), w.now(), 5) },
	} {
		if done, err := do(); !errors.Is(err, ErrClosed) || done != 0 {
			t.Errorf("%s: %d, %v", what, done, err)
		}
	}
}

// The keys of a zone and what leads to them are worth more than its other data.
func TestKeysAreWorthMoreThanAddresses(t *testing.T) {
	w := newWorld(t)
	worth := func(rrtype uint16) lmdbcache.Worth {
		key := node{0, name(t, "example.")}.rrset(rrtype, wire.ClassIN)
		h := header{kind: kindRRset, rank: secure, made: w.now(), ttl: 60}
		return Worth(key, seal(key, newEntry(h, 0)), w.now())
	}
	for _, rrtype := range []uint16{wire.TypeDNSKEY, wire.TypeDS, wire.TypeNS, wire.TypeSOA} {
		if worth(rrtype) <= worth(wire.TypeA) {
			t.Errorf("%s is worth %d, A %d", wire.TypeText(rrtype), worth(rrtype), worth(wire.TypeA))
		}
	}
}
