package lmdbcache

import (
	"errors"
	"fmt"
	"testing"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

func reader(t testing.TB, s *Store) *Reader {
	t.Helper()
	r, err := s.NewReader()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestReaderSeesANewSnapshotAtEachBegin(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	r := reader(t, s)
	key := []byte("k")
	if _, ok := r.Get(key); ok {
		t.Error("Get before Begin found something")
	}
	for i := range 100 {
		s.Put(key, fmt.Append(nil, i))
		flush(t, s)
		if err := r.Begin(); err != nil {
			t.Fatal(err)
		}
		s.Put(key, []byte("later"))
		flush(t, s)
		if got, ok := r.Get(key); !ok || string(got) != fmt.Sprint(i) {
			t.Fatalf("round %d: Get = %q, %v", i, got, ok)
		}
		r.End()
	}
}

func TestReaderAfterClose(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	s.Put([]byte("k"), []byte("v"))
	flush(t, s)
	r := reader(t, s)
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	val, ok := r.Get([]byte("k"))
	if !ok {
		t.Fatal("not found")
	}
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	eventually(t, "it is about to close", s.closed.Load)
	if string(val) != "v" { // the map must still be there
		t.Errorf("value %q", val)
	}
	r.End()
	if err := soon(t, "it closes", closed); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := r.Begin(); !errors.Is(err, ErrClosed) {
		t.Errorf("Begin after Close: %v", err)
	}
	if _, ok := r.Get([]byte("k")); ok {
		t.Error("Get after Close found something")
	}
	r.End()
	r.Close()
}

func TestReadingAllocatesNothing(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for i := range 5000 {
		s.Put(fmt.Appendf(nil, "key%05d", i), make([]byte, 100))
	}
	flush(t, s)
	r := reader(t, s)
	hit, miss, above := []byte("key00042"), []byte("key00042x"), []byte("key00042~")
	n := testing.AllocsPerRun(1000, func() {
		if err := r.Begin(); err != nil {
			t.Fatal(err)
		}
		if _, ok := r.Get(hit); !ok {
			t.Fatal("miss")
		}
		if _, ok := r.Get(miss); ok {
			t.Fatal("hit")
		}
		if k, _, ok := r.Floor(hit[:5], above); !ok || string(k) != string(hit) {
			t.Fatal("wrong floor")
		}
		if _, _, ok := r.Floor(above, above); ok {
			t.Fatal("a floor outside of its prefix")
		}
		if r.ClearNumber() == 0 {
			t.Fatal("no clear number")
		}
		r.End()
	})
	if n != 0 {
		t.Errorf("Begin, Get, Floor and End allocate %v times", n)
	}
}

func BenchmarkReaderGet(b *testing.B) {
	for _, entries := range []int{1000, 100000} {
		b.Run(fmt.Sprint(entries), func(b *testing.B) {
			r, keys := filled(b, entries)
			if err := r.Begin(); err != nil {
				b.Fatal(err)
			}
			defer r.End()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, ok := r.Get(keys[i%len(keys)]); !ok {
					b.Fatal("miss")
				}
				i += 7919
			}
		})
	}
}

// BenchmarkReaderGetC is the same lookup through lmdb-go, to compare with.
func BenchmarkReaderGetC(b *testing.B) {
	r, keys := filled(b, 100000)
	b.ReportAllocs()
	err := r.s.env.View(func(txn *lmdb.Txn) error {
		txn.RawRead = true
		i := 0
		for b.Loop() {
			if _, err := txn.Get(r.s.dbi, keys[i%len(keys)]); err != nil {
				return err
			}
			i += 7919
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func BenchmarkReaderBeginEnd(b *testing.B) {
	r, _ := filled(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Begin(); err != nil {
			b.Fatal(err)
		}
		r.End()
	}
}

func filled(b *testing.B, entries int) (*Reader, [][]byte) {
	s := open(b, b.TempDir(), Options{MaxSize: 256 << 20, QueueEntries: 1 << 20, QueueBytes: 1 << 30})
	keys := make([][]byte, entries)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "com\x00example%07d\x00www\x00\x01a", i)
		s.Put(keys[i], make([]byte, 120))
	}
	flush(b, s)
	return reader(b, s), keys
}
