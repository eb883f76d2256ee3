package servertable

import (
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
		time.Sleep(limits.LeaseLife + time.Millisecond)
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
