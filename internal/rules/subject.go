package rules

import (
	"net/netip"
	"unsafe"

	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/transport"
)

// A Subject is a question as filters and actions look at it. It may be set again
// and again, and must not be copied while a Table works with it.
type Subject struct {
	Type uint16
	// Client and Local are where the question came from and where it was received;
	// invalid for one that no client asked.
	Client, Local netip.AddrPort
	// Transport is how the question came.
	Transport transport.Transport
	// Key is that of the client's signature (resolve.Request.Key). It is not known on the way
	// of cached answers, which questions with a signature do not take where it matters.
	Key dnsname.Name
	// Result is the answer, for rules about answers. It is nil where no answer is
	// known yet.
	Result *resolve.Result

	buf    [dnsname.MaxLen]byte // the name: wire form in lower case
	len    int                  // of the name in buf; 0: none is set
	labels int

	shown   bool      // to an action, which may have kept it
	cursors []cursor  // of the walk that is under way
	few     [8]cursor // room for as many as nearly all questions need
}

// SubjectOf is a request as filters look at it.
func SubjectOf(req *resolve.Request) *Subject {
	s := &Subject{}
	s.Become(req)
	return s
}

// Become makes s a request as filters look at it, in the place of what it was.
func (s *Subject) Become(req *resolve.Request) { s.stepOf(req, req.Question) }

// stepOf makes s a question to which the request has led.
func (s *Subject) stepOf(req *resolve.Request, q resolve.Question) {
	from := req.Asker()
	s.Type, s.Client, s.Local, s.Transport, s.Key, s.Result = q.Type, from.Client, from.Local, from.Transport, from.Key, nil
	s.labels, s.len, s.shown = q.Name.Labels(), copy(s.buf[:], q.Name), false
}

// Shown tells whether an action has seen s since Become and may have kept it.
func (s *Subject) Shown() bool { return s.shown }

// SetName takes the name of a question in wire form and any case; false for what
// is none.
func (s *Subject) SetName(wire []byte) bool {
	s.len, s.labels = 0, 0
	if len(wire) == 0 || len(wire) > len(s.buf) {
		return false
	}
	for at := 0; wire[at] != 0; s.labels++ {
		if at += int(wire[at]) + 1; at >= len(wire) {
			return false
		}
	}
	for i, c := range wire {
		s.buf[i] = dnsname.Lower(c)
	}
	s.len = len(wire)
	return true
}

// Name is the question's name in wire form and lower case. It is good until the
// Subject is set again.
func (s *Subject) Name() []byte { return s.buf[:s.len] }

// text is the name as a string without a copy. It holds until the Subject is set
// again and must not be kept.
func (s *Subject) text() string { return unsafe.String(&s.buf[0], s.len) }

// below tells whether the name is zone or lies below it.
func (s *Subject) below(zone dnsname.Name) bool {
	name := s.Name()
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
