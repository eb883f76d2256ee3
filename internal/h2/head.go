package h2

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"

	"kresd/internal/limits"
)

const (
	tableSize = 4096 // octets of HPACK's dynamic table, as both sides have it without agreeing on more
	fieldCost = 32   // octets that a field counts beside its name and value (RFC 9113, section 6.5.2)
	fieldRoom = 320  // octets for the fields that are not the client's own choice

	// mostOctets is how long a head may be as it comes, and a field of it when it is decoded:
	// one that is larger than limits.HTTPHeaders and not that long is answered all the same.
	mostOctets = 2 * limits.HTTPHeaders
)

// A headReader decodes heads. All of them are decoded, also those that nobody wants: the
// table that they share is changed by each.
type headReader struct {
	decoder *hpack.Decoder
	open    bool   // a head has begun and is not whole
	stream  uint32 // whose it is
	ends    bool   // nothing follows behind it on its stream
	octets  int    // of it, as they came

	request Request
	keep    bool // its fields
	size    int  // of what was decoded
	regular bool // a field that is no pseudo-field has come
	pseudo  bool // a pseudo-field has come
	broken  bool // it is no request by the rules
	seen    seen
}

// seen tells which of the fields have come that may come once.
type seen struct{ method, scheme, authority, path, length bool }

func (h *headReader) init() {
	h.decoder = hpack.NewDecoder(tableSize, h.field)
	h.decoder.SetMaxStringLength(mostOctets)
}

// begin starts a head.
func (h *headReader) begin(stream uint32, ends, keep bool) {
	*h = headReader{decoder: h.decoder, open: true, stream: stream, ends: ends, keep: keep, request: Request{Length: -1}}
	h.decoder.SetEmitEnabled(true)
}

// add decodes a piece of a head, and ends it by the last.
func (h *headReader) add(piece []byte, last bool) *Error {
	if h.octets += len(piece); h.octets > mostOctets {
		return violation(EnhanceYourCalm, "a head does not end")
	}
	_, err := h.decoder.Write(piece)
	if err == nil && last {
		h.open = false
		err = h.decoder.Close()
	}
	switch {
	case errors.Is(err, hpack.ErrStringLength):
		return violation(EnhanceYourCalm, "a field is longer than a head may be")
	case err != nil:
		return violation(CompressionError, "a head cannot be decoded")
	}
	return nil
}

// valid tells whether what was decoded is the head of a request (RFC 9113, section 8.3.1).
func (h *headReader) valid() bool {
	r := &h.request
	return !h.broken && (r.TooLarge || r.Method != "" && r.Scheme != "" && strings.HasPrefix(r.Path, "/") || r.Method == "OPTIONS" && r.Path == "*")
}

// field takes a field that was decoded.
func (h *headReader) field(f hpack.HeaderField) {
	if h.size += len(f.Name) + len(f.Value) + fieldCost; h.size > limits.HTTPHeaders+fieldRoom {
		h.request.TooLarge = true
		h.decoder.SetEmitEnabled(false)
		return
	}
	if strings.HasPrefix(f.Name, ":") {
		h.pseudoField(f)
		return
	}
	h.regular = true
	r := &h.request
	switch f.Name {
	case "content-type":
		r.ContentType = f.Value
	case "content-length":
		n, err := strconv.ParseUint(f.Value, 10, 63)
		h.broken = h.broken || err != nil || h.seen.length && r.Length != int64(n)
		r.Length, h.seen.length = int64(n), true
	case "expect":
		r.Continue = strings.EqualFold(f.Value, "100-continue")
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		h.broken = true // these are of HTTP/1.1 alone (section 8.2.2)
	case "te":
		h.broken = h.broken || f.Value != "trailers"
	default:
		h.broken = h.broken || !validName(f.Name)
	}
	h.broken = h.broken || strings.ContainsAny(f.Value, "\x00\r\n")
	if h.keep {
		r.Fields = append(r.Fields, Field{f.Name, f.Value})
	}
}

// pseudoField takes a field that stands for a part of the request's first line.
func (h *headReader) pseudoField(f hpack.HeaderField) {
	h.pseudo = true
	r := &h.request
	var to *string
	var seen *bool
	switch f.Name {
	case ":method":
		to, seen = &r.Method, &h.seen.method
	case ":scheme":
		to, seen = &r.Scheme, &h.seen.scheme
	case ":authority":
		to, seen = &r.Authority, &h.seen.authority
	case ":path":
		to, seen = &r.Path, &h.seen.path
	default:
		h.broken = true
		return
	}
	h.broken = h.broken || *seen || h.regular || strings.ContainsAny(f.Value, "\x00\r\n")
	*to, *seen = f.Value, true
}

// validName tells whether a name is one of a field: no octet that ends a line or is an
// upper-case letter (RFC 9113, section 8.2.1).
func validName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || 'A' <= c && c <= 'Z' || c == ':' {
			return false
		}
	}
	return name != ""
}
