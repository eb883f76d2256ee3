package servertable

import (
	"fmt"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

// faulted is deferred by every function that touches the mapping; before is what
// debug.SetPanicOnFault was. When somebody cuts the file off, touching the memory
// behind its end is a fault, which would end the process. A table that may forget is
// not worth that: the call finds nothing, and later calls use memory of this process
// alone.
func (t *Table) faulted(before bool) {
	debug.SetPanicOnFault(before)
	v := recover()
	if v == nil {
		return
	}
	fault, ok := v.(interface{ Addr() uintptr })
	if !ok || !t.contains(fault.Addr()) {
		panic(v)
	}
	t.alone.Do(t.privatize)
}

func (t *Table) contains(addr uintptr) bool {
	first := uintptr(unsafe.Pointer(&t.memory[0]))
	return addr-first < uintptr(len(t.memory)) // what is below the first wraps round
}

// privatize puts empty memory in the place of the mapping. A call that is under way on
// another goroutine reads the one or the other.
func (t *Table) privatize() {
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(&t.memory[0]), uintptr(len(t.memory)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED)
	if err != nil {
		t.warn(fmt.Sprintf("%s was cut off, and there is no memory instead: %v", Name, err))
		return
	}
	t.warn(Name + " was cut off: what is known about servers is not shared with other workers any more")
}
