package policy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
	"kresd/internal/wire"
	"kresd/internal/wording"
)

// ParseData is the RDATA in wire form of a type and its data as zone files write
// them: 'A 192.0.2.1'.
func ParseData(text string) ([]byte, error) {
	_, data, err := ParseTyped(text)
	return data, err
}

// ParseTyped is ParseData with the type, which a record can have: 0 is reserved (RFC 6895,
// section 3.1).
func ParseTyped(text string) (t uint16, data []byte, err error) {
	return parseTyped(dnsname.Root.String(), text)
}

// parseTyped is ParseTyped with relative names below an origin; without one ("") they are an
// error.
func parseTyped(origin, text string) (t uint16, data []byte, err error) {
	file := dns.NewZoneParser(strings.NewReader(". 0 IN "+text+"\n"), origin, "")
	rr, _ := file.Next()
	if err := file.Err(); err != nil {
		return 0, nil, wording.Record("", err)
	}
	// A type alone is read as a record without data, which only an APL may be (RFC 3123,
	// section 4).
	words, _, _ := strings.Cut(text, ";")
	if len(strings.Fields(words)) < 2 && rr.Header().Rrtype != dns.TypeAPL {
		return 0, nil, errors.New("a type and its data are expected")
	}
	if rr.Header().Rrtype == dns.TypeNone {
		return 0, nil, errors.New("no record has the type 0")
	}
	buf := make([]byte, dns.Len(rr)+1)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return 0, nil, fmt.Errorf("no such record can be made: %w", err)
	}
	const header = 1 + 10 // the root as owner, then type, class, TTL and length (RFC 1035, section 3.2.1)
	return rr.Header().Rrtype, buf[header:n], nil
}

// noLine tells whether records of a type have no line of their own in a zone file: those
// that say something about a message, and NULL (RFC 1035, section 3.3.10).
func noLine(t uint16) bool {
	return t == dns.TypeNULL || t == dns.TypeOPT || t == dns.TypeTSIG || t == dns.TypeTKEY
}

// RecordText is a record on one line of a zone file: owner, TTL, type and data, with
// tabs between (RFC 1035, section 5.1), or the data in hexadecimal digits where their
// type is unknown or they do not fit it (RFC 3597, section 5).
func RecordText(set wire.RRset, data []byte) string {
	h := dns.RR_Header{Name: set.Owner.String(), Rrtype: set.Type, Class: set.Class, Ttl: set.TTL, Rdlength: uint16(len(data))}
	rr, n, err := dns.UnpackRRWithHeader(h, data, 0)
	if err != nil || n != len(data) || noLine(set.Type) {
		rr = &dns.RFC3597{Hdr: h, Rdata: hex.EncodeToString(data)}
	}
	// Its own text has the class behind the TTL, which here is always that of the
	// question.
	words := strings.SplitN(rr.String(), "\t", 5)
	return strings.Join(append(words[:2:2], words[3:]...), "\t")
}
