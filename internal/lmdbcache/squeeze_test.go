package lmdbcache

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"kresd/internal/limits"
)

// leaves is a map of a branch over leaves that are filled by so many octets each, in
// entries of 50; the first has what is over. Their keys are those of the leaf and their number.
func leaves(filled ...int) (*Reader, uint64) {
	const root = firstData
	b := &pageMaker{make([]byte, (3+len(filled))*pageOctets)}
	top := b.put(root, pageBranch)
	for i, octets := range filled {
		key := fmt.Sprintf("%c", 'a'+i)
		if i == 0 {
			key = ""
		}
		b.node(top, uint32(root+1+i), 0, key, nil)
		p := b.put(uint64(root+1+i), pageLeaf)
		for n := range octets / 50 {
			val := make([]byte, 38) // and two for its place
			if n == 0 {
				val = append(val, make([]byte, octets%50)...)
			}
			b.node(p, uint32(len(val)), 0, fmt.Sprintf("%c%d", 'a'+i, n%10), val)
		}
	}
	m := newMapping(b.mem, pageOctets)
	s := &Store{}
	s.view.Store(&mapping{pages: 64 * 1000, psize: pageOctets})
	r := &Reader{s: s, m: m, snap: snapshot{root: root}}
	return r, root
}

// Leaves are emptied into the one before as long as that has room for all of them, up to
// nine tenths of a page.
func TestWhichLeavesAreEmptied(t *testing.T) {
	for _, c := range []struct {
		filled []int
		want   string // the first letters of the keys that move
	}{
		{[]int{1000}, ""},
		{[]int{1000, 1000, 1000}, "bc"},
		{[]int{1000, 1000, 1000, 1000, 1000}, "bce"},
		{[]int{3650, 50, 3600, 50}, "c"},
		{[]int{3600, 50, 50}, "b"},
		{[]int{3000, 1000, 2000, 500}, "cd"},
		{[]int{2000, 1650, 1600}, "b"},
		{[]int{2036, 1650, 3600}, "b"},
		{[]int{2036, 1652, 3600}, ""},
	} {
		r, _ := leaves(c.filled...)
		w := &collection{s: r.s}
		next, atEnd := w.chooseMoves(r, nil)
		if next != nil || !atEnd {
			t.Errorf("%v: goes on at %q, %v", c.filled, next, atEnd)
		}
		got := ""
		for _, k := range w.keys {
			if !strings.HasSuffix(got, string(k[:1])) {
				got += string(k[:1])
			}
		}
		want := 0
		for _, l := range c.want {
			want += c.filled[l-'a'] / 50
		}
		if got != c.want || len(w.keys) != want {
			t.Errorf("%v : %q move, %d entries, want %q, %d", c.filled, got, len(w.keys), c.want, want)
		}
	}
}

// Moves are as many as fit into one transaction, and go on there.
func TestMovesGoOnInTheNextTransaction(t *testing.T) {
	r, _ := leaves(300, 300, 300, 300, 300)
	r.s.view.Store(&mapping{pages: 64 * 13, psize: pageOctets}) // transactions of 13
	w := &collection{s: r.s}
	next, atEnd := w.chooseMoves(r, nil)
	if string(next) != "d0" || atEnd || len(w.keys) != 12 || string(w.keys[0]) != "b0" {
		t.Errorf("%d moves from %q, goes on at %q, %v", len(w.keys), w.keys[0], next, atEnd)
	}
	next, atEnd = w.chooseMoves(r, next)
	if next != nil || !atEnd || len(w.keys) != 6 || string(w.keys[0]) != "e0" {
		t.Errorf("then %d moves, goes on at %q, %v", len(w.keys), next, atEnd)
	}
	r.s.view.Store(&mapping{pages: 64 * 6, psize: pageOctets}) // as many as a leaf has
	if next, _ := w.chooseMoves(r, nil); string(next) != "c0" || len(w.keys) != 6 {
		t.Errorf("%d moves in a transaction of 6, goes on at %q", len(w.keys), next)
	}
	r.s.view.Store(&mapping{pages: 64 * 5, psize: pageOctets}) // a leaf has more
	if w.chooseMoves(r, nil); len(w.keys) != 0 {
		t.Errorf("%d moves in a transaction of 5", len(w.keys))
	}
	var none collection
	none.s = r.s
	r.snap.root = noPage
	if next, atEnd := none.chooseMoves(r, nil); next != nil || !atEnd || len(none.keys) != 0 {
		t.Errorf("of an empty map: %q, %v", next, atEnd)
	}
}

// Only neighbours below one page are put together: LMDB puts an entry where its key
// belongs.
func TestThePageAboveALeaf(t *testing.T) {
	r, root := leaves(100, 100)
	r.cur.reset(r.m)
	if !r.cur.ceil(root, nil) || r.cur.parent() != int(root) {
		t.Errorf("page %d, want %d", r.cur.parent(), root)
	}
	r.cur.reset(r.m)
	if !r.cur.ceil(root+1, nil) || r.cur.parent() != -1 {
		t.Errorf("page %d above the only one", r.cur.parent())
	}
}

// What is moved is there afterwards as it was; what is gone meanwhile stays gone.
func TestWhatIsMovedIsThereAfterwards(t *testing.T) {
	s := open(t, t.TempDir(), Options{MaxSize: 4 << 20})
	for i := range 50 {
		s.Put(fmt.Appendf(nil, "k%02d", i), []byte(strings.Repeat("v", i)))
	}
	flush(t, s)
	w := &collection{s: s, keys: [][]byte{[]byte("gone")}}
	for i := range 50 {
		w.keys = append(w.keys, fmt.Appendf(nil, "k%02d", i))
	}
	if err := s.do(context.Background(), w.moveChosen); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		wantGet(t, s, fmt.Sprintf("k%02d", i), strings.Repeat("v", i))
	}
	wantCount(t, s, 50)
}

// The usage of a map counts what is free in it, as far as that can be believed.
func TestThePagesInUse(t *testing.T) {
	b, m := soundMap() // eleven pages, three of them free
	r := &Reader{s: &Store{}, m: newMapping(b.mem, pageOctets), snap: snapshot{root: m.main.root, free: m.free.root, last: m.lastPage}}
	if n := r.usedPages(); n != 8 {
		t.Errorf("%d pages in use, want 8", n)
	}
	if got, want := r.room(), int64(11*limits.CollectHardPercent/100-8)*pageOctets; got != want {
		t.Errorf("room for %d octets, want %d", got, want)
	}
	list := func(octets int, n uint64) {
		b.node(b.put(7, pageLeaf), uint32(octets), 0, string(words(1)), append(words(n), make([]byte, 64)...)[:octets])
	}
	for _, c := range []struct {
		octets int
		free   uint64
		want   uint64
	}{{8, 10, 1}, {8, 11, 11}, {8, 12, 11}, {7, 3, 11}, {16, 3, 8}, {8, 0, 11}} {
		list(c.octets, c.free)
		if n := r.usedPages(); n != c.want {
			t.Errorf("%d free pages in a list of %d octets: %d in use, want %d", c.free, c.octets, n, c.want)
		}
	}
	order.PutUint64(b.page(7), 8)
	if n := r.usedPages(); n != 11 {
		t.Errorf("a list that is another page: %d in use, want 11", n)
	}
	r.snap.free = noPage
	if n := r.usedPages(); n != 11 {
		t.Errorf("nothing is free: %d in use, want 11", n)
	}
}

// Where the file has never been full, what it has not used yet is room enough, if it is
// more than anybody needs.
func TestTheRoomOfAFileThatWasNeverFull(t *testing.T) {
	b, m := soundMap()
	view := newMapping(b.mem, pageOctets)
	r := &Reader{s: &Store{}, m: view, snap: snapshot{root: m.main.root, free: m.free.root, last: m.lastPage}}
	const enough = enoughRoom / pageOctets
	for _, c := range []struct{ limit, want int64 }{
		{11 + enough + 1, enough + 1}, // by what is not used yet
		{11 + enough, enough + 3},     // by all that is free
		{11, 3}, {10, 2},
	} {
		view.pages = uint64(c.limit*100+limits.CollectHardPercent-1) / limits.CollectHardPercent
		if limit := int64(view.pages * limits.CollectHardPercent / 100); limit != c.limit {
			t.Fatalf("%d pages have a limit of %d, not %d", view.pages, limit, c.limit)
		}
		if got := r.room(); got != c.want*pageOctets {
			t.Errorf("up to page %d: room for %d octets, want %d", c.limit, got, c.want*pageOctets)
		}
	}
}

func TestNobodyIsAskedForRoomWhereThereIsSome(t *testing.T) {
	asked := 0
	s := open(t, t.TempDir(), Options{MaxSize: 1 << 20, OnFull: func() { asked++ }})
	if n := s.room(); n < 1 || asked != 0 {
		t.Errorf("room for %d octets in an empty map, asked %d times", n, asked)
	}
}

// The share of the map up to a worth is that of its octets.
func TestTheThresholdOfAShare(t *testing.T) {
	var h histogram
	h[0], h[10], h[20], h[255] = 10, 20, 30, 40
	for share, want := range map[float64]Worth{0: 0, 0.1: 0, 0.11: 10, 0.3: 10, 0.31: 20, 0.6: 20, 0.61: 255, 1: 255, 2: 255} {
		if got := h.threshold(share); got != want {
			t.Errorf("of %.2f: %d, want %d", share, got, want)
		}
	}
	var empty histogram
	if got := empty.threshold(0.5); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}

// An entry costs its octets, or the whole pages that it has of its own; the store's own
// costs nobody.
func TestWhatAnEntryCosts(t *testing.T) {
	b, _ := soundMap()
	p := b.put(3, pageLeaf)
	b.node(p, 3, 0, recordKey, []byte("own"))
	b.node(p, 3, 0, "a", []byte("one"))
	b.node(p, 5000, nodeBigData, "b", words(5))
	b.node(p, pageOctets/2-nodeHeader-1, 0, "c", make([]byte, pageOctets/2-nodeHeader-1))
	var c cursor
	c.reset(newMapping(b.mem, pageOctets))
	if !c.ceil(3, nil) {
		t.Fatal("no leaf")
	}
	var h histogram
	h.addLeaf(&c, func(key, _ []byte) Worth {
		if isOwn(key) {
			t.Errorf("judged %q", key)
		}
		return Worth(key[0])
	})
	if h['a'] != 12 || h['b'] != 2*pageOctets || h['c'] != pageOctets/2 {
		t.Errorf("costs %v, %v, %v", h['a'], h['b'], h['c'])
	}
	for size, want := range map[uint32]float64{2*pageOctets - pageHeader: 2 * pageOctets, 2*pageOctets - pageHeader + 1: 3 * pageOctets, pageOctets - pageHeader: pageOctets} {
		b.node(b.put(3, pageLeaf), size, nodeBigData, "b", words(5))
		order.PutUint32(b.page(5)[12:], 3)
		if c.reset(c.m); !c.ceil(3, nil) {
			t.Fatal("no leaf")
		}
		h = histogram{}
		if h.addLeaf(&c, func(_, _ []byte) Worth { return 1 }); h[1] != want {
			t.Errorf("%d octets cost %v, want %v", size, h[1], want)
		}
	}
}
