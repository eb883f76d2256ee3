package reply

import (
	"encoding/binary"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Asked stands for the name of the question in an answer that is prepared before
// a question is known: it is a compression pointer to that name (RFC 1035,
// section 4.1.4). It is an owner, or the name at the start of RDATA whose type
// allows compression there.
const Asked dnsname.Name = "\xc0\x0c"

// A Prepared is an answer of class IN that fits questions with any name: what is
// made up here, and not found in the DNS. One that was made by Prepare is never
// changed and may be used by all threads at once; the zero value is one that a
// thread fills for itself, again and again (Begin, Record).
type Prepared struct {
	// body is the answer to a question for the root's name, the shortest.
	body Body
	// answers is how many records the answer section has. They are one set.
	answers int
}

// rootQuestion is the length of header and question when the name is the root's.
const rootQuestion = wire.HeaderLen + 1 + 4

// maxPrepared leaves room for the longest name and an OPT record.
const maxPrepared = maxBody - dnsname.MaxLen

// Prepare words a Result in which Asked stands for the question's name. It is nil
// for a Result that is not worded alike for all clients, or is too long: signed
// records, proofs, more than one set in the answer.
func Prepare(res *resolve.Result) *Prepared {
	p := &Prepared{}
	p.Begin(res.Rcode, res.AA, res.TC, res.EDE, res.EDEText)
	if res.Drop || res.Remembered || res.Rank.IsSecure() || len(res.Answer) > 1 {
		return nil
	}
	for section, sets := range [...][]resolve.Set{wire.Answer: res.Answer, wire.Authority: res.Authority, wire.Additional: res.Additional} {
		if wire.Section(section) != wire.Answer && len(resolve.Shown(sets, false)) < len(sets) {
			return nil
		}
		for i := range sets {
			s := &sets[i]
			if len(s.Sigs) > 0 {
				return nil
			}
			for _, data := range s.Data {
				if !p.Record(wire.Section(section), s.Owner, s.Type, s.TTL, data) {
					return nil
				}
			}
		}
	}
	return p
}

// Begin starts an answer without records.
func (p *Prepared) Begin(rcode int, aa, tc bool, code ede.Code, text string) {
	p.answers = 0
	octets := p.body.Octets
	if cap(octets) == 0 {
		octets = make([]byte, 0, usual)
	}
	var root [rootQuestion]byte
	root[5] = 1 // QDCOUNT
	p.body = Body{Octets: append(octets[:0], root[:]...), Runs: p.body.Runs[:0], Rcode: rcode, AA: aa, TC: tc, Options: edeOption(code, text)}
}

// Record adds a record to a section, in the order of sections, and tells whether
// there was room for it. The records of the answer are one set of Asked's.
func (p *Prepared) Record(s wire.Section, owner dnsname.Name, t uint16, ttl uint32, data []byte) bool {
	b := &p.body
	from := len(b.Octets)
	if from+len(owner)+10+len(data) > maxPrepared {
		return false
	}
	b.Octets = append(b.Octets, owner...)
	b.Octets = binary.BigEndian.AppendUint16(b.Octets, t)
	b.Octets = binary.BigEndian.AppendUint16(b.Octets, wire.ClassIN)
	b.Octets = binary.BigEndian.AppendUint32(b.Octets, ttl)
	b.Octets = binary.BigEndian.AppendUint16(b.Octets, uint16(len(data)))
	b.Octets = append(b.Octets, data...)
	count := 6 + 2*int(s)
	n := binary.BigEndian.Uint16(b.Octets[count:]) + 1
	binary.BigEndian.PutUint16(b.Octets[count:], n)
	if s == wire.Answer {
		p.answers++
		p.run(t, len(b.Octets)-from)
	}
	return true
}

// run notes where the answer's records can be rotated. stride is the length of
// the one that was added.
func (p *Prepared) run(t uint16, stride int) {
	if t != wire.TypeA && t != wire.TypeAAAA {
		return
	}
	r := binary.BigEndian.AppendUint16(p.body.Runs[:0], rootQuestion)
	r = binary.BigEndian.AppendUint16(r, uint16(p.answers))
	p.body.Runs = binary.BigEndian.AppendUint16(r, uint16(stride))
}

// EDE is the extended error of the answer; ede.None if it has none.
func (p *Prepared) EDE() ede.Code {
	if o := p.body.Options; len(o) >= 6 && binary.BigEndian.Uint16(o) == wire.OptionEDE {
		return ede.Code(binary.BigEndian.Uint16(o[4:]))
	}
	return ede.None
}

// Finish words the answer for one client in dst's memory, without allocating. It
// returns nil where Make and Body.Finish have to do it: when not all of it fits
// into what the client or dst can take, or records have to be rotated that
// cannot be where they stand.
func (p *Prepared) Finish(dst []byte, q *wire.Question, s Shape) []byte {
	b := &p.body
	longer := len(q.Name) - 1
	size := len(b.Octets) + longer
	if q.HasEDNS {
		size += wire.OPTLen + len(s.Options) + len(b.Options)
	}
	if size > s.limit(q) || size+s.maxPadding() > cap(dst) || s.Rotate > 0 && p.answers > 1 && len(b.Runs) == 0 {
		return nil
	}
	dst = append(dst[:0], b.Octets[:wire.HeaderLen]...)
	dst = append(dst, q.Name...)
	dst = binary.BigEndian.AppendUint16(dst, q.Type)
	dst = binary.BigEndian.AppendUint16(dst, q.Class)
	dst = append(dst, b.Octets[rootQuestion:]...)
	b.header(dst, q, b.TC, false)
	if s.Rotate > 0 {
		turn(dst[longer:], b.Runs, s.Rotate)
	}
	if q.HasEDNS {
		dst = s.appendOPT(dst, q, b.Rcode, b.Options)
	}
	return dst
}
