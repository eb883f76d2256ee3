package cache

import (
	"context"
	"testing"

	"kresd/internal/clock"
	"kresd/internal/lmdbcache"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// onDisk is a cache in a file.
type onDisk struct {
	testing.TB
	*Cache
	disk  *lmdbcache.Store
	clk   *clock.Clock
	layer *resolve.Layer
}

func openDisk(t testing.TB, dir string) *onDisk {
	t.Helper()
	s, err := lmdbcache.Open(dir, lmdbcache.Options{Schema: Schema, MaxSize: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	w := &onDisk{TB: t, Cache: New(nil), disk: s, clk: clock.Real()}
	w.Swap(Disk{s})
	w.layer = w.Layer()
	t.Cleanup(func() { s.Close() })
	return w
}

func (w *onDisk) now() int64 { return w.clk.Unix() }

func (w *onDisk) flush() {
	w.Helper()
	if err := w.disk.Flush(context.Background()); err != nil {
		w.Fatal(err)
	}
}

func (w *onDisk) answer(q resolve.Question, res resolve.Result) {
	req := &resolve.Request{Question: q, Now: w.now()}
	w.layer.Begin(req)
	w.layer.Produce(req, &resolve.Query{Question: q})
	req.Result = res
	w.layer.Finalize(req)
}

func (w *onDisk) fast(q *wire.Question) bool {
	f := w.NewFast()
	defer f.Close()
	f.Begin(w.now())
	defer f.End()
	_, ok := f.Answer(0, q, make([]byte, 4096), reply.Shape{Bufsize: 1232})
	return ok
}

func TestOnDisk(t *testing.T) {
	dir := t.TempDir()
	w := openDisk(t, dir)
	q := question(t, "www.example.", wire.TypeA)
	asked := client{}.parse(t, string(q.Name), q.Type)
	res := resultOf(insecure, rrset(t, insecure, "www.example.", wire.TypeA, 600, "\x01\x02\x03\x04"))
	w.answer(q, res)
	w.Keep(0, cut(t, "example.", w.now()+600), w.now())
	w.flush()
	if !w.fast(asked) || w.Closest(0, q.Name, w.now()) == nil {
		t.Fatal("not found")
	}
	other := &onDisk{TB: t, Cache: New(nil), clk: w.clk} // another reader of the file
	other.Swap(Disk{w.disk})
	if !other.fast(asked) {
		t.Error("not found by another reader")
	}
	if n, err := other.Remove(name(t, "www.example."), false, 10); n != 1 || err != nil {
		t.Errorf("%d removed, %v", n, err)
	}
	if w.fast(asked) {
		t.Error("found after another's clear")
	}
	w.answer(q, res)
	w.flush()
	if n, err := other.Count(); n != 2 || err != nil {
		t.Errorf("%d entries, %v", n, err)
	}
	if err := w.disk.Close(); err != nil {
		t.Fatal(err)
	}
	if w.fast(asked) || w.Closest(0, q.Name, w.now()) != nil {
		t.Error("found in a closed store")
	}
	again := openDisk(t, dir)
	if !again.fast(asked) {
		t.Error("not found after a restart")
	}
}
