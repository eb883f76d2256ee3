package lmdbcache

import (
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
	"time"
)

// verifyFile walks the trees of snapshot m in f and fails when LMDB could trip
// over them: it asserts, or reads where it should not, when a page is not what
// the tree says. Nobody may be writing to the file. After the given time it
// stops and finds the rest good.
func verifyFile(f *os.File, size int64, m meta, within time.Duration) (err error) {
	mem, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	defer syscall.Munmap(mem)
	return verify(newMapping(mem, m.pageSize), m, within)
}

// verify does that in a mapping.
func verify(view *mapping, m meta, within time.Duration) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", errDamaged, v)
		}
	}()
	v := &verifier{m: view, end: time.Now().Add(within), last: m.lastPage, used: make([]uint64, m.lastPage/64+1)}
	if m.main.flags != 0 {
		return fmt.Errorf("%w: entries of another kind (flags %#x)", errDamaged, m.main.flags)
	}
	for _, t := range []treeInfo{m.free, m.main} {
		if err := v.tree(t, t == m.free); err != nil {
			return err
		}
		if v.late {
			return nil
		}
	}
	return nil
}

// A verifier walks trees and notes which pages it has met.
type verifier struct {
	m    *mapping
	last uint64
	used []uint64 // one bit a page
	end  time.Time
	late bool
	got  treeInfo // counted so far
}

// claim notes that pages n to n+run-1 are in use, and fails when one was before.
func (v *verifier) claim(n, run uint64) error {
	if n < firstData || run > v.last || n > v.last+1-run {
		return fmt.Errorf("%w: page %d is outside of the file", errDamaged, n)
	}
	for ; run > 0; run-- {
		if v.used[n/64]&(1<<(n%64)) != 0 {
			return fmt.Errorf("%w: page %d is used twice", errDamaged, n)
		}
		v.used[n/64] |= 1 << (n % 64)
		n++
	}
	return nil
}

func (v *verifier) tree(t treeInfo, free bool) error {
	v.got = treeInfo{flags: t.flags, depth: t.depth, root: t.root}
	if t.root == noPage {
		if t.entries != 0 || t.depth != 0 {
			return fmt.Errorf("%w: tree without root", errDamaged)
		}
		return nil
	}
	if t.depth == 0 || t.depth > maxDepth {
		return fmt.Errorf("%w: tree of depth %d", errDamaged, t.depth)
	}
	if err := v.subtree(t.root, int(t.depth), free); err != nil || v.late {
		return err
	}
	if v.got != t {
		return fmt.Errorf("%w: tree holds other pages or entries than it says", errDamaged)
	}
	return nil
}

// subtree walks the pages under n; a leaf stands at level 1. The depth is at most
// maxDepth, so the recursion is bounded.
func (v *verifier) subtree(n uint64, level int, free bool) error {
	if v.late = v.late || v.got.leaf&63 == 0 && time.Now().After(v.end); v.late {
		return nil
	}
	if err := v.claim(n, 1); err != nil {
		return err
	}
	p := v.m.page(n)
	if p == nil {
		return fmt.Errorf("%w: page %d is another page", errDamaged, n)
	}
	count := nodes(p)
	leaf := isLeaf(p)
	if count < 1 || leaf != (level == 1) || !leaf && !free && count < 2 {
		return fmt.Errorf("%w: page %d does not fit its place", errDamaged, n)
	}
	if leaf {
		v.got.leaf++
		v.got.entries += uint64(count)
	} else {
		v.got.branch++
	}
	return v.nodesOf(p, count, level, free)
}

// nodesOf checks the nodes of a page: inside it, in order, and their children.
func (v *verifier) nodesOf(p []byte, count, level int, free bool) error {
	upper := int(u16(p[14:]))
	var before []byte
	for i := range count {
		nd, key, ok := node(p, i)
		if !ok || len(p)-len(nd) < upper || len(key) > maxKey {
			return badNode(p)
		}
		if key0 := level > 1 && i == 0; !key0 {
			if len(key) == 0 || before != nil && !ordered(before, key, free) {
				return badNode(p)
			}
			before = key
		}
		var err error
		if level > 1 {
			err = v.subtree(child(nd), level-1, free)
		} else {
			err = v.leafNode(nd, key, free)
		}
		if err != nil || v.late {
			return err
		}
	}
	return nil
}

func badNode(p []byte) error {
	return fmt.Errorf("%w: page %d holds a bad node", errDamaged, u64(p))
}

// leafNode checks the value of an entry.
func (v *verifier) leafNode(nd, key []byte, free bool) error {
	val, ok := v.m.value(nd, len(key))
	if !ok {
		return fmt.Errorf("%w: an entry without its value", errDamaged)
	}
	if u16(nd[4:]) == nodeBigData {
		n := u64(nd[nodeHeader+len(key):])
		run := uint64(u32(v.m.page(n)[12:]))
		v.got.overflow += run
		if err := v.claim(n, run); err != nil {
			return err
		}
	}
	if free {
		return v.freeList(val)
	}
	return nil
}

// freeList checks a record of free pages: their number, then the pages in falling
// order, none of which may be in use.
func (v *verifier) freeList(val []byte) error {
	if len(val) < 8 || u64(val) > uint64(len(val)/8-1) {
		return fmt.Errorf("%w: a list of free pages is cut off", errDamaged)
	}
	above := noPage
	for i := uint64(1); i <= u64(val); i++ {
		n := u64(val[8*i:])
		if n >= above {
			return fmt.Errorf("%w: a list of free pages is out of order", errDamaged)
		}
		if err := v.claim(n, 1); err != nil {
			return err
		}
		above = n
	}
	return nil
}

// ordered compares keys as LMDB does: bytes, or for the tree of free pages
// transaction numbers.
func ordered(a, b []byte, free bool) bool {
	if free {
		return len(a) == 8 && len(b) == 8 && u64(a) < u64(b)
	}
	return string(a) < string(b)
}
