package servertable

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

// So many processes get a lease, and the others when one is given back or when
// its holder was killed.
func TestLeases(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, b := open(t, dir), open(t, dir)
		one, two := []byte("www.example.com A"), []byte("www.example.net A")
		for i, tab := range []*Table{a, b, a} {
			if !tab.Take(one, 3) {
				t.Fatalf("lease %d of 3 refused", i+1)
			}
		}
		if b.Take(one, 3) || !b.Take(two, 3) {
			t.Fatal("a fourth of 3 was given, or another key was refused")
		}
		b.Return(one)
		if !b.Take(one, 3) || a.Take(one, 3) {
			t.Fatal("one that was given back is not there, or twice")
		}
		time.Sleep(limits.LeaseLife - time.Millisecond)
		if a.Take(one, 3) {
			t.Fatal("leases end before their time")
		}
		time.Sleep(time.Millisecond)
		if !a.Take(one, 1) || a.Take(one, 1) {
			t.Fatal("what dead processes held does not end, or for all")
		}
		a.Return(one)
		a.Return(one) // once too often
		if !a.Take(one, 1) || a.Take(one, 1) {
			t.Fatal("a lease that was returned twice is there twice")
		}
	})
}

// Two things that share a word are two things: the later one takes the word over, and
// the earlier one gives back nothing of it.
func TestLeasesThatShareAWord(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		tab := open(t, dir)
		one := []byte("www.example.com A")
		word, tag := tab.lease(one)
		other := []byte(nil)
		for i := 0; other == nil; i++ {
			key := fmt.Appendf(nil, "n%d.example.com A", i)
			if w, g := tab.lease(key); w == word && g != tag {
				other = key
			}
		}
		if !tab.Take(one, 1) || !tab.Take(other, 1) {
			t.Fatal("one thing keeps the lease of another")
		}
		tab.Return(one)
		if tab.Take(other, 1) {
			t.Error("a lease was given back by who had another")
		}
	})
}

// Keys that differ in any octet are different things.
func TestLeasesDependOnAllOfTheKey(t *testing.T) {
	tab := open(t, t.TempDir())
	type place struct {
		word *atomic.Uint64
		tag  uint64
	}
	seen := map[place]string{}
	key := []byte("\x03www\x07example\x03com\x00\x00\x01\x00\x01")
	keys := [][]byte{key, append(slices.Clone(key), 0), key[:len(key)-1]}
	for i := range key {
		for bit := range 8 {
			k := slices.Clone(key)
			k[i] ^= 1 << bit
			keys = append(keys, k)
		}
	}
	for _, k := range keys {
		word, tag := tab.lease(k)
		if twin, ok := seen[place{word, tag}]; ok {
			t.Errorf("%q and %q are one thing", k, twin)
		}
		seen[place{word, tag}] = string(k)
	}
}

func BenchmarkLease(b *testing.B) {
	tab, err := Open(b.TempDir(), clock.Real(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer tab.Close()
	key := []byte("\x03www\x07example\x03com\x00\x00\x01\x00\x01\x00")
	for b.Loop() {
		tab.Take(key, 4)
		tab.Return(key)
	}
}
