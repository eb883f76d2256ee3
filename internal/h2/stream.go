package h2

// A Stream is one request and its response.
type Stream struct {
	// Request is the head of the request.
	Request
	// Owner is the caller's, and not looked at here.
	Owner any

	id       uint32
	complete bool // all of the request has come
	closed   bool // nothing more is sent on it, nor heard
	answered bool // all of the response is sent
	came     int64
	window   int    // octets of a body that may be sent
	left     int    // octets of a body that the client may send
	rest     []byte // of the response's body, which waits for windows
}

// Closed tells that the client has given the request up, or has its response: another one
// is not sent.
func (s *Stream) Closed() bool { return s.closed }

// Waits tells that a part of the response waits until the client gives it room (RFC 9113,
// section 5.2).
func (s *Stream) Waits() bool { return len(s.rest) > 0 }

// Answered tells that all of the response is sent, though not all of the request has come.
func (s *Stream) Answered() bool { return s.answered && !s.closed }

// A Request is the head of a request (RFC 9113, section 8.3.1).
type Request struct {
	Method, Scheme, Authority, Path string
	// ContentType is that of the body, and Length what the head says of its length in
	// octets; -1: nothing.
	ContentType string
	Length      int64
	// Continue tells that the client wants to hear that its body is wanted before it sends
	// it (RFC 9110, section 10.1.1).
	Continue bool
	// TooLarge tells that the head had more than limits.HTTPHeaders octets: it is not whole.
	TooLarge bool
	// Fields are the other fields, with their names in lower case, in the order in which
	// they came; only if Conn.KeepFields was set.
	Fields []Field
}

// A Field is a field of a head.
type Field struct{ Name, Value string }
