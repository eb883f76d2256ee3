package cli

import (
	"net/netip"
	"testing"
)

func TestCommandListensElsewhere(t *testing.T) {
	at := func(text, kind string) Addr { return Addr{AddrPort: netip.MustParseAddrPort(text), Kind: kind} }
	for _, c := range []struct {
		args  []string
		addrs []Addr
		want  string
	}{
		{nil, []Addr{at("127.0.0.1:5353", "dns")}, "kresd -a 127.0.0.1@5353"},
		{[]string{"-vf4", "--addr=127.0.0.1", "-a", "::1", "my dir"}, []Addr{at("127.0.0.1:5353", "dns"), at("[::1]:5353", "dns")}, "kresd -a 127.0.0.1@5353 -a ::1@5353 -v -f 4 'my dir'"},
		{[]string{"-t127.0.0.1", "--config", "it's", "--log-format=json"}, []Addr{at("127.0.0.1:8853", "tls")}, `kresd -t 127.0.0.1@8853 -c 'it'\''s' --log-format json`},
	} {
		if got := Command("kresd", c.args, c.addrs); got != c.want {
			t.Errorf("%q: %s, want %s", c.args, got, c.want)
		}
	}
}
