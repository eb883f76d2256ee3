package lmdbcache

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzFile overwrites a part of a data file. Whatever the pages say then, looking
// for an entry and walking over all of them end, and stay inside the file; what
// verify() lets pass can be read to its end.
func FuzzFile(f *testing.F) {
	dir := f.TempDir()
	s, err := Open(dir, Options{MaxSize: 1 << 20, Schema: 7})
	if err != nil {
		f.Fatal(err)
	}
	for i := range 90 {
		s.Put(fmt.Appendf(nil, "key%04d", i), make([]byte, 100+i%50))
	}
	s.Put([]byte("large"), make([]byte, 9000))
	if err := s.Flush(context.Background()); err != nil {
		f.Fatal(err)
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, dataName))
	if err != nil {
		f.Fatal(err)
	}
	m, err := newestMeta(readAt(good), int64(len(good)))
	if err != nil {
		f.Fatal(err)
	}
	good = good[:(m.lastPage+1)*uint64(m.pageSize)]
	f.Add(uint32(0), []byte{}, []byte("key0050"))
	f.Add(uint32(pageHeader+24), []byte{0, 2}, []byte("large"))
	for n := uint64(0); n <= m.lastPage; n++ {
		f.Add(uint32(n*uint64(m.pageSize)), []byte{byte(n + 1)}, []byte("key0001"))
		f.Add(uint32(n*uint64(m.pageSize))+pageHeader, []byte{0xff, 0x0f}, []byte("zz"))
		f.Add(uint32(n*uint64(m.pageSize))+12, []byte{0xff, 0xff, 0, 0}, []byte(""))
	}
	f.Fuzz(func(t *testing.T, at uint32, patch, key []byte) {
		b := bytes.Clone(good)
		copy(b[int(at)%len(b):], patch)
		m, err := newestMeta(readAt(b), int64(len(b)))
		if err != nil {
			return
		}
		view := newMapping(b, m.pageSize)
		if view.pages < firstData {
			return
		}
		sound := verify(view, m, time.Minute) == nil
		if sound && m.pageSize != 4096 {
			return // pages cut in another way may be sound without being ours
		}
		snap, ok := view.newest()
		if !ok {
			t.Fatal("no snapshot of pages that nobody writes")
		}
		_, _, intact := view.get(snap.root, key)
		if sound && !intact {
			t.Errorf("%x at %d: verified, but the way to %q is damaged", patch, at, key)
		}
		walk(t, view, snap, sound)
		var c cursor
		c.reset(view)
		for _, seek := range []func(uint64, []byte) bool{c.ceil, c.floor} {
			if seek(snap.root, key) {
				c.entry()
			}
		}
	})
}

// walk goes over all entries, but no further than pages can have.
func walk(t *testing.T, view *mapping, snap snapshot, sound bool) {
	var c cursor
	c.reset(view)
	n := uint64(0)
	for ok := c.ceil(snap.root, nil); ok && n <= uint64(len(view.mem)); ok = c.step(1) {
		if _, _, ok := c.entry(); !ok && !sound {
			return
		}
		n++
	}
	if sound && (c.damaged || n != snap.entries) {
		t.Errorf("verified, but %d of %d entries can be read, damaged %v", n, snap.entries, c.damaged)
	}
}

func readAt(b []byte) func([]byte, int64) error {
	return func(p []byte, off int64) error {
		if off < 0 || off > int64(len(b)) || copy(p, b[off:]) < len(p) {
			return errDamaged
		}
		return nil
	}
}

// FuzzRecord: the store's own entry means the same after it was read and written
// again.
func FuzzRecord(f *testing.F) {
	f.Add(record{schema: 7, clears: 3, base: 1, prefix: []byte("x")}.encode())
	f.Add(binary.BigEndian.AppendUint64([]byte(recordMagic), 1))
	f.Add(record{}.encode())
	f.Add(record{schema: 1 << 31, clears: 1 << 63, base: 1<<63 - 1}.encode())
	f.Add(record{schema: 1}.cleared([]byte("moc\x00elpmaxe\x00")).cleared(nil).encode())
	f.Add(record{prefix: bytes.Repeat([]byte{0}, 511)}.encode()[:400])
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := parseRecord(b); ok && !bytes.Equal(r.encode(), b) {
			t.Errorf("%x became %x", b, r.encode())
		}
	})
}
