package worker

import (
	"net/netip"
	"testing"

	"kresd/internal/listen"
	"kresd/internal/transport"
)

// A wildcard socket listens on every address of the machine; whoever names one
// of them as a name server would make us ask ourselves.
func TestOwnAddressesOfAWildcardSocket(t *testing.T) {
	w := laboratory(t)
	if err := w.server.Listen(netip.MustParseAddrPort("0.0.0.0:5399"), listen.Flags{Kinds: []transport.Kind{transport.UDP}}); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"127.0.0.1:5399": true, "0.0.0.0:5399": true, "127.0.0.1:53": false, "192.0.2.200:5399": false, "[::1]:5399": false,
	} {
		if got := w.own.is(netip.MustParseAddrPort(text)); got != want {
			t.Errorf("own.is(%s) = %v, want %v", text, got, want)
		}
	}
}
