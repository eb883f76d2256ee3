package lmdbcache

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/PowerDNS/lmdb-go/lmdb"
	"golang.org/x/sys/unix"
)

// whole is a store with a few entries, and what is done to it inside of transactions.
func whole(t *testing.T) (*Store, map[string]lmdb.TxnOp) {
	t.Helper()
	s := open(t, t.TempDir(), Options{MaxSize: 1 << 20, Warn: func(string) {}})
	for _, k := range []string{"a", "b", "c"} {
		s.Put([]byte(k), []byte("v"))
	}
	flush(t, s)
	agree := func(_, _, _ []byte) bool { return true }
	write := func(o *op) lmdb.TxnOp {
		return func(txn *lmdb.Txn) error { return s.apply(txn, o, record{}, 1<<20, &tally{}) }
	}
	keys := func() *collection {
		return &collection{s: s, keys: [][]byte{[]byte("a")}, judge: func(_, _ []byte) Worth { return 0 }}
	}
	return s, map[string]lmdb.TxnOp{
		"a clear":         func(txn *lmdb.Txn) error { _, err := s.clearAll(txn); return err },
		"a removal":       (&removal{s: s, limit: 9}).step,
		"another removal": (&removal{s: s, limit: 9, counted: true}).step,
		"a batch": func(txn *lmdb.Txn) error {
			return s.writeBatch(txn, []*op{{key: []byte("a"), val: []byte("w"), seen: 9}}, &tally{})
		},
		"a write":            write(&op{key: []byte("a"), val: []byte("w")}),
		"a new entry":        write(&op{key: []byte("new"), val: []byte("w"), replace: agree}),
		"a removal of one":   write(&op{key: []byte("a")}),
		"one that agrees":    write(&op{key: []byte("a"), replace: agree}),
		"a collection":       func(txn *lmdb.Txn) error { _, err := keys().remove(txn); return err },
		"a move":             keys().moveChosen,
		"an adoption":        func(txn *lmdb.Txn) error { s.opts.Schema = 99; return s.adoptTxn(txn) },
		"the store's record": func(txn *lmdb.Txn) error { return s.writeRecord(txn, record{}) },
		"a copy": func(txn *lmdb.Txn) error {
			return (&exporter{keys: [][]byte{[]byte("x")}, vals: [][]byte{{}}}).write(txn)
		},
	}
}

// What LMDB refuses is an error of whoever asked for it, and not taken for done.
func TestWhatLMDBRefusesIsTold(t *testing.T) {
	s, ops := whole(t)
	for name, step := range ops {
		if err := s.env.View(step); !lmdb.IsErrnoSys(err, unix.EACCES) {
			t.Errorf("%s where nothing may be written: %v", name, err)
		}
	}
	s.Close()
	s, ops = whole(t)
	s.dbi = 77 // which there is not
	for _, name := range []string{"a clear", "a removal", "another removal", "a batch", "a collection", "a move", "an adoption"} {
		if err := s.env.View(ops[name]); err == nil {
			t.Errorf("%s where nothing can be read: no error", name)
		}
	}
	ctx := context.Background()
	if n, err := s.Clear(); err == nil {
		t.Errorf("Clear: %d", n)
	}
	if n, err := s.RemoveRange(nil, 9, nil); err == nil {
		t.Errorf("RemoveRange: %d", n)
	}
	if n, err := s.Prune(ctx, func(_, _ []byte) Worth { return Worthless }); err == nil || n != 0 {
		t.Errorf("Prune: %d", n)
	}
	if c, err := s.CollectBetween(ctx, 0, 0, func(_, _ []byte) Worth { return Worthless }); err == nil || c.Removed != 0 {
		t.Errorf("Collect: %+v", c)
	}
	if st := s.Stats(); st.Clear != 0 || st.Remove != 0 || st.Evicted != 0 {
		t.Errorf("what was not done is counted: %+v", st)
	}
}

// A store that is closed says so, and finds nothing.
func TestAClosedStoreSaysSo(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	s.Put([]byte("k"), []byte("v"))
	flush(t, s)
	s.Close()
	ctx := context.Background()
	judge := func(_, _ []byte) Worth { return Worthless }
	for name, call := range map[string]func() error{
		"Flush":          func() error { return s.Flush(ctx) },
		"Clear":          func() error { _, err := s.Clear(); return err },
		"RemoveRange":    func() error { _, err := s.RemoveRange(nil, 1, nil); return err },
		"Count":          func() error { _, err := s.Count(); return err },
		"Prune":          func() error { _, err := s.Prune(ctx, judge); return err },
		"CollectBetween": func() error { _, err := s.CollectBetween(ctx, 0, 0, judge); return err },
		"Foresee":        func() error { _, err := s.Foresee(ctx, 0, 0, judge); return err },
		"Export":         func() error { _, err := s.Export(ctx, filepath.Join(t.TempDir(), "x")); return err },
		"NewReader":      func() error { _, err := s.NewReader(); return err },
		"squeeze":        func() error { return (&collection{s: s}).squeeze(ctx) },
		"Close":          s.Close,
	} {
		if err := call(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	found := func(_, _ []byte) bool { t.Error("an entry is found"); return true }
	if n, ok := s.Range(nil, found); ok || n != 0 {
		t.Errorf("Range: %d, %v", n, ok)
	}
	if s.Floor(nil, []byte("k"), func(k, v []byte) { found(k, v) }) || s.ClearNumber() != 0 || s.Usage() != 0 || s.Size() != 0 {
		t.Errorf("clear number %d, usage %f, size %d", s.ClearNumber(), s.Usage(), s.Size())
	}
	wantMiss(t, s, "k")
	s.Put([]byte("k"), []byte("v"))
	wantMiss(t, s, "k")
	if st := s.Stats(); st.QueueDrops != 0 || st.Queued != 0 {
		t.Errorf("%+v", st)
	}
}

// What takes long ends with its context.
func TestLongWorkEndsWithItsContext(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 1 << 20})
	s.Put([]byte("k"), []byte("v"))
	flush(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	judge := func(_, _ []byte) Worth { return Worthless }
	for name, call := range map[string]func() error{
		"Prune":          func() error { _, err := s.Prune(ctx, judge); return err },
		"CollectBetween": func() error { _, err := s.CollectBetween(ctx, 0, 0, judge); return err },
		"Foresee":        func() error { _, err := s.Foresee(ctx, 0, 0, judge); return err },
		"squeeze":        func() error { return (&collection{s: s}).squeeze(ctx) },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantGet(t, s, "k", "v")
	ctx, cancel = context.WithCancel(context.Background())
	late := &collection{s: s, judge: func(_, _ []byte) Worth { cancel(); return 9 }}
	if err := late.turn(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("given up when all was judged: %v", err)
	}
}

// An error of LMDB that a new file would cure has one made; others do not.
func TestWhichErrorsANewFileCures(t *testing.T) {
	cured := []lmdb.Errno{lmdb.Invalid, lmdb.VersionMismatch, lmdb.Corrupted, lmdb.PageNotFound, lmdb.Panic, lmdb.Incompatible}
	for e := lmdb.KeyExist; e <= lmdb.BadDBI; e++ {
		err := error(&lmdb.OpError{Op: "mdb_test", Errno: e})
		if got, want := badFile(err), slices.Contains(cured, e); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
		if reason(err) != error(e) {
			t.Errorf("%v: its reason is %v", err, reason(err))
		}
	}
	if badFile(nil) || badFile(errors.New("x")) || badFile(unix.ENOSPC) || !badFile(errCutOff) {
		t.Error("no error of LMDB")
	}
	if err := errors.New("x"); reason(err) != err {
		t.Errorf("the reason of %v is %v", err, reason(err))
	}
}
