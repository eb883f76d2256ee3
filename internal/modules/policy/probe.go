package policy

import (
	"unsafe"

	"kresd/internal/dnsname"
)

// probe is a question's name as filters look at it: wire form in lower case.
type probe struct {
	buf    [dnsname.MaxLen]byte
	len    int // of the name in buf; 0: none is set
	labels int
}

// name is the name. A slice kept beside the octets would not let them stay on the
// stack.
func (p *probe) name() []byte { return p.buf[:p.len] }

// set takes the wire name of a question; false for what is none.
func (p *probe) set(wire []byte) bool {
	if len(wire) == 0 || len(wire) > len(p.buf) {
		return false
	}
	p.labels = 0
	for at := 0; wire[at] != 0; p.labels++ {
		if at += int(wire[at]) + 1; at >= len(wire) {
			return false
		}
	}
	for i, c := range wire {
		p.buf[i] = dnsname.Lower(c)
	}
	p.len = len(wire)
	return true
}

func (p *probe) setName(n dnsname.Name) {
	p.labels = n.Labels()
	p.len = copy(p.buf[:], n)
}

// text is the name as a string without a copy. It holds until the probe is set
// again and must not be kept.
func (p *probe) text() string { return unsafe.String(&p.buf[0], p.len) }

// below tells whether the name is zone or lies below it.
func (p *probe) below(zone dnsname.Name) bool {
	name := p.name()
	d := len(name) - len(zone)
	if d < 0 || string(name[d:]) != string(zone) {
		return false
	}
	at := 0
	for at < d {
		at += int(name[at]) + 1
	}
	return at == d
}
