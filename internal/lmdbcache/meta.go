package lmdbcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"unsafe"

	"kresd/internal/wording"
)

// The layout of LMDB's data file, format 1 as written by LMDB 0.9 on machines
// with 64-bit words: two meta pages, each the root of one snapshot, then pages
// of trees. Words are in the machine's own order; a file from a machine with
// another order or word size fails the checks of parseMeta.
const (
	metaMagic    = 0xBEEFC0DE
	metaVersion  = 1
	pageHeader   = 16
	metaSize     = 136
	minPageSize  = 512
	maxPageSize  = 32768
	noPage       = ^uint64(0)
	firstData    = 2 // pages 0 and 1 are the metas
	pageBranch   = 0x01
	pageLeaf     = 0x02
	pageOverflow = 0x04
	pageMeta     = 0x08
	// pageTransient are flags that LMDB needs in memory only.
	pageTransient = 0x8010
	nodeHeader    = 8
	nodeBigData   = 0x01
	maxDepth      = 32 // LMDB's own cursors go no deeper
	maxKey        = 511
)

// errDamaged is wrapped by every finding about a data file that LMDB should
// not be let near.
var errDamaged = errors.New("damaged data file")

// errCutOff says that a file is shorter than the map of it.
var errCutOff = fmt.Errorf("%w: it was cut off", errDamaged)

// A treeInfo describes one B+tree of a snapshot.
type treeInfo struct {
	flags, depth           uint16
	branch, leaf, overflow uint64 // pages
	entries                uint64
	root                   uint64 // noPage: empty
}

// A meta is the content of one meta page: a snapshot.
type meta struct {
	pageSize uint32
	mapSize  uint64
	free     treeInfo // pages that no snapshot but older ones use, by transaction
	main     treeInfo
	lastPage uint64
	txn      uint64
}

func u16(b []byte) uint16 { return binary.NativeEndian.Uint16(b) }
func u32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }
func u64(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

func parseTree(b []byte) treeInfo {
	return treeInfo{
		flags: u16(b[4:]), depth: u16(b[6:]),
		branch: u64(b[8:]), leaf: u64(b[16:]), overflow: u64(b[24:]),
		entries: u64(b[32:]), root: u64(b[40:]),
	}
}

// parseMeta decodes the meta page at the start of b and checks what can be
// checked about it alone.
func parseMeta(b []byte) (meta, error) {
	var m meta
	if len(b) < pageHeader+metaSize {
		return m, fmt.Errorf("%w: meta page cut off", errDamaged)
	}
	if u16(b[10:])&pageMeta == 0 {
		return m, fmt.Errorf("%w: no meta page", errDamaged)
	}
	b = b[pageHeader:]
	if u32(b) != metaMagic || u32(b[4:]) != metaVersion {
		return m, fmt.Errorf("%w: not LMDB format %d", errDamaged, metaVersion)
	}
	m = meta{
		pageSize: u32(b[24:]), mapSize: u64(b[16:]),
		free: parseTree(b[24:]), main: parseTree(b[72:]),
		lastPage: u64(b[120:]), txn: u64(b[128:]),
	}
	if m.pageSize < minPageSize || m.pageSize > maxPageSize || m.pageSize&(m.pageSize-1) != 0 {
		return m, fmt.Errorf("%w: page size %d", errDamaged, m.pageSize)
	}
	if m.lastPage < firstData-1 || m.lastPage > 1<<47/uint64(m.pageSize) {
		return m, fmt.Errorf("%w: last page %d", errDamaged, m.lastPage)
	}
	return m, nil
}

// newestMeta checks both meta pages of a file of the given size and returns the
// snapshot that a transaction started now would see.
func newestMeta(readAt func(b []byte, off int64) error, size int64) (meta, error) {
	var buf [pageHeader + metaSize]byte
	if err := readAt(buf[:], 0); err != nil {
		return meta{}, fmt.Errorf("%w: %v", errDamaged, wording.Reason(err))
	}
	m0, err := parseMeta(buf[:])
	if err != nil {
		return meta{}, err
	}
	if err := readAt(buf[:], int64(m0.pageSize)); err != nil {
		return meta{}, fmt.Errorf("%w: %v", errDamaged, wording.Reason(err))
	}
	m1, err := parseMeta(buf[:])
	if err != nil {
		return meta{}, err
	}
	m, err := newerOf(m0, m1)
	if err == nil && int64(m.lastPage+1)*int64(m.pageSize) > size {
		err = fmt.Errorf("%w: %d bytes are missing at its end", errDamaged, int64(m.lastPage+1)*int64(m.pageSize)-size)
	}
	return m, err
}

// newerOf picks the newer of the two snapshots. Transaction n writes meta page
// n modulo 2 and follows n-1; LMDB relies on that when it picks the page by the
// number, so anything else is damage.
func newerOf(m0, m1 meta) (meta, error) {
	if m0.pageSize != m1.pageSize {
		return m0, fmt.Errorf("%w: page sizes %d and %d", errDamaged, m0.pageSize, m1.pageSize)
	}
	switch {
	case m0.txn == 0 && m1.txn == 0:
		return m0, nil
	case m0.txn == m1.txn+1 && m0.txn&1 == 0:
		return m0, nil
	case m1.txn == m0.txn+1 && m1.txn&1 == 1:
		return m1, nil
	}
	return m0, fmt.Errorf("%w: snapshots %d and %d", errDamaged, m0.txn, m1.txn)
}

// A mapping is a read-only view of a data file, as long as the map may become.
// It reaches over the file's end when the file was cut off behind our back;
// touching that part is a fault (see Reader.Get).
type mapping struct {
	mem   []byte
	psize uint64
	pages uint64
}

func newMapping(mem []byte, pageSize uint32) *mapping {
	return &mapping{mem: mem, psize: uint64(pageSize), pages: uint64(len(mem)) / uint64(pageSize)}
}

// metaWord is a word of meta page i. It is read atomically since another process
// may be writing it, and in the order of the program.
func (m *mapping) metaWord(i, at uint64) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&m.mem[i*m.psize+pageHeader+at])))
}

// txnAt is the transaction number in meta page i.
func (m *mapping) txnAt(i uint64) uint64 { return m.metaWord(i, 128) }

// newestTxn is the number of the latest transaction.
func (m *mapping) newestTxn() uint64 { return max(m.txnAt(0), m.txnAt(1)) }

// A snapshot is the part of a meta page that reading needs.
type snapshot struct {
	txn     uint64
	mapSize uint64
	root    uint64
	entries uint64
	last    uint64 // the last page in use
	free    uint64 // root of the tree of free pages
}

// newest returns the newest snapshot. ok is false when the page that tells of it is
// written again and again.
func (m *mapping) newest() (s snapshot, ok bool) {
	for range 4 {
		i := uint64(0)
		if m.txnAt(1) > m.txnAt(0) {
			i = 1
		}
		s = snapshot{
			txn: m.txnAt(i), mapSize: m.metaWord(i, 16), free: m.metaWord(i, 64),
			entries: m.metaWord(i, 104), root: m.metaWord(i, 112), last: m.metaWord(i, 120),
		}
		if m.txnAt(i) == s.txn && !m.overtaken(&s) {
			return s, true
		}
	}
	return s, false
}

// overtaken tells whether pages of a snapshot may hold something else by now. In
// transaction n LMDB uses pages again that transaction n-2 or an earlier one has
// freed, and it writes them after n-1 was committed. So the pages of a snapshot
// stand until the second transaction after it is committed.
func (m *mapping) overtaken(s *snapshot) bool { return m.newestTxn() > s.txn+1 }

// covers tells whether all pages of a snapshot lie inside the mapping. They do
// not when another process has enlarged the map.
func (m *mapping) covers(s *snapshot) bool { return s.last < m.pages }

// holds tells whether an address lies inside the mapping.
func (m *mapping) holds(addr uintptr) bool {
	base := uintptr(unsafe.Pointer(unsafe.SliceData(m.mem)))
	return addr >= base && addr < base+uintptr(len(m.mem))
}

// wordsAre64 is false where the layout above does not hold.
const wordsAre64 = strconv.IntSize == 64
