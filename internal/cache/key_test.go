package cache

import (
	"bytes"
	"testing"

	"kresd/internal/dnssec"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A key is taken apart as it was put together; what is cut off, or says what no key does, is
// none.
func TestKeysAreTakenApart(t *testing.T) {
	for _, p := range []node{{0, name(t, "www.example.")}, {7, name(t, "www.example.")}, {1 << 63, name(t, ".")}} {
		for _, family := range []byte{familyNSEC, familyNSEC3, familyGap} {
			key := append(p.key(family), "rest"...)
			at, got, rest, ok := splitKey(key)
			if !ok || at != p || got != family || string(rest) != "rest" {
				t.Errorf("%v, family %d: %v %d %q %v", p, family, at, got, rest, ok)
			}
			for n := range len(key) - len("rest") {
				if at, _, _, ok := splitKey(key[:n]); ok {
					t.Errorf("the first %d octets of %q: %v", n, key, at)
				}
			}
		}
	}
	nobody := node{1, name(t, "example.")}.key(familyNSEC)
	at := bytes.LastIndexByte(nobody, 1)
	for what, key := range map[string][]byte{
		"partition 0 written out": append(append(bytes.Clone(nobody[:at]), 0), nobody[at+1:]...),
		"two partitions":          append(bytes.Clone(nobody[:at+1]), markPartition, 0, 0, 0, 0, 0, 0, 0, 1, familyNSEC),
	} {
		if at, _, _, ok := splitKey(key); ok {
			t.Errorf("%s: %v", what, at)
		}
	}
}

// A chain of NSEC3 sets is taken apart as it was put together, whatever follows.
func TestChainsAreTakenApart(t *testing.T) {
	for _, c := range []dnssec.Chain{{}, {Iterations: 300}, {Iterations: 1, Salt: "\x01\x02\x03"}} {
		key := appendChain(nil, c)
		for _, more := range []string{"", "hash"} {
			iterations, salt, n := splitChain(append(bytes.Clone(key), more...))
			if iterations != c.Iterations || string(salt) != string(c.Salt) || n != len(key) {
				t.Errorf("%+v: %d %q, %d octets", c, iterations, salt, n)
			}
		}
		for k := range key {
			if _, _, n := splitChain(key[:k]); n != 0 {
				t.Errorf("the first %d octets of %q are a chain of %d", k, key, n)
			}
		}
	}
	if _, _, n := splitChain([]byte{hashSHA1 + 1, 0, 0, 0}); n != 0 {
		t.Error("another hash algorithm is one")
	}
}

// Without an open cache nothing is stored on the operator's word, and that is said.
func TestNothingIsInsertedWithoutACache(t *testing.T) {
	w := newWorld(t)
	set := rrset(t, rank.Auth|rank.Insecure, "www.example.", wire.TypeA, 60, "\xc0\x00\x02\x01")
	w.Swap(nil)
	if err := w.Insert(0, set, w.now(), w.now()); err != ErrClosed {
		t.Errorf("got %v", err)
	}
	w.Keep(cut(t, "example.", w.now()+60), w.now())
	if w.Closest(name(t, "example."), w.now()) != nil {
		t.Error("a delegation is kept nowhere")
	}
	var q resolve.Question
	if _, _, ok := w.loadRRset(node{0, q.Name}, wire.TypeA, wire.ClassIN, when{now: w.now()}); ok {
		t.Error("a set is found nowhere")
	}
	w.drop([]byte("key"))
}
