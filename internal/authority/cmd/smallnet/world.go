package main

import (
	"fmt"
	"os"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/clock"
)

// What there is to see of DNSSEC beside proven answers: a name whose signature is over, and
// a zone that nobody has signed.
const (
	expiredName  = "expired.example.com."
	unsignedZone = "example.org."
)

const day = 24 * time.Hour

// start serves the zones in dir, signed for a year from yesterday, and tells the trust
// anchor of their root.
func start(dir string) (small *authority.Internet, anchor string, err error) {
	small, err = authority.Load(os.DirFS(dir))
	if err != nil {
		return nil, "", fmt.Errorf("small Internet: %w", err)
	}
	now := clock.Real().Now()
	at := func(d time.Duration) uint32 { return uint32(now.Add(d).Unix()) }
	anchor = small.Secure(authority.Security{
		From: at(-day), Until: at(365 * day), Unsigned: []string{unsignedZone},
		Seal: func(set []dns.RR, sig *dns.RRSIG) {
			if h := set[0].Header(); h.Name == expiredName && h.Rrtype == dns.TypeA {
				sig.Inception, sig.Expiration = at(-33*day), at(-3*day)
			}
		},
	})
	return small, anchor, small.Start(0)
}
