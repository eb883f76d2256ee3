package rules

import (
	"strings"
	"testing"

	"kresd/internal/zonecut"
)

// FuzzServer: whatever is written for a server, either it is refused in one line, or there
// are addresses, and what begins with a scheme is spoken to in its protocol, by a server
// that has to prove something.
func FuzzServer(f *testing.F) {
	for _, text := range []string{
		"192.0.2.1", "192.0.2.1@53", "::1#5353", "fe80::1%lo@853", "tls://192.0.2.1", "tls://[::1]:853/", "quic://dns.test:784",
		"https://dns.test/dns-query{?dns}", "https://[fe80::1%25lo]/", "https://192.0.2.1:443/a%2fb", "HTTPS://DNS.test.", "https://a b/", "://", "tls://", "https://x@y/?q#f",
	} {
		f.Add(text, "192.0.2.9", true)
		f.Add(text, "", false)
	}
	protocols := map[string]zonecut.Protocol{"tls": zonecut.DoT, "https": zonecut.DoH, "quic": zonecut.DoQ}
	f.Fuzz(func(t *testing.T, text, address string, overTLS bool) {
		s := Server{Text: text}
		if address != "" {
			s.Addresses = []string{address}
		}
		list, err := s.endpoints(overTLS, nil)
		if err != nil {
			if len(list) > 0 || err.Error() == "" {
				t.Errorf("%q: %v and %v", text, list, err)
			}
			return
		}
		scheme, _, isURL := strings.Cut(text, "://")
		by := protocols[strings.ToLower(scheme)]
		for _, ns := range list {
			c := ns.Peer.Config()
			switch {
			case len(ns.Addrs) != 1 || !ns.Addrs[0].IsValid() || ns.Addrs[0].IsUnspecified():
				t.Errorf("%q: addresses %v", text, ns.Addrs)
			case isURL && (c.Protocol != by || len(c.Names) != 1 || c.Insecure):
				t.Errorf("%q: %+v", text, c)
			case !isURL && (overTLS || !ns.Peer.Plain()):
				t.Errorf("%q proves nothing, and is %+v", text, c)
			}
		}
		if len(list) == 0 {
			t.Errorf("%q: nobody", text)
		}
	})
}
