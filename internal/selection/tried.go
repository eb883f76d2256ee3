package selection

import (
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// Tried is what one query did with the servers of its present zone cut. The
// zero value has tried nothing.
type Tried struct {
	hosts []triedServer
	ns    []triedName
	// resorted tells that TCP was tried where UDP brought nothing; probed that a server
	// was asked that is believed dead.
	resorted, probed bool
}

type triedServer struct {
	server   zonecut.Endpoint
	timeouts int
	rejected bool
	busy     bool
	overdue  bool // its answer by TCP is waited for
	nonsense bool // it has answered with nonsense
}

// triedName counts the failures in a row of one name server, at all its addresses.
type triedName struct {
	name     dnsname.Name
	failures int
}

// TimedOut notes a timeout of e, which belongs to name server ns.
func (t *Tried) TimedOut(ns dnsname.Name, e zonecut.Endpoint) {
	t.host(e).timeouts++
	t.server(ns).failures++
}

// Overdue notes that an answer of e by TCP takes long and is waited for, so that e is
// not asked again meanwhile.
func (t *Tried) Overdue(ns dnsname.Name, e zonecut.Endpoint) {
	t.host(e).overdue = true
	t.server(ns).failures++
}

// Nonsense notes that nonsense came from the address of e, which belongs to name server
// ns. The second time, or if it is surely the server's own, e is of no use.
func (t *Tried) Nonsense(ns dnsname.Name, e zonecut.Endpoint, sure bool) {
	h := t.host(e)
	h.timeouts++
	h.rejected = h.rejected || sure || h.nonsense
	h.nonsense = true
	t.server(ns).failures++
}

// Answered notes that e, which belongs to name server ns, answers after all: the next
// question to it may take as many tries as the first one.
func (t *Tried) Answered(ns dnsname.Name, e zonecut.Endpoint) {
	for i := range t.hosts {
		if t.hosts[i].server == e {
			t.hosts[i].timeouts, t.hosts[i].overdue, t.hosts[i].nonsense = 0, false, false
			t.server(ns).failures = 0
		}
	}
}

// Resorted notes that TCP was tried because UDP brought nothing.
func (t *Tried) Resorted() { t.resorted = true }

// Busy notes that too many questions wait for e, so that it was not asked.
func (t *Tried) Busy(e zonecut.Endpoint) { t.host(e).busy = true }

// Pardon lets the servers be asked again that were merely busy, and tells whether
// there are any.
func (t *Tried) Pardon() (any bool) {
	for i := range t.hosts {
		any = any || t.hosts[i].busy
		t.hosts[i].busy = false
	}
	return any
}

// Reject notes that e is of no use to the query.
func (t *Tried) Reject(ns dnsname.Name, e zonecut.Endpoint) {
	t.host(e).rejected = true
	t.server(ns).failures++
}

// Useless is Reject because of an answer. Other addresses of the name server will hardly
// say anything else, and come after those of others.
func (t *Tried) Useless(ns dnsname.Name, e zonecut.Endpoint) {
	t.Reject(ns, e)
	t.server(ns).failures += limits.FailuresInRow
}

func (t *Tried) host(e zonecut.Endpoint) *triedServer {
	for i := range t.hosts {
		if t.hosts[i].server == e {
			return &t.hosts[i]
		}
	}
	t.hosts = append(t.hosts, triedServer{server: e})
	return &t.hosts[len(t.hosts)-1]
}

func (t *Tried) server(ns dnsname.Name) *triedName {
	for i := range t.ns {
		if t.ns[i].name == ns {
			return &t.ns[i]
		}
	}
	t.ns = append(t.ns, triedName{name: ns})
	return &t.ns[len(t.ns)-1]
}

// timeouts of e so far; ok is false when it must not be asked again.
func (t *Tried) timeouts(e zonecut.Endpoint) (n int, ok bool) {
	for i := range t.hosts {
		if h := &t.hosts[i]; h.server == e {
			return h.timeouts, !h.rejected && !h.busy && !h.overdue && h.timeouts <= limits.RetriesPerServer
		}
	}
	return 0, true
}

// failing tells whether ns failed so often that another name server's turn has
// come.
func (t *Tried) failing(ns dnsname.Name) bool { return t.failures(ns) >= limits.FailuresInRow }

// inTrouble tells whether ns has failed.
func (t *Tried) inTrouble(ns dnsname.Name) bool { return t.failures(ns) > 0 }

func (t *Tried) failures(ns dnsname.Name) int {
	for i := range t.ns {
		if t.ns[i].name == ns {
			return t.ns[i].failures
		}
	}
	return 0
}

// many tells whether so many servers are in trouble that one can hardly hope for a
// certain one of the others.
func (t *Tried) many() bool {
	n := 0
	for i := range t.hosts {
		if h := &t.hosts[i]; h.timeouts > 0 || h.rejected || h.overdue {
			n++
		}
	}
	return n >= limits.ServersInTrouble
}

// Any tells whether anything was tried.
func (t *Tried) Any() bool { return len(t.hosts) > 0 }

// Reset forgets all, but keeps the memory for it.
func (t *Tried) Reset() { t.hosts, t.ns, t.resorted, t.probed = t.hosts[:0], t.ns[:0], false, false }
