package upstream

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

// The server cookie of RFC 9018, appendix A.1.
func TestTheHashOfCookies(t *testing.T) {
	secret, _ := hex.DecodeString("e5e973e5a6b2a43f48e7dc849e37bfcf")
	input, _ := hex.DecodeString("2464c4abcf10c957" + "010000005cf79f11" + "c6336464")
	key := cookieSecret(secret)
	sum := key.hash(input)
	if got := hex.EncodeToString(sum[:]); got != "1f8130c3eee29480" {
		t.Errorf("the RFC's example: %s", got)
	}
}

// A cookie is made for each question, so it costs no memory.
func TestACookieCostsNoMemory(t *testing.T) {
	secret, to, source := cookieSecret{1}, netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddr("2001:db8::1")
	var c clientCookie
	if n := testing.AllocsPerRun(100, func() { c = makeCookie(&secret, to, source) }); n != 0 {
		t.Errorf("%v allocations for %x", n, c)
	}
}
