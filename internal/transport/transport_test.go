package transport

import (
	"net/netip"
	"slices"
	"testing"
)

func TestEveryKindIsDescribed(t *testing.T) {
	for k := range Kinds {
		if k.String() == "" || k.Service() == "" {
			t.Errorf("kind %d has no name or no service: %q, %q", k, k.String(), k.Service())
		}
		if k.Network() == "tcp" && !k.Stream() {
			t.Errorf("%v lives in TCP sockets and is no stream", k)
		}
		if k.Stream() == (k == UDP) {
			t.Errorf("%v: stream %v; every kind but UDP is one", k, k.Stream())
		}
		if k.Encrypted() == (k == UDP || k == TCP) {
			t.Errorf("%v: encrypted %v", k, k.Encrypted())
		}
		if k.Secured() != (k.Encrypted() && k != HTTP) {
			t.Errorf("%v: encrypted by us %v", k, k.Secured())
		}
	}
}

func TestPlainDNSIsOneServiceByTwoKinds(t *testing.T) {
	if got := Offering("dns"); !slices.Equal(got, []Kind{UDP, TCP}) {
		t.Errorf("dns is offered by %v", got)
	}
	if got := Offering("xdp"); got != nil {
		t.Errorf("an unknown service is offered by %v", got)
	}
}

// DNS over TLS and over QUIC share port 853 (RFC 9250, section 4.1.1).
func TestKindsThatShareAPort(t *testing.T) {
	if TLS.Network() == QUIC.Network() {
		t.Error("TLS and QUIC cannot share a port")
	}
	if TLS.Network() != TCP.Network() || HTTPS.Network() != TCP.Network() || QUIC.Network() != UDP.Network() {
		t.Error("what runs over a network does not live in its sockets")
	}
}

func TestIndex(t *testing.T) {
	for i := range Count {
		if got := At(i).Index(); got != i {
			t.Errorf("transport %d has index %d", i, got)
		}
	}
}

func TestFamilyOf(t *testing.T) {
	for text, want := range map[string]Family{"192.0.2.1": IPv4, "::ffff:192.0.2.1": IPv4, "2001:db8::1": IPv6} {
		if got := FamilyOf(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: family %d, want %d", text, got, want)
		}
	}
}
