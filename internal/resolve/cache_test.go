package resolve_test

import (
	"strings"
	"testing"

	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/iterate"
	"kresd/internal/lmdbcache"
	"kresd/internal/resolve"
	"kresd/internal/selection"
	"kresd/internal/trustanchor"
	"kresd/internal/validate"
)

// withCache gives a world the real cache.
func withCache(t *testing.T, w *world) *cache.Cache {
	t.Helper()
	store, err := lmdbcache.Open(t.TempDir(), lmdbcache.Options{MaxSize: 10 << 20, Schema: cache.Schema})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	c := cache.New(&w.counters)
	c.Swap(cache.Disk{Store: store})
	c.SetHints(w.cuts.m["\x00"])
	w.layers = []*resolve.Layer{iterate.Layer(), validate.Layer(validate.Config{Anchors: trustanchor.New().Snapshot}), c.Layer()}
	w.driver = resolve.NewDriver(resolve.Config{
		Layers: func() []*resolve.Layer { return w.layers }, Exchanger: w, Cuts: c,
		Servers: selection.New(selection.Config{Clock: clock.Real()}), Counters: &w.counters,
	})
	return c
}

// TestColdAndWarmCacheAgree asks everything twice, and in between from a resolver
// without any cache: the answers must be the same, the second one for nothing.
func TestColdAndWarmCacheAgree(t *testing.T) {
	zs := basic(merge(
		example(`www.example.com. A 192.0.2.10
alias.example.com. CNAME www.example.com.
far.example.com. CNAME www.other.net.
a.b.c.example.com. A 192.0.2.11
*.wild.example.com. A 192.0.2.12
old.example.com. DNAME new.example.com.
x.new.example.com. A 192.0.2.13
dead.example.com. CNAME none.example.com.
`+chainZone(13)),
		zones{"net.": "other.net. NS ns.example.com.\n", "other.net.": "other.net. NS ns.example.com.\nwww.other.net. A 192.0.2.20\n"},
	))
	questions := []string{
		"www.example.com. A", "www.example.com. AAAA", "alias.example.com. A", "far.example.com. A", "far.example.com. CNAME",
		"a.b.c.example.com. A", "b.c.example.com. A", "none.example.com. A", "below.none.example.com. A",
		"x.wild.example.com. A", "y.wild.example.com. A", "x.old.example.com. A", "old.example.com. DNAME", "dead.example.com. A",
		"example.com. NS", "example.com. SOA", "example.com. DS", "nowhere. A", ". NS", "com. NS", "c2.example.com. A", "c1.example.com. A",
	}
	w := newWorld(t, zs)
	bare := newWorldOf(w)
	withCache(t, w)
	for _, question := range questions {
		name, qtype, _ := strings.Cut(question, " ")
		cold := w.ask(name, qtype)
		first := len(w.asked())
		warm := w.ask(name, qtype)
		again := w.asked()
		plain := bare.ask(name, qtype)
		if cold != plain || warm != plain {
			t.Errorf("%s:\nwithout cache %s\ncold          %s\nwarm          %s", question, plain, cold, warm)
		}
		if len(again) != 0 {
			t.Errorf("%s: asked upstream again (%d, then %v)", question, first, again)
		}
	}
}
