package policy

import (
	"errors"
	"fmt"

	"github.com/miekg/dns"
)

// ParseData is the RDATA in wire form of a type and its data as zone files write
// them: 'A 192.0.2.1'.
func ParseData(text string) ([]byte, error) {
	rr, err := dns.NewRR(". 0 IN " + text)
	switch {
	case err != nil:
		return nil, err
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
