package lmdbcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
)

const pageOctets = 4096

var order = binary.NativeEndian

// A pageMaker makes the pages of a map, as LMDB writes them.
type pageMaker struct{ mem []byte }

func (b *pageMaker) page(n uint64) []byte { return b.mem[n*pageOctets : (n+1)*pageOctets] }

// put begins page n anew.
func (b *pageMaker) put(n uint64, flags uint16) []byte {
	p := b.page(n)
	clear(p)
	order.PutUint64(p, n)
	order.PutUint16(p[10:], flags)
	order.PutUint16(p[12:], pageHeader)
	order.PutUint16(p[14:], pageOctets)
	return p
}

// node adds a node behind the others of a page; head are the octets before its flags or the
// upper part of its child, at is what stands there.
func (b *pageMaker) node(p []byte, head uint32, at uint16, key string, data []byte) {
	lower, upper := u16(p[12:]), u16(p[14:])
	upper -= uint16(nodeHeader + len(key) + len(data))
	upper &^= 1
	order.PutUint16(p[lower:], upper)
	order.PutUint16(p[12:], lower+2)
	order.PutUint16(p[14:], upper)
	nd := p[upper:]
	order.PutUint32(nd, head)
	order.PutUint16(nd[4:], at)
	order.PutUint16(nd[6:], uint16(len(key)))
	copy(nd[nodeHeader:], key)
	copy(nd[nodeHeader+len(key):], data)
}

func words(n ...uint64) (b []byte) {
	for _, n := range n {
		b = order.AppendUint64(b, n)
	}
	return b
}

// soundMap is a map of eleven pages: two metas, a branch (2) over two leaves (3, 4) with three
// entries, the value of one of which is in two pages of its own (5, 6), and a leaf (7) with
// two lists of free pages: 8 and 10, and 9.
func soundMap() (*pageMaker, meta) {
	b := &pageMaker{make([]byte, 11*pageOctets)}
	p := b.put(2, pageBranch)
	b.node(p, 3, 0, "", nil)
	b.node(p, 4, 0, "m", nil)
	p = b.put(3, pageLeaf)
	b.node(p, 3, 0, "a", []byte("one"))
	b.node(p, 5000, nodeBigData, "b", words(5))
	p = b.put(4, pageLeaf)
	b.node(p, 5, 0, "m", []byte("three"))
	p = b.put(5, pageOverflow)
	order.PutUint32(p[12:], 2)
	p = b.put(7, pageLeaf)
	b.node(p, 24, 0, string(words(1)), words(2, 10, 8))
	b.node(p, 16, 0, string(words(2)), words(1, 9))
	return b, meta{
		pageSize: pageOctets, lastPage: 10,
		free: treeInfo{flags: 8, depth: 1, leaf: 1, entries: 2, root: 7},
		main: treeInfo{depth: 2, branch: 1, leaf: 2, overflow: 2, entries: 3, root: 2},
	}
}

func TestASoundMapIsFoundSound(t *testing.T) {
	b, m := soundMap()
	view := newMapping(b.mem, pageOctets)
	if err := verify(view, m, time.Hour); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int{"a": 3, "b": 5000, "m": 5, "": -1, "aa": -1, "c": -1, "z": -1} {
		val, found, intact := view.get(m.main.root, []byte(key))
		if !intact || found != (want >= 0) || found && len(val) != want {
			t.Errorf("%q: %d octets, found %v, intact %v", key, len(val), found, intact)
		}
	}
	if _, found, intact := view.get(noPage, []byte("a")); found || !intact {
		t.Error("an empty tree has entries, or is damaged")
	}
	b.node(b.put(4, pageLeaf), 5, 0, strings.Repeat("m", maxKey), []byte("three"))
	if err := verify(view, m, time.Hour); err != nil {
		t.Errorf("the longest key: %v", err)
	}
	empty := meta{pageSize: pageOctets, lastPage: 1, free: treeInfo{root: noPage}, main: treeInfo{root: noPage}}
	if err := verify(view, empty, time.Hour); err != nil {
		t.Errorf("an empty map: %v", err)
	}
}

// A cursor goes through the leaves of a tree in both directions, and stops at its ends.
func TestACursorWalksATree(t *testing.T) {
	b, m := soundMap()
	var c cursor
	c.reset(newMapping(b.mem, pageOctets))
	at := func(ok bool) string {
		key, _, has := c.entry()
		if !ok || !has {
			return "-"
		}
		return string(key)
	}
	for key, want := range map[string][2]string{ // the first not below, the last not above
		"": {"a", "-"}, "a": {"a", "a"}, "aa": {"b", "a"}, "b": {"b", "b"}, "c": {"m", "b"}, "m": {"m", "m"}, "z": {"-", "m"},
	} {
		if ceil := at(c.ceil(m.main.root, []byte(key))); ceil != want[0] || c.damaged {
			t.Errorf("not below %q: %s, want %s", key, ceil, want[0])
		}
		if floor := at(c.floor(m.main.root, []byte(key))); floor != want[1] || c.damaged {
			t.Errorf("not above %q: %s, want %s", key, floor, want[1])
		}
	}
	var seen []string
	for ok := c.ceil(m.main.root, nil); ok; ok = c.step(1) {
		seen = append(seen, at(true))
	}
	for ok := c.floor(m.main.root, []byte("z")); ok; ok = c.step(-1) {
		seen = append(seen, at(true))
	}
	if got := strings.Join(seen, ""); got != "abmmba" {
		t.Errorf("walked %s", got)
	}
	if c.ceil(noPage, nil) || c.floor(noPage, nil) || c.damaged {
		t.Error("an empty tree has entries, or is damaged")
	}
	if c.reset(c.m); at(true) != "-" {
		t.Error("a cursor off the tree has an entry")
	}
}

// Whatever LMDB could trip over is found, by what it is.
func TestWhatIsWrongWithAMap(t *testing.T) {
	for name, c := range map[string]struct {
		break_ func(*pageMaker, *meta)
		why    string
	}{
		"entries of another kind": {func(_ *pageMaker, m *meta) { m.main.flags = 4 }, "entries of another kind (flags 0x4)"},
		"a tree without root":     {func(_ *pageMaker, m *meta) { m.main.root = noPage }, "tree without root"},
		"a root without tree":     {func(_ *pageMaker, m *meta) { m.main.root, m.main.entries = noPage, 0 }, "tree without root"},
		"no depth":                {func(_ *pageMaker, m *meta) { m.main.depth = 0 }, "tree of depth 0"},
		"too deep":                {func(_ *pageMaker, m *meta) { m.main.depth = maxDepth + 1 }, "tree of depth 33"},
		"a leaf too high":         {func(_ *pageMaker, m *meta) { m.main.depth = 3 }, "does not fit its place"},
		"a branch too low":        {func(_ *pageMaker, m *meta) { m.main.depth = 1 }, "does not fit its place"},
		"more entries":            {func(_ *pageMaker, m *meta) { m.main.entries++ }, "other pages or entries than it says"},
		"fewer leaves":            {func(_ *pageMaker, m *meta) { m.main.leaf-- }, "other pages or entries than it says"},
		"more branches":           {func(_ *pageMaker, m *meta) { m.main.branch++ }, "other pages or entries than it says"},
		"fewer pages of values":   {func(_ *pageMaker, m *meta) { m.main.overflow-- }, "other pages or entries than it says"},
		"fewer free lists":        {func(_ *pageMaker, m *meta) { m.free.entries-- }, "other pages or entries than it says"},
		"a meta as root":          {func(_ *pageMaker, m *meta) { m.main.root = 1 }, "outside of the file"},
		"a page behind the last":  {func(_ *pageMaker, m *meta) { m.lastPage = 9 }, "outside of the file"},
		"a root behind the file":  {func(_ *pageMaker, m *meta) { m.main.root = 11 }, "outside of the file"},
		"another page":            {func(b *pageMaker, _ *meta) { order.PutUint64(b.page(4), 5) }, "is another page"},
		"a child twice": {func(b *pageMaker, _ *meta) {
			p := b.put(2, pageBranch)
			b.node(p, 3, 0, "", nil)
			b.node(p, 3, 0, "m", nil)
		}, "is used twice"},
		"a branch with one child":        {func(b *pageMaker, _ *meta) { b.node(b.put(2, pageBranch), 3, 0, "", nil) }, "does not fit its place"},
		"a leaf without entries":         {func(b *pageMaker, _ *meta) { b.put(4, pageLeaf) }, "does not fit its place"},
		"a page of another kind":         {func(b *pageMaker, _ *meta) { order.PutUint16(b.page(4)[10:], pageOverflow) }, "does not fit its place"},
		"nodes before the header":        {func(b *pageMaker, _ *meta) { order.PutUint16(b.page(4)[12:], pageHeader-2) }, "does not fit its place"},
		"nodes into the values":          {func(b *pageMaker, _ *meta) { order.PutUint16(b.page(4)[14:], pageHeader) }, "does not fit its place"},
		"values behind the page":         {func(b *pageMaker, _ *meta) { order.PutUint16(b.page(4)[14:], pageOctets+2) }, "does not fit its place"},
		"a node in the header":           {func(b *pageMaker, _ *meta) { order.PutUint16(b.page(4)[pageHeader:], pageHeader-2) }, "holds a bad node"},
		"a node before the values":       {func(b *pageMaker, _ *meta) { order.PutUint16(b.page(4)[pageHeader:], u16(b.page(4)[14:])-2) }, "holds a bad node"},
		"a node behind the page":         {func(b *pageMaker, _ *meta) { order.PutUint16(b.page(4)[pageHeader:], pageOctets-nodeHeader+2) }, "holds a bad node"},
		"a key behind the page":          {func(b *pageMaker, _ *meta) { order.PutUint16(b.page(4)[u16(b.page(4)[pageHeader:])+6:], 100) }, "holds a bad node"},
		"an empty key":                   {func(b *pageMaker, _ *meta) { b.node(b.put(4, pageLeaf), 5, 0, "", []byte("three")) }, "holds a bad node"},
		"a long key":                     {func(b *pageMaker, _ *meta) { b.node(b.put(4, pageLeaf), 0, 0, strings.Repeat("k", maxKey+1), nil) }, "holds a bad node"},
		"keys out of order":              {func(b *pageMaker, _ *meta) { b.node(b.page(4), 1, 0, "l", []byte("x")) }, "holds a bad node"},
		"a key twice":                    {func(b *pageMaker, _ *meta) { b.node(b.page(4), 1, 0, "m", []byte("x")) }, "holds a bad node"},
		"children out of order":          {func(b *pageMaker, _ *meta) { b.node(b.page(2), 8, 0, "l", nil) }, "holds a bad node"},
		"a value behind the page":        {func(b *pageMaker, _ *meta) { order.PutUint32(b.page(4)[u16(b.page(4)[pageHeader:]):], 100) }, "an entry without its value"},
		"a sub-database":                 {func(b *pageMaker, _ *meta) { order.PutUint16(b.page(4)[u16(b.page(4)[pageHeader:])+4:], 2) }, "an entry without its value"},
		"a value's page that is none":    {func(b *pageMaker, _ *meta) { order.PutUint16(b.page(5)[10:], pageLeaf) }, "an entry without its value"},
		"a value's page is another":      {func(b *pageMaker, _ *meta) { order.PutUint64(b.page(5), 6) }, "an entry without its value"},
		"a value without pages":          {func(b *pageMaker, _ *meta) { order.PutUint32(b.page(5)[12:], 0) }, "an entry without its value"},
		"a value with too few pages":     {func(b *pageMaker, _ *meta) { order.PutUint32(b.page(5)[12:], 1) }, "an entry without its value"},
		"a value's pages behind the end": {func(b *pageMaker, _ *meta) { order.PutUint32(b.page(5)[12:], 7) }, "an entry without its value"},
		"a value's pages in use":         {func(b *pageMaker, m *meta) { order.PutUint32(b.page(5)[12:], 3); m.main.overflow++ }, "is used twice"},
		"a cut list": {func(b *pageMaker, m *meta) {
			b.node(b.put(7, pageLeaf), 16, 0, string(words(1)), words(2, 10))
			m.free.entries = 1
		}, "a list of free pages is cut off"},
		"no list": {func(b *pageMaker, m *meta) {
			b.node(b.put(7, pageLeaf), 7, 0, string(words(1)), make([]byte, 7))
			m.free.entries = 1
		}, "a list of free pages is cut off"},
		"a list out of order": {func(b *pageMaker, m *meta) {
			b.node(b.put(7, pageLeaf), 24, 0, string(words(1)), words(2, 8, 10))
			m.free.entries = 1
		}, "a list of free pages is out of order"},
		"a free page twice": {func(b *pageMaker, m *meta) {
			b.node(b.put(7, pageLeaf), 24, 0, string(words(1)), words(2, 8, 8))
			m.free.entries = 1
		}, "a list of free pages is out of order"},
		"a free page that is in use": {func(b *pageMaker, m *meta) {
			b.node(b.put(7, pageLeaf), 16, 0, string(words(1)), words(1, 7))
			m.free.entries = 1
		}, "is used twice"},
		"a free page of the entries": {func(b *pageMaker, m *meta) {
			b.node(b.put(7, pageLeaf), 16, 0, string(words(1)), words(1, 4))
			m.free.entries = 1
		}, "is used twice"},
		"a free meta": {func(b *pageMaker, m *meta) {
			b.node(b.put(7, pageLeaf), 16, 0, string(words(1)), words(1, 1))
			m.free.entries = 1
		}, "outside of the file"},
		"a node that begins before the values": {func(b *pageMaker, _ *meta) { order.PutUint16(b.page(4)[14:], u16(b.page(4)[14:])+2) }, "holds a bad node"},
		"a transaction's lists twice":          {func(b *pageMaker, m *meta) { b.node(b.page(7), 8, 0, string(words(2)), words(0)); m.free.entries++ }, "holds a bad node"},
		"lists out of order":                   {func(b *pageMaker, m *meta) { b.node(b.page(7), 8, 0, string(words(1)), words(0)); m.free.entries++ }, "holds a bad node"},
		"a list of a transaction of bytes":     {func(b *pageMaker, m *meta) { b.node(b.page(7), 8, 0, "zzz", words(0)); m.free.entries++ }, "holds a bad node"},
	} {
		b, m := soundMap()
		c.break_(b, &m)
		if err := verify(newMapping(b.mem, pageOctets), m, time.Hour); !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %s", name, err, c.why)
		}
	}
}

// Whoever reads a damaged map finds nothing and says so, and never reads outside of it.
func TestReadingADamagedMap(t *testing.T) {
	for name, c := range map[string]struct {
		break_ func(*pageMaker)
		key    string
	}{
		"another page":           {func(b *pageMaker) { order.PutUint64(b.page(4), 5) }, "m"},
		"a page without nodes":   {func(b *pageMaker) { b.put(4, pageLeaf) }, "m"},
		"a node behind the page": {func(b *pageMaker) { order.PutUint16(b.page(4)[pageHeader:], pageOctets-2) }, "m"},
		"a value behind it":      {func(b *pageMaker) { order.PutUint32(b.page(4)[u16(b.page(4)[pageHeader:]):], pageOctets) }, "m"},
		"a value without pages":  {func(b *pageMaker) { order.PutUint32(b.page(5)[12:], 0) }, "b"},
		"a value's page cut off": {func(b *pageMaker) {
			p := b.put(3, pageLeaf)
			b.node(p, 5000, nodeBigData, "b", nil)
			copy(p[u16(p[14:]):], append(append([]byte(nil), p[u16(p[14:]):u16(p[14:])+9]...), 0, 0, 0, 0, 0))
			order.PutUint16(p[pageHeader:], pageOctets-nodeHeader-2)
			copy(p[pageOctets-nodeHeader-2:], append(order.AppendUint16(order.AppendUint16(order.AppendUint32(nil, 5000), nodeBigData), 1), 'b', 0))
		}, "b"},
		"a circle":                      {func(b *pageMaker) { p := b.put(2, pageBranch); b.node(p, 2, 0, "", nil); b.node(p, 2, 0, "m", nil) }, "m"},
		"a child that is none":          {func(b *pageMaker) { p := b.put(2, pageBranch); b.node(p, 99, 0, "", nil); b.node(p, 99, 0, "m", nil) }, "m"},
		"a first child behind the page": {func(b *pageMaker) { order.PutUint16(b.page(2)[pageHeader:], pageOctets-2) }, "a"},
		"a child behind the page":       {func(b *pageMaker) { order.PutUint16(b.page(2)[pageHeader+2:], pageOctets-2) }, "m"},
	} {
		b, m := soundMap()
		c.break_(b)
		view := newMapping(b.mem, pageOctets)
		if val, found, intact := view.get(m.main.root, []byte(c.key)); found || intact || val != nil {
			t.Errorf("%s: found %v, intact %v", name, found, intact)
		}
		var cur cursor
		cur.reset(view)
		if cur.ceil(m.main.root, []byte(c.key)) {
			if _, _, ok := cur.entry(); ok {
				t.Errorf("%s: a cursor finds it", name)
			}
		}
		if !cur.damaged {
			t.Errorf("%s: a cursor takes no notice", name)
		}
	}
}

// Whoever walks over a damaged page, in either direction, stops there and says so.
func TestWalkingOntoADamagedPage(t *testing.T) {
	b, m := soundMap()
	order.PutUint64(b.page(4), 5)
	var c cursor
	c.reset(newMapping(b.mem, pageOctets))
	if !c.ceil(m.main.root, []byte("b")) || c.step(1) || !c.damaged {
		t.Errorf("forward: damaged %v", c.damaged)
	}
	if _, _, ok := c.entry(); ok {
		t.Error("an entry behind the damage")
	}
	b, m = soundMap()
	order.PutUint64(b.page(3), 5)
	c.reset(newMapping(b.mem, pageOctets))
	if !c.floor(m.main.root, []byte("z")) || c.damaged || c.step(-1) || !c.damaged {
		t.Errorf("back: damaged %v", c.damaged)
	}
	b, m = soundMap()
	order.PutUint32(b.page(5)[12:], 0)
	c.reset(newMapping(b.mem, pageOctets))
	if on := c.ceil(m.main.root, []byte("b")); !on || c.damaged {
		t.Error("what damage there is shows where the value is looked at")
	}
	if key, val, ok := c.entry(); ok || key != nil || val != nil || !c.damaged {
		t.Errorf("%q, %q, %v, damaged %v", key, val, ok, c.damaged)
	}
	if c.reset(c.m); c.damaged || c.depth != 0 {
		t.Error("the damage of another walk")
	}
}

// What stands at the very edge of a page, or of the map, is inside it.
func TestWhatStandsAtTheEdge(t *testing.T) {
	b := &pageMaker{make([]byte, 5*pageOctets)}
	p := b.put(2, pageLeaf)
	for at, want := range map[int]bool{pageHeader - 1: false, pageHeader: true, pageOctets - nodeHeader: true, pageOctets - nodeHeader + 1: false} {
		order.PutUint16(p[pageHeader:], uint16(at))
		if _, _, ok := node(p, 0); ok != want {
			t.Errorf("a node at octet %d: %v", at, ok)
		}
	}
	p = b.put(2, pageLeaf)
	b.node(p, 3, 0, "key", []byte("val"))
	nd, key, ok := node(p, 0)
	if val, has := newMapping(b.mem, pageOctets).value(nd, len(key)); !ok || string(key) != "key" || !has || string(val) != "val" || cap(val) != 3 {
		t.Errorf("%q, %q, %v, %v", key, val, ok, has)
	}
	order.PutUint16(nd[6:], uint16(len(nd)-nodeHeader))
	if _, key, ok := node(p, 0); !ok || len(key) != len(nd)-nodeHeader {
		t.Errorf("a key to the end of the page: %d octets, %v", len(key), ok)
	}
	order.PutUint16(nd[6:], uint16(len(nd)-nodeHeader+1))
	if _, _, ok := node(p, 0); ok {
		t.Error("a key over the end of the page")
	}
	p = b.put(3, pageOverflow) // the last two pages
	order.PutUint32(p[12:], 2)
	m := newMapping(b.mem, pageOctets)
	most := 2*pageOctets - pageHeader
	if val, ok := m.overflow(3, most); !ok || len(val) != most || cap(val) != most {
		t.Errorf("a value to the end of its pages: %d octets, %v", len(val), ok)
	}
	if _, ok := m.overflow(3, most+1); ok {
		t.Error("a value over the end of its pages")
	}
	order.PutUint32(p[12:], 3)
	if _, ok := m.overflow(3, 1); ok {
		t.Error("pages behind the end of the map")
	}
	for _, c := range []struct {
		flags        uint16
		lower, upper int
		want         int
	}{
		{pageLeaf, pageHeader + 2, pageOctets, 1}, {pageBranch, pageHeader + 2, pageHeader + 2, 1}, {0, pageHeader + 2, pageOctets, -1},
		{pageLeaf | pageBranch, pageHeader + 2, pageOctets, -1}, {pageOverflow, pageHeader + 2, pageOctets, -1}, {pageMeta, pageHeader + 2, pageOctets, -1},
		{pageLeaf, pageHeader + 2, pageHeader, -1}, {pageLeaf, pageHeader + 2, pageOctets + 1, -1}, {pageLeaf, pageHeader - 1, pageOctets, -1},
	} {
		order.PutUint16(p[10:], c.flags)
		order.PutUint16(p[12:], uint16(c.lower))
		order.PutUint16(p[14:], uint16(c.upper))
		if got := nodes(p); got != c.want {
			t.Errorf("%+v: %d nodes", c, got)
		}
	}
	for lower, want := range map[int]int{pageHeader - 2: -1, pageHeader: 0, pageHeader + 6: 3, pageOctets: (pageOctets - pageHeader) / 2} {
		order.PutUint16(p[10:], pageBranch|0x10) // a flag of LMDB's in memory
		order.PutUint16(p[12:], uint16(lower))
		order.PutUint16(p[14:], pageOctets)
		if nodes(p) != want {
			t.Errorf("%d nodes in a page with pointers up to octet %d, want %d", nodes(p), lower, want)
		}
	}
}

// A walk that takes too long stops, and finds the rest good.
func TestAVerificationHasItsTime(t *testing.T) {
	b, m := soundMap()
	m.main.entries++
	if err := verify(newMapping(b.mem, pageOctets), m, -time.Second); err != nil {
		t.Errorf("without time: %v", err)
	}
}

// No key that may be stored lies between another and what is just below it.
func TestWhatIsJustBelowAKey(t *testing.T) {
	for key, greatest := range map[string]string{
		"a\x00": "a", "b": "a" + strings.Repeat("\xff", maxKey-1), "ab\x01": "ab\x00" + strings.Repeat("\xff", maxKey-3),
	} {
		got := justBelow([]byte(key))
		if bytes.Compare(got, []byte(greatest)) < 0 || bytes.Compare(got, []byte(key)) >= 0 {
			t.Errorf("%q: %d octets %.9q, want not below %.9q", key, len(got), got, greatest)
		}
	}
	if got := justBelow(nil); got != nil {
		t.Errorf("%q is below the empty key", got)
	}
}
