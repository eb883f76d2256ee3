package message

import "kresd/internal/wire"

// ID and the like are parts of the header, Flag a bit of it and Count the number of
// questions or of the records in a section, as scripts have set it or as they are.

func (p *Message) ID() int { return int(p.id) }

func (p *Message) SetID(n int) {
	p.id = uint16(n)
	p.touched()
}

func (p *Message) Opcode() int { return int(p.flags >> 11 & 0xf) }

func (p *Message) SetOpcode(n int) {
	p.flags = p.flags&^(0xf<<11) | uint16(n)<<11
	p.touched()
}

// Rcode is that of the header alone.
func (p *Message) Rcode() int { return int(p.flags & 0xf) }

func (p *Message) SetRcode(n int) {
	p.flags = p.flags&^0xf | uint16(n)
	p.touched()
}

func (p *Message) Flag(bit uint16) bool { return p.flags&bit != 0 }

func (p *Message) SetFlag(bit uint16, on bool) {
	if p.flags &^= bit; on {
		p.flags |= bit
	}
	p.touched()
}

func (p *Message) Count(of int) int { return int(p.counts[of]) }

func (p *Message) SetCount(of, n int) {
	p.counts[of], p.counted = uint16(n), true
	p.touched()
}

// touched notes a change that its octets do not have yet.
func (p *Message) touched() { p.build, p.changed = nil, true }

// A FlagName is the name of a bit of the header.
type FlagName struct {
	Name string
	Bit  uint16
}

// FlagNames are in the order in which the text of a packet tells them.
func FlagNames() []FlagName {
	return []FlagName{
		{"rd", wire.FlagRD}, {"tc", wire.FlagTC}, {"aa", wire.FlagAA}, {"qr", wire.FlagQR}, {"cd", wire.FlagCD}, {"ad", wire.FlagAD}, {"ra", wire.FlagRA},
	}
}
