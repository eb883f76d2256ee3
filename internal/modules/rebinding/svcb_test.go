package rebinding

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/resolve"
	"kresd/internal/selection"
	"kresd/internal/wire"
)

func TestLocalAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"::": true, "::1": true, "fc00::": true, "fdff::1": true, "fe80::": true, "febf::1": true, "::ffff:10.0.0.1": true, "::ffff:100.64.0.1": true, "::ffff:0.0.0.1": true,
		"fe00::": false, "fec0::": false, "fbff::": false, "2001:db8::1": false, "::ffff:192.0.2.1": false,
	} {
		if got := selection.Local(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// Hints of HTTPS records are addresses, too.
func TestLocalHints(t *testing.T) {
	for text, want := range map[string]string{
		`1 . alpn="h2" ipv4hint="192.0.2.1,10.0.0.1"`: "10.0.0.1", `1 svc.example. ipv6hint="2001:db8::1,fd00::1"`: "fd00::1",
		`1 . ipv4hint="192.0.2.1" ipv6hint="2001:db8::1"`: "invalid IP", `0 other.example.`: "invalid IP", `1 . alpn="h2"`: "invalid IP",
	} {
		rr, err := dns.NewRR("a.example. 60 HTTPS " + text)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 512)
		n, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		data := buf[len("\x01a\x07example\x00")+10 : n]
		set := resolve.Set{RRset: wire.RRset{Type: wire.TypeHTTPS, Data: [][]byte{data}}}
		if got, _ := localIn(&set); got.String() != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// FuzzHint: whatever the octets are, what is found is local.
func FuzzHint(f *testing.F) {
	f.Add([]byte("\x00\x01\x00\x00\x04\x00\x04\x0a\x00\x00\x01"))
	f.Add([]byte("\x00\x01\x03abc\x00\x00\x06\x00\x10\xfd"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, found := localHint(data); found && !selection.Local(a) {
			t.Errorf("%s", a)
		}
	})
}
