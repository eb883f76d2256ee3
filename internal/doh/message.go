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

// Check tells whether a request may carry a question, before any of its body is
// read. body tells that the question is there, so that it is read by Body, and
// not by Parameter.
func Check(r *http.Request, paths []string) (body bool, no *Refusal) {
	if !slices.Contains(paths, r.URL.Path) {
		return false, refusal(http.StatusNotFound, "there is nothing at this path")
	}
	switch r.Method {
	case http.MethodGet:
		return false, nil
	case http.MethodPost:
	default:
		return false, refusal(http.StatusMethodNotAllowed, "questions come by GET or POST")
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != MediaType {
		return false, refusal(http.StatusUnsupportedMediaType, "the body of a POST is of type "+MediaType)
	}
	if r.ContentLength > limits.HTTPBody {
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

// Body reads the message of a POST. It grows as the body comes, so that a length
// that is only announced costs nothing; before it grows beyond
// limits.HTTPSmallBody it asks more, once, which gives it room for limits.HTTPBody octets
// and one, where the message then lies, or refuses.
func Body(from io.Reader, more func() (room []byte, no *Refusal)) ([]byte, *Refusal) {
	buf := make([]byte, 0, limits.HTTPFirstRead)
	for {
		n, err := from.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > limits.HTTPBody: // also where its end came along
			return nil, tooLong(http.StatusRequestEntityTooLarge, "the message is too long")
		case errors.Is(err, io.EOF):
			return question(buf)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, &Refusal{Status: http.StatusRequestTimeout, text: "the message did not come in time", Slow: true}
		case err != nil:
			return nil, refusal(http.StatusBadRequest, "the message did not come whole")
		case len(buf) < cap(buf):
			continue
		}
		if len(buf) < limits.HTTPSmallBody {
			buf = append(make([]byte, 0, limits.HTTPSmallBody), buf...)
			continue
		}
		room, no := more()
		if no != nil {
			return nil, no
		}
		buf = append(room[:0], buf...)
	}
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
