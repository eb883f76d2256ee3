package selection

import (
	"net/netip"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
)

// Tried is what one query did with the servers of its present zone cut. The
// zero value has tried nothing.
type Tried struct {
	hosts []attempt
	ns    []row
	// resorted tells that TCP was tried where UDP brought nothing.
	resorted bool
}

type attempt struct {
	addr     netip.AddrPort
	timeouts int
	rejected bool
	busy     bool
}

// row counts the failures in a row of one name server, whatever its addresses.
type row struct {
	name     dnsname.Name
	failures int
}

// TimedOut notes a timeout of an address of name server ns.
func (t *Tried) TimedOut(ns dnsname.Name, addr netip.AddrPort) {
	t.host(addr).timeouts++
	t.server(ns).failures++
}

// Answered notes that addr of name server ns answers after all: what it is asked
// next may take as many tries as the first question.
func (t *Tried) Answered(ns dnsname.Name, addr netip.AddrPort) {
	for i := range t.hosts {
		if t.hosts[i].addr == addr {
			t.hosts[i].timeouts = 0
			t.server(ns).failures = 0
		}
	}
}

// Resorted notes that TCP was tried because UDP brought nothing.
func (t *Tried) Resorted() { t.resorted = true }

// Busy notes that too many questions wait for addr.
func (t *Tried) Busy(addr netip.AddrPort) { t.host(addr).busy = true }

// Pardon lets those be asked again that were merely busy, and tells whether there
// are any.
func (t *Tried) Pardon() (any bool) {
	for i := range t.hosts {
		any = any || t.hosts[i].busy
		t.hosts[i].busy = false
	}
	return any
}

// Reject notes that addr is of no use to the query.
func (t *Tried) Reject(ns dnsname.Name, addr netip.AddrPort) {
	t.host(addr).rejected = true
	t.server(ns).failures++
}

func (t *Tried) host(addr netip.AddrPort) *attempt {
	for i := range t.hosts {
		if t.hosts[i].addr == addr {
			return &t.hosts[i]
		}
	}
	t.hosts = append(t.hosts, attempt{addr: addr})
	return &t.hosts[len(t.hosts)-1]
}

func (t *Tried) server(ns dnsname.Name) *row {
	for i := range t.ns {
		if t.ns[i].name == ns {
			return &t.ns[i]
		}
	}
	t.ns = append(t.ns, row{name: ns})
	return &t.ns[len(t.ns)-1]
}

// timeouts of addr so far; ok is false when it must not be asked again.
func (t *Tried) timeouts(addr netip.AddrPort) (n int, ok bool) {
	for i := range t.hosts {
		if h := &t.hosts[i]; h.addr == addr {
			return h.timeouts, !h.rejected && !h.busy && h.timeouts <= limits.RetriesPerServer
		}
	}
	return 0, true
}

// worn tells whether ns failed so often that another name server's turn has
// come.
func (t *Tried) worn(ns dnsname.Name) bool {
	for i := range t.ns {
		if t.ns[i].name == ns {
			return t.ns[i].failures >= limits.FailuresInRow
		}
	}
	return false
}

// Any tells whether anything was tried.
func (t *Tried) Any() bool { return len(t.hosts) > 0 }

// Reset forgets all, but keeps the memory for it.
func (t *Tried) Reset() { t.hosts, t.ns, t.resorted = t.hosts[:0], t.ns[:0], false }
