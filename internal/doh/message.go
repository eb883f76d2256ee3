package doh

import (
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"kresd/internal/limits"
	"kresd/internal/wire"
)

// MediaType is the type of requests that carry a message, and of responses (RFC
// 8484, section 6).
const MediaType = "application/dns-message"

// DefaultPaths are those at which questions are answered unless the operator
// names others (net.doh_paths): that of the RFC's examples and of DDR, then the
// manual's for its version 4.0.
func DefaultPaths() []string { return []string{"/dns-query", "/doh"} }

// A Refusal is a request that carries no question. Its text is for the client.
type Refusal struct {
	// Status is the status of the response (RFC 9110, section 15).
	Status int
	text   string
	// TooLong tells that the request exceeds a size, and Slow that it did not come
	// in time.
	TooLong, Slow bool
}

// Error implements error.
func (r *Refusal) Error() string { return r.text }

func refusal(status int, text string) *Refusal { return &Refusal{Status: status, text: text} }

func tooLong(status int, text string) *Refusal {
	return &Refusal{Status: status, text: text, TooLong: true}
}

// A Head is what matters here of the head of a request.
type Head struct {
	Method, Path, ContentType string
	Length                    int64 // of the body, in octets; -1: it is not told
}

// Check tells whether a request may carry a question, before any of its body is
// read. body tells that the question is there, and not in the parameter of the URL
// (Parameter).
func Check(h Head, paths []string) (body bool, no *Refusal) {
	if !slices.Contains(paths, h.Path) {
		return false, refusal(http.StatusNotFound, "there is nothing at this path")
	}
	switch h.Method {
	case http.MethodGet, http.MethodHead: // the same but for the content of the answer (RFC 9110, section 9.3.2)
		return false, nil
	case http.MethodPost:
	default:
		return false, refusal(http.StatusMethodNotAllowed, "questions come by GET, HEAD or POST")
	}
	if h.ContentType != MediaType {
		if kind, _, err := mime.ParseMediaType(h.ContentType); err != nil || kind != MediaType {
			return false, refusal(http.StatusUnsupportedMediaType, "the body of a POST is of type "+MediaType)
		}
	}
	if h.Length > limits.HTTPBody {
		return false, tooLong(http.StatusRequestEntityTooLarge, "the message is too long")
	}
	return true, nil
}

// Parameter is the message in the parameter dns of a GET's query (RFC 8484,
// section 6).
func Parameter(query string) ([]byte, *Refusal) {
	text, ok := parameter(query)
	if base64.RawURLEncoding.DecodedLen(len(text)) > limits.HTTPQuestion {
		return nil, tooLong(http.StatusRequestURITooLong, "the parameter dns is too long; use POST")
	}
	if !ok {
		return nil, refusal(http.StatusBadRequest, "a GET has its message in the parameter dns")
	}
	msg, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder skips, against RFC 4648, section 3.3
		return nil, refusal(http.StatusBadRequest, "the parameter dns is not in base64url without padding")
	}
	return question(msg)
}

// parameter finds the first parameter dns. Others mean nothing to us.
func parameter(query string) (text string, ok bool) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if value, is := strings.CutPrefix(pair, "dns="); is {
			if !strings.Contains(value, "%") {
				return value, true
			}
			value, err := url.QueryUnescape(value)
			return value, err == nil
		}
	}
	return "", false
}

// A Body is the message of a POST while it comes. It grows as that comes, so that a
// length that is only announced costs nothing; before it grows beyond
// limits.HTTPSmallBody it asks More, once, which gives it room for limits.HTTPBody octets
// and one, where the message then lies, or refuses.
type Body struct {
	More func() (room []byte, no *Refusal)

	buf []byte
}

// Add takes the next octets.
func (b *Body) Add(p []byte) *Refusal {
	for len(p) > 0 {
		room, no := b.room()
		if no != nil {
			return no
		}
		n := copy(room, p)
		p = p[n:]
		if no := b.took(n); no != nil {
			return no
		}
	}
	return nil
}

// Message is the message, all of which has come.
func (b *Body) Message() ([]byte, *Refusal) { return question(b.buf) }

// ReadAll reads all of a message.
func (b *Body) ReadAll(from io.Reader) ([]byte, *Refusal) {
	for {
		room, no := b.room()
		if no != nil {
			return nil, no
		}
		n, err := from.Read(room)
		if no := b.took(n); no != nil { // also where its end came along
			return nil, no
		}
		switch {
		case errors.Is(err, io.EOF):
			return b.Message()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, Late()
		case err != nil:
			return nil, refusal(http.StatusBadRequest, "the message did not come whole")
		}
	}
}

// Late is the refusal of a request whose message does not come.
func Late() *Refusal {
	return &Refusal{Status: http.StatusRequestTimeout, text: "the message did not come in time", Slow: true}
}

// HeadTooLong is the refusal of a request whose head has more than limits.HTTPHeaders octets.
func HeadTooLong() *Refusal {
	return tooLong(http.StatusRequestHeaderFieldsTooLarge, "the head of the request is too long")
}

// room is where the next octets go.
func (b *Body) room() ([]byte, *Refusal) {
	switch have := len(b.buf); {
	case have < cap(b.buf):
	case have == 0:
		b.buf = make([]byte, 0, limits.HTTPFirstRead)
	case have < limits.HTTPSmallBody:
		b.buf = append(make([]byte, 0, limits.HTTPSmallBody), b.buf...)
	default:
		room, no := b.More()
		if no != nil {
			return nil, no
		}
		b.buf = append(room[:0], b.buf...)
	}
	return b.buf[len(b.buf):cap(b.buf)], nil
}

// took notes that so many octets are there.
func (b *Body) took(n int) *Refusal {
	if b.buf = b.buf[:len(b.buf)+n]; len(b.buf) > limits.HTTPBody {
		return tooLong(http.StatusRequestEntityTooLarge, "the message is too long")
	}
	return nil
}

// question lets pass what may be a question.
func question(msg []byte) ([]byte, *Refusal) {
	if len(msg) < wire.HeaderLen {
		return nil, refusal(http.StatusBadRequest, "this is not a DNS message")
	}
	if msg[2]&byte(wire.FlagQR>>8) != 0 {
		return nil, refusal(http.StatusBadRequest, "this is a DNS response, not a question")
	}
	return msg, nil
}
