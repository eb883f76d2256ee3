package lmdbcache

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unsafe"
)

// metaPage is a meta page of the snapshot that a map of the given size had after some
// transaction.
func metaPage(txn uint64) []byte {
	p := make([]byte, pageOctets)
	order.PutUint16(p[10:], pageMeta)
	b := p[pageHeader:]
	order.PutUint32(b, metaMagic)
	order.PutUint32(b[4:], metaVersion)
	order.PutUint64(b[16:], 1<<20)
	order.PutUint32(b[24:], pageOctets)
	for i, t := range []treeInfo{{flags: 8, depth: 1, leaf: 1, entries: 2, root: 7}, {depth: 2, branch: 1, leaf: 2, overflow: 2, entries: 3, root: 2}} {
		at := b[24+48*i:]
		order.PutUint16(at[4:], t.flags)
		order.PutUint16(at[6:], t.depth)
		for k, n := range []uint64{t.branch, t.leaf, t.overflow, t.entries, t.root} {
			order.PutUint64(at[8+8*k:], n)
		}
	}
	order.PutUint64(b[120:], 10)
	order.PutUint64(b[128:], txn)
	return p
}

func TestAMetaPageIsRead(t *testing.T) {
	got, err := parseMeta(metaPage(5)[:pageHeader+metaSize])
	_, want := soundMap()
	want.mapSize, want.txn = 1<<20, 5
	if err != nil || got != want {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
}

func TestWhatIsWrongWithAMetaPage(t *testing.T) {
	const size, last = pageHeader + 24, pageHeader + 120
	octets := func(n uint32) func([]byte) []byte {
		return func(p []byte) []byte { order.PutUint32(p[size:], n); return p }
	}
	pages := func(n uint64) func([]byte) []byte {
		return func(p []byte) []byte { order.PutUint64(p[last:], n); return p }
	}
	for name, c := range map[string]struct {
		change func([]byte) []byte
		why    string
	}{
		"as it was":           {func(p []byte) []byte { return p }, ""},
		"an octet too short":  {func(p []byte) []byte { return p[:pageHeader+metaSize-1] }, "meta page cut off"},
		"another kind":        {func(p []byte) []byte { order.PutUint16(p[10:], pageLeaf); return p }, "no meta page"},
		"another magic":       {func(p []byte) []byte { p[pageHeader]++; return p }, "not LMDB format 1"},
		"another version":     {func(p []byte) []byte { p[pageHeader+4]++; return p }, "not LMDB format 1"},
		"the smallest pages":  {octets(minPageSize), ""},
		"smaller pages":       {octets(minPageSize / 2), "page size 256"},
		"the largest pages":   {octets(maxPageSize), ""},
		"larger pages":        {octets(2 * maxPageSize), "page size 65536"},
		"an odd size":         {octets(4097), "page size 4097"},
		"no data":             {pages(1), ""},
		"not both metas":      {pages(0), "last page 0"},
		"as much as can be":   {pages(1 << 47 / pageOctets), ""},
		"more than can be":    {pages(1<<47/pageOctets + 1), "last page 34359738369"},
		"a page without end":  {pages(^uint64(0)), "last page 18446744073709551615"},
		"flags of some other": {func(p []byte) []byte { order.PutUint16(p[10:], pageMeta|0x4000); return p }, ""},
	} {
		_, err := parseMeta(c.change(metaPage(5)))
		if c.why == "" && err != nil || c.why != "" && (!errors.Is(err, errDamaged) || !strings.Contains(err.Error(), c.why)) {
			t.Errorf("%s: %v, want %q", name, err, c.why)
		}
	}
}

func TestTheNewerSnapshotCounts(t *testing.T) {
	for _, c := range []struct{ txn0, txn1, want uint64 }{
		{0, 0, 0}, {0, 1, 1}, {2, 1, 2}, {2, 3, 3}, {4, 3, 4},
	} {
		if m, err := newerOf(meta{txn: c.txn0}, meta{txn: c.txn1}); err != nil || m.txn != c.want {
			t.Errorf("of %d and %d: %d, %v", c.txn0, c.txn1, m.txn, err)
		}
	}
	for _, c := range [][2]uint64{{1, 0}, {3, 2}, {1, 2}, {3, 4}, {2, 2}, {1, 1}, {0, 3}, {4, 1}, {0, 2}, {2, 0}} {
		if m, err := newerOf(meta{txn: c[0]}, meta{txn: c[1]}); !errors.Is(err, errDamaged) {
			t.Errorf("of %d and %d: %d, %v", c[0], c[1], m.txn, err)
		}
	}
	if _, err := newerOf(meta{txn: 2, pageSize: 4096}, meta{txn: 1, pageSize: 8192}); !errors.Is(err, errDamaged) {
		t.Errorf("of pages of two sizes: %v", err)
	}
}

// A file is as long as its newest snapshot says.
func TestAFileThatLacksItsEnd(t *testing.T) {
	file := append(metaPage(4), metaPage(5)...)
	read := func(b []byte, off int64) error {
		if off+int64(len(b)) > int64(len(file)) {
			return io.EOF
		}
		copy(b, file[off:])
		return nil
	}
	const whole = 11 * pageOctets
	if m, err := newestMeta(read, whole); err != nil || m.txn != 5 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := newestMeta(read, whole-1); !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), ": 1 bytes are missing at its end") {
		t.Errorf("an octet less: %v", err)
	}
	if _, err := newestMeta(read, whole-pageOctets); err == nil || !strings.Contains(err.Error(), ": 4096 bytes are missing") {
		t.Errorf("a page less: %v", err)
	}
	for _, size := range []int{0, pageOctets, pageOctets + pageHeader} {
		file = file[:size]
		if _, err := newestMeta(read, whole); !errors.Is(err, errDamaged) {
			t.Errorf("%d octets: %v", size, err)
		}
		file = append(metaPage(4), metaPage(5)...)
	}
	file[pageHeader]++
	if _, err := newestMeta(read, whole); !errors.Is(err, errDamaged) {
		t.Errorf("a bad first page: %v", err)
	}
	file[pageHeader]--
	file[pageOctets+pageHeader]++
	if _, err := newestMeta(read, whole); !errors.Is(err, errDamaged) {
		t.Errorf("a bad second page: %v", err)
	}
}

// A file whose meta pages are being written is looked at three times.
func TestMetaPagesThatAreBeingWritten(t *testing.T) {
	whole := append(metaPage(4), metaPage(5)...)
	for times, want := range map[int]bool{0: true, 1: true, 2: true, 3: false} {
		f := &written{content: whole, bad: times}
		if m, err := readMeta(f, 11*pageOctets); (err == nil && m.txn == 5) != want {
			t.Errorf("bad for %d looks: %+v, %v", times, m, err)
		}
		if f.looks != min(times+1, 3) {
			t.Errorf("bad for %d looks: %d looks", times, f.looks)
		}
	}
}

// written is a file whose first page is bad for so many looks.
type written struct {
	content    []byte
	bad, looks int
}

func (f *written) ReadAt(b []byte, off int64) (int, error) {
	n := copy(b, f.content[off:])
	if off == 0 {
		if f.looks++; f.looks <= f.bad {
			b[pageHeader]++
		}
	}
	return n, nil
}

// What a mapping holds is told to the octet, so that a fault elsewhere is not taken for
// one in it.
func TestWhatAMappingHolds(t *testing.T) {
	b, _ := soundMap()
	m := newMapping(b.mem, pageOctets)
	base := uintptr(unsafe.Pointer(unsafe.SliceData(b.mem)))
	for _, c := range []struct {
		at   uintptr
		want bool
	}{{base - 1, false}, {base, true}, {base + 11*pageOctets - 1, true}, {base + 11*pageOctets, false}} {
		if m.holds(c.at) != c.want {
			t.Errorf("octet %d: %v", c.at-base, !c.want)
		}
	}
	if !m.covers(&snapshot{last: 10}) || m.covers(&snapshot{last: 11}) {
		t.Error("of eleven pages the last is number 10")
	}
	if m.page(1) != nil || m.page(2) == nil || m.page(10) != nil || m.page(11) != nil {
		t.Error("the first page of data is number 2, and the last one here says that it is another")
	}
	order.PutUint64(b.page(10), 10)
	if p := m.page(10); len(p) != pageOctets || cap(p) != pageOctets {
		t.Errorf("page of %d octets, %d", len(p), cap(p))
	}
}

// The snapshot of a mapping is that of the later transaction, and not one whose page is
// being written.
func TestTheNewestSnapshotOfAMapping(t *testing.T) {
	mem := append(metaPage(4), metaPage(5)...)
	m := newMapping(mem, pageOctets)
	order.PutUint64(mem[pageOctets+pageHeader+112:], 9) // the root in the second page
	if s, ok := m.newest(); !ok || s != (snapshot{txn: 5, mapSize: 1 << 20, root: 9, entries: 3, last: 10, free: 7}) {
		t.Errorf("%+v, %v", s, ok)
	}
	order.PutUint64(mem[pageHeader+128:], 6)
	if s, ok := m.newest(); !ok || s.txn != 6 || s.root != 2 {
		t.Errorf("%+v, %v", s, ok)
	}
	for _, c := range []struct {
		txn  uint64
		want bool
	}{{6, false}, {5, false}, {4, true}} {
		if m.overtaken(&snapshot{txn: c.txn}) != c.want {
			t.Errorf("snapshot %d in transaction 6: overtaken %v", c.txn, !c.want)
		}
	}
}
