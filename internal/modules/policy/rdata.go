package policy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"kresd/internal/wire"
	"kresd/internal/wording"
)

// ParseData is the RDATA in wire form of a type and its data as zone files write
// them: 'A 192.0.2.1'.
func ParseData(text string) ([]byte, error) {
	rr, err := dns.NewRR(". 0 IN " + text)
	switch {
	case err != nil:
		return nil, wording.Record("", err)
	case rr == nil:
		return nil, errors.New("a type and its data are expected")
	}
	buf := make([]byte, dns.Len(rr)+1)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, fmt.Errorf("no such record can be made: %w", err)
	}
	const header = 1 + 10 // the root as owner, then type, class, TTL and length (RFC 1035, section 3.2.1)
	return buf[header:n], nil
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
