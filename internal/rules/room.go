package rules

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// roomFor is the room of a listing: octets of entries, and slots with their tags, all
// zero. A large one is the system's memory and not the heap's: the garbage collector lets
// the heap grow to twice of what is in use. It is given back when the listing is not
// reached any more, so that whatever looks into it keeps the listing alive.
func roomFor(l *Listing, octets, slots int) ([]byte, []uint32, []byte) {
	size := 5*slots + octets
	if size < limits.ListOnHeap {
		return make([]byte, octets), make([]uint32, slots), make([]byte, slots)
	}
	all, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil { // too many mappings, or a bound on them
		return make([]byte, octets), make([]uint32, slots), make([]byte, slots)
	}
	runtime.AddCleanup(l, func(all []byte) { _ = unix.Munmap(all) }, all)
	first := unsafe.Slice((*uint32)(unsafe.Pointer(&all[0])), slots) // a mapping begins at a page
	return all[5*slots:], first, all[4*slots : 5*slots]
}
