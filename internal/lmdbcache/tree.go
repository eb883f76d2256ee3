package lmdbcache

import "bytes"

// page returns page n, or nil when it is not inside the mapping or says that it
// is another page.
func (m *mapping) page(n uint64) []byte {
	if n < firstData || n >= m.pages {
		return nil
	}
	p := m.mem[n*m.psize : (n+1)*m.psize : (n+1)*m.psize]
	if u64(p) != n {
		return nil
	}
	return p
}

// nodes is the number of nodes of a branch or leaf page, or -1 when the page is
// neither.
func nodes(p []byte) int {
	lower, upper := int(u16(p[12:])), int(u16(p[14:]))
	if fl := u16(p[10:]) &^ pageTransient; fl != pageLeaf && fl != pageBranch || lower < pageHeader || lower > upper || upper > len(p) {
		return -1
	}
	return (lower - pageHeader) / 2
}

func isLeaf(p []byte) bool { return u16(p[10:])&pageLeaf != 0 }

// node returns the bytes from node i on and its key; ok is false when they are
// not inside the page.
func node(p []byte, i int) (nd, key []byte, ok bool) {
	at := int(u16(p[pageHeader+2*i:]))
	if at < pageHeader || at+nodeHeader > len(p) {
		return nil, nil, false
	}
	nd = p[at:]
	ks := int(u16(nd[6:]))
	if ks > len(nd)-nodeHeader {
		return nil, nil, false
	}
	return nd, nd[nodeHeader : nodeHeader+ks], true
}

// child is the page that a branch page's node points to.
func child(nd []byte) uint64 {
	return uint64(u32(nd)) | uint64(u16(nd[4:]))<<32
}

// value returns the value of a leaf's node whose key has ks bytes, from the page
// itself or from its run of overflow pages.
func (m *mapping) value(nd []byte, ks int) ([]byte, bool) {
	size := int(u32(nd))
	at := nodeHeader + ks
	switch u16(nd[4:]) {
	case 0:
		if size > len(nd)-at {
			return nil, false
		}
		return nd[at : at+size : at+size], true
	case nodeBigData:
		if len(nd)-at < 8 {
			return nil, false
		}
		return m.overflow(u64(nd[at:]), size)
	}
	return nil, false // a sub-database or duplicates: not ours
}

func (m *mapping) overflow(n uint64, size int) ([]byte, bool) {
	p := m.page(n)
	if p == nil || u16(p[10:])&pageOverflow == 0 {
		return nil, false
	}
	run := uint64(u32(p[12:]))
	if run == 0 || run > m.pages-n || uint64(size)+pageHeader > run*m.psize {
		return nil, false
	}
	from := n*m.psize + pageHeader
	return m.mem[from : from+uint64(size) : from+uint64(size)], true
}

// seekPage finds, among the n nodes of p, the first whose key is not below key.
// In a branch page node 0 has no key: it stands below everything.
func seekPage(p []byte, n int, key []byte, leaf bool) (at int, exact, ok bool) {
	lo, hi := 0, n
	if !leaf {
		lo = 1
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		_, k, ok := node(p, mid)
		if !ok {
			return 0, false, false
		}
		switch c := bytes.Compare(k, key); {
		case c == 0:
			return mid, true, true
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false, true
}

// get finds key in the tree under root. intact is false when the way there was
// damaged.
func (m *mapping) get(root uint64, key []byte) (val []byte, found, intact bool) {
	if root == noPage {
		return nil, false, true
	}
	for range maxDepth {
		p := m.page(root)
		if p == nil {
			return nil, false, false
		}
		n := nodes(p)
		leaf := isLeaf(p)
		if n < 1 {
			return nil, false, false
		}
		i, exact, ok := seekPage(p, n, key, leaf)
		if !ok {
			return nil, false, false
		}
		if leaf {
			if !exact {
				return nil, false, true
			}
			nd, k, _ := node(p, i)
			val, ok = m.value(nd, len(k))
			return val, ok, ok
		}
		if !exact {
			i--
		}
		nd, _, ok := node(p, i)
		if !ok {
			return nil, false, false
		}
		root = child(nd)
	}
	return nil, false, false
}

// A cursor walks the entries of a tree in key order. It holds no memory of its
// own, so that it can live inside a Reader.
type cursor struct {
	m       *mapping
	depth   int // levels in use; 0: not on an entry
	damaged bool
	level   [maxDepth]struct {
		page []byte
		i, n int
	}
}

// reset takes the cursor off the tree and aims it at mapping m.
func (c *cursor) reset(m *mapping) { c.m, c.depth, c.damaged = m, 0, false }

// fail leaves the cursor on no entry because a page is damaged.
func (c *cursor) fail() bool {
	c.depth, c.damaged = 0, true
	return false
}

// push goes down to page n.
func (c *cursor) push(n uint64) bool {
	p := c.m.page(n)
	if p == nil || c.depth == maxDepth {
		return c.fail()
	}
	count := nodes(p)
	if count < 1 {
		return c.fail()
	}
	l := &c.level[c.depth]
	l.page, l.i, l.n = p, 0, count
	c.depth++
	return true
}

// descend goes down from the current node to a leaf, to its first entry or to
// its last.
func (c *cursor) descend(last bool) bool {
	for {
		l := &c.level[c.depth-1]
		if isLeaf(l.page) {
			return true
		}
		nd, _, ok := node(l.page, l.i)
		if !ok || !c.push(child(nd)) {
			return c.fail()
		}
		if t := &c.level[c.depth-1]; last {
			t.i = t.n - 1
		}
	}
}

// lookup descends to the leaf where key belongs and returns its place there:
// that of key itself (exact) or of the first greater key, which may be one past
// the leaf's last.
func (c *cursor) lookup(root uint64, key []byte) (at int, exact, ok bool) {
	c.depth, c.damaged = 0, false
	if root == noPage {
		return 0, false, false
	}
	for c.push(root) {
		l := &c.level[c.depth-1]
		leaf := isLeaf(l.page)
		i, exact, ok := seekPage(l.page, l.n, key, leaf)
		if !ok {
			break
		}
		if leaf {
			return i, exact, true
		}
		if !exact {
			i--
		}
		l.i = i
		nd, _, ok := node(l.page, i)
		if !ok {
			break
		}
		root = child(nd)
	}
	return 0, false, c.fail()
}

// ceil goes to the first entry whose key is not below key.
func (c *cursor) ceil(root uint64, key []byte) bool {
	at, _, ok := c.lookup(root, key)
	if !ok {
		return false
	}
	l := &c.level[c.depth-1]
	if l.i = at; at < l.n {
		return true
	}
	l.i = l.n - 1
	return c.step(1)
}

// floor goes to the last entry whose key is not above key.
func (c *cursor) floor(root uint64, key []byte) bool {
	at, exact, ok := c.lookup(root, key)
	if !ok {
		return false
	}
	l := &c.level[c.depth-1]
	if l.i = at; exact {
		return true
	}
	if l.i = at - 1; l.i >= 0 {
		return true
	}
	l.i = 0
	return c.step(-1)
}

// step moves by one entry, forward (+1) or back (-1). At either end it returns
// false.
func (c *cursor) step(by int) bool {
	for d := c.depth - 1; d >= 0; d-- {
		l := &c.level[d]
		if i := l.i + by; i >= 0 && i < l.n {
			l.i = i
			c.depth = d + 1
			return c.descend(by < 0)
		}
	}
	return false
}

// entry returns the entry that the cursor stands on.
func (c *cursor) entry() (key, val []byte, ok bool) {
	if c.depth == 0 {
		return nil, nil, false
	}
	l := &c.level[c.depth-1]
	nd, key, ok := node(l.page, l.i)
	if ok {
		val, ok = c.m.value(nd, len(key))
	}
	if !ok {
		c.damaged = true
		return nil, nil, false
	}
	return key[:len(key):len(key)], val, true
}
