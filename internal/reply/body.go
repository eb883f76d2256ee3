package reply

import (
	"encoding/binary"
	"sync"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A Body is an answer apart from what belongs to a single client. It is what an
// answer entry of the cache holds.
type Body struct {
	// Octets is a message without an OPT record whose ID is 0, whose header has no
	// flags and whose question is in lower case.
	Octets []byte
	// TTLs are the offsets of the TTL fields, two octets each.
	TTLs []byte
	// Additional is the offset where the additional section starts, which may be
	// left out (RFC 2181, section 9).
	Additional int
	// Runs are the sets whose records may be rotated in place.
	Runs []byte
	// Steady tells that the answer holds a set of several records that is not
	// among the Runs, so that only Make can rotate it.
	Steady bool
	// Rcode is the whole RCODE.
	Rcode int
	// AA is the bit of the header.
	AA bool
	// Secure tells that all of it was validated, so that AD may be set.
	Secure bool
	// TC tells that the sections are not worth sending: the client has to come
	// again by TCP.
	TC bool
	// HeaderOn and HeaderOff are bits of the header that are on, or off, for whoever asked. An
	// entry of the cache has none.
	HeaderOn, HeaderOff uint16
	// Options are EDNS options to tell, in wire form.
	Options []byte
	// Crowded tells that a limit kept names from being compressed.
	Crowded bool
}

// maxBody leaves room for an OPT record in the largest message.
const maxBody = 0xffff - wire.OPTLen

// usual is the size of most answers, in octets.
const usual = 256

// roomKept is how much memory each part of a Room that nobody uses keeps, in octets.
const roomKept = 4096

// maxEDEText bounds the text of an extended error, in octets.
const maxEDEText = 255

// A Room is memory in which one goroutine words answers, one after the other. The zero
// value is ready for use.
type Room struct {
	builder               wire.Builder
	octets, ttls, message []byte
}

// Rooms are Rooms that nobody uses at the moment. The zero value is ready for use.
type Rooms struct{ pool sync.Pool }

// Get returns a Room; it is to be given back by Put.
func (r *Rooms) Get() *Room {
	if room, ok := r.pool.Get().(*Room); ok {
		return room
	}
	return new(Room)
}

// Put takes a Room back, of which nobody uses anything any more. Memory that only large
// answers need is let go.
func (r *Rooms) Put(room *Room) {
	for _, b := range []*[]byte{&room.octets, &room.ttls, &room.message} {
		if cap(*b) > roomKept {
			*b = nil
		}
	}
	r.pool.Put(room)
}

// Make words a Result as the answer to a question. The Body is valid until the Room is
// used again. do tells whether the client
// understands DNSSEC; without it RRSIG, NSEC and NSEC3 records are left out
// unless they were asked for (RFC 4035, section 3.2.1). The records of each set
// in the answer are rotated by rotate places.
func (r *Room) Make(q resolve.Question, res *resolve.Result, do bool, rotate uint32) Body {
	b := Body{
		Rcode: res.Rcode, AA: res.AA, Secure: res.Rank.IsSecure(), TC: res.TC,
		HeaderOn: res.HeaderOn, HeaderOff: res.HeaderOff, Options: edeOption(res.EDE, res.EDEText),
	}
	if res.Remembered { // beside what it failed of; there may be several (RFC 8914, section 2)
		b.Options = append(b.Options, edeOption(ede.CachedError, "")...)
	}
	if r.octets == nil {
		r.octets = make([]byte, 0, usual)
	}
	r.builder.Start(r.octets, maxBody, 0, 0)
	m := maker{Builder: &r.builder, body: &b, do: do}
	m.Question([]byte(q.Name), q.Type, q.Class)
	for i := range res.Answer {
		m.answer(&res.Answer[i], rotate)
	}
	m.rest(wire.Authority, res.Authority)
	b.TC = b.TC || m.Truncated()
	b.Additional = m.Len()
	m.rest(wire.Additional, res.Additional)
	r.ttls = r.ttls[:0]
	for _, at := range m.TTLs() {
		r.ttls = binary.BigEndian.AppendUint16(r.ttls, at)
	}
	r.octets = m.Bytes()
	b.Octets, b.TTLs, b.Crowded = r.octets, r.ttls, m.Crowded()
	return b
}

type maker struct {
	*wire.Builder
	body *Body
	do   bool
}

func (m *maker) answer(set *resolve.Set, rotate uint32) {
	n := len(set.Data)
	if n < 2 {
		m.RRset(wire.Answer, &set.RRset, set.TTL, m.do)
		return
	}
	rr := set.RRset
	if rotate %= uint32(n); rotate > 0 {
		rr.Data = append(append(make([][]byte, 0, n), rr.Data[rotate:]...), rr.Data[:rotate]...)
	}
	from := m.Len()
	if !m.RRset(wire.Answer, &rr, set.TTL, false) {
		return
	}
	m.run(from, &rr)
	if m.do {
		sigs := rr
		sigs.Data = nil
		m.RRset(wire.Answer, &sigs, set.TTL, true)
	}
}

// rest adds a section behind the answer.
func (m *maker) rest(s wire.Section, sets []resolve.Set) {
	sets = resolve.Shown(sets, m.do)
	for i := range sets {
		m.RRset(s, &sets[i].RRset, sets[i].TTL, m.do)
	}
}

// edeOption is the EDNS option of an extended error (RFC 8914, section 2), nil
// when there is nothing to tell.
func edeOption(code ede.Code, text string) []byte {
	if code == ede.None {
		return nil
	}
	text = text[:min(len(text), maxEDEText)]
	data := append(binary.BigEndian.AppendUint16(nil, uint16(code)), text...)
	return wire.AppendOption(nil, wire.OptionEDE, data)
}

// Build is the whole message for one client, which asked q, that is asked in canonical
// form. It is valid until the Room is used again; nil when the client gets no answer.
func (r *Room) Build(asked resolve.Question, q *wire.Question, res *resolve.Result, s Shape) []byte {
	msg := r.build(r.message, asked, q, res, s)
	if msg != nil {
		r.message = msg
	}
	return msg
}

// Build is Room.Build in dst's memory where that is large enough.
func Build(dst []byte, q *wire.Question, res *resolve.Result, s Shape) []byte {
	name, err := dnsname.FromWire(q.Name)
	if err != nil {
		return nil
	}
	return new(Room).build(dst, resolve.Question{Name: name, Type: q.Type, Class: q.Class}, q, res, s)
}

func (r *Room) build(dst []byte, asked resolve.Question, q *wire.Question, res *resolve.Result, s Shape) []byte {
	if res.Drop {
		return nil
	}
	b := r.Make(asked, res, q.DO, s.Rotate)
	if b.Crowded {
		s.Counters.Hit(limits.CompressedNames)
	}
	s.Rotate = 0
	return b.Finish(dst, q, s)
}
