package servertable

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"kresd/internal/clock"
	"kresd/internal/limits"
)

// ways is how many places a server may have; they lie beside each other.
const ways = 8

// A Table is one mapping of the file. It is safe for concurrent use.
type Table struct {
	clock  *clock.Clock
	memory []byte
	seed   [2]uint64
	epoch  *atomic.Uint64
	slots  *[limits.ServersKept]slot
	leases *[limits.Leases]atomic.Uint64

	warn  func(string)
	alone sync.Once
}

// Open maps the table in dir and makes it if need be. warn gets a line when a
// file was there and could not be used; it may be nil. The error says why there
// is no table: the caller does without.
func Open(dir string, ck *clock.Clock, warn func(string)) (*Table, error) {
	if warn == nil {
		warn = func(string) {}
	}
	boot, err := bootID()
	if err != nil {
		return nil, fmt.Errorf("which start of the machine this is: %w", err)
	}
	f, h, err := openFile(dir, boot, warn)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Name, err)
	}
	defer f.Close()
	return mapped(f, &h, ck, warn)
}

func mapped(f *os.File, h *header, ck *clock.Clock, warn func(string)) (*Table, error) {
	memory, err := unix.Mmap(int(f.Fd()), 0, fileSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Name, err)
	}
	_ = unix.Madvise(memory, unix.MADV_DONTFORK) // children have no use for it
	base := unsafe.Pointer(&memory[0])
	return &Table{
		clock: ck, memory: memory, seed: h.Seed, warn: warn,
		epoch:  (*atomic.Uint64)(unsafe.Add(base, epochAt*8)),
		slots:  (*[limits.ServersKept]slot)(unsafe.Add(base, pageSize)),
		leases: (*[limits.Leases]atomic.Uint64)(unsafe.Add(base, fileSize-leaseBytes)),
	}, nil
}

// Close unmaps the table. Nobody may use it any more.
func (t *Table) Close() error { return unix.Munmap(t.memory) }

// Load is what is kept for the server of key.
func (t *Table) Load(key Key) (r Record, ok bool) {
	defer t.faulted(debug.SetPanicOnFault(true))
	k := wordsOf(key)
	epoch := t.epoch.Load()
	set := t.set(k)
	for i := range set {
		if unused(set[i][0].Load()) {
			break // and so is each behind it (choose)
		}
		if !set[i].has(k) {
			continue
		}
		if im, ok := set[i].settled(k, epoch); ok {
			return im.record(), true
		}
	}
	return r, false
}

// settled is read, again and again while somebody writes.
func (s *slot) settled(k keyWords, epoch uint64) (im image, ok bool) {
	for range limits.ServersTries {
		im, ok = s.read(epoch)
		if ok || !taken(s[0].Load()) {
			break
		}
	}
	return im, ok && keyWords(im[:3]) == k
}

// Update changes what is kept for the server of key; change gets a zero Record where nothing
// is and returns what to keep. It is called again when somebody else was faster,
// and must not use the table. Update gives up, and is false, when the others are too many.
func (t *Table) Update(key Key, change func(Record) Record) (stored bool) {
	defer t.faulted(debug.SetPanicOnFault(true))
	k := wordsOf(key)
	set := t.set(k)
	for range limits.ServersTries {
		epoch := t.epoch.Load()
		s, before := choose(set, k, epoch)
		now := t.clock.Boot()
		if taken(before) && since(before, now) < limits.ServersStuck {
			runtime.Gosched() // to whoever has the turn
			continue
		}
		var r Record
		if im, ok := s.read(epoch); ok && keyWords(im[:3]) == k {
			r = im.record()
		}
		im := imageOf(k, change(r))
		if s.write(before, now, &im, epoch) {
			return true
		}
	}
	return false
}

// choose finds the place of k, or the one that it may take: the first where nothing is,
// else that of the record with the least priority. So the places of a set are used from the
// first on, and most sets have few in use: a server that is new costs no look at the rest.
// before is the place's first word from before it was looked at, so that a write can tell
// whether this still holds.
func choose(set *[ways]slot, k keyWords, epoch uint64) (best *slot, before uint64) {
	least := ^uint64(0)
	for i := range set {
		s := &set[i]
		word := s[0].Load()
		switch {
		case s.has(k):
			return s, word
		case unused(word) && least > 0:
			return s, word
		case unused(word):
			return best, before
		case least == 0:
			continue
		}
		priority := uint64(0)
		if im, ok := s.read(epoch); ok {
			priority = max(im[3], 1) // an empty place comes first
		}
		if best == nil || priority < least {
			best, before, least = s, word, priority
		}
	}
	return best, before
}

// Clear forgets everything, in all processes.
func (t *Table) Clear() {
	defer t.faulted(debug.SetPanicOnFault(true))
	t.epoch.Add(1)
}

// Each shows all records, in no order, until fn is false.
func (t *Table) Each(fn func(Key, Record) bool) {
	defer t.faulted(debug.SetPanicOnFault(true))
	epoch := t.epoch.Load()
	for i := range t.slots {
		im, ok := t.slots[i].read(epoch)
		if ok && !fn(keyOf(keyWords(im[:3])), im.record()) {
			return
		}
	}
}

// set are the places that k may have. The hash is seeded by a secret of the file,
// because the addresses come from strangers.
func (t *Table) set(k keyWords) *[ways]slot {
	h := mix(mix(mix(t.seed[0], k[0]), k[1]), k[2]^t.seed[1])
	h = mix(h, t.seed[1])
	first := h % (limits.ServersKept / ways) * ways
	return (*[ways]slot)(t.slots[first:])
}
