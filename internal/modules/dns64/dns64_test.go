package dns64

import (
	"net/netip"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// The examples of RFC 6052, section 2.4.
func TestAddressesOfEveryPrefix(t *testing.T) {
	four := [4]byte{192, 0, 2, 33}
	for prefix, want := range map[string]string{
		"2001:db8::/32": "2001:db8:c000:221::", "2001:db8:100::/40": "2001:db8:1c0:2:21::", "2001:db8:122::/48": "2001:db8:122:c000:2:2100::",
		"2001:db8:122:300::/56": "2001:db8:122:3c0:0:221::", "2001:db8:122:344::/64": "2001:db8:122:344:c0:2:2100::", "2001:db8:122:344::/96": "2001:db8:122:344::192.0.2.33",
		"64:ff9b::": "64:ff9b::192.0.2.33",
	} {
		p, err := prefixOf(prefix)
		if err != nil {
			t.Fatal(err)
		}
		a := embed(p, four)
		if a != netip.MustParseAddr(want) {
			t.Errorf("%s: %s, want %s", prefix, a, want)
		}
		if got, ok := extract(p, a); !ok || got != four {
			t.Errorf("%s: %v is in %s", prefix, got, a)
		}
	}
}

func TestOptionsThatAreWrong(t *testing.T) {
	for want, value := range map[string]any{
		"'10.0.0.0' is no prefix": "10.0.0.0", "'64:ff9b::/95' is no prefix": "64:ff9b::/95", "'64:ff9b::1' is no prefix": "64:ff9b::1", "'x' is no prefix": "x",
		"'2001:db8:0:0:100::/96' is no prefix": "2001:db8:0:0:100::/96", "a prefix or a table": 5.0, "option prefx: there is none": (&luavalue.Table{}).Add("prefx", "x"),
		"option rev_ttl: a number of seconds expected": (&luavalue.Table{}).Add("rev_ttl", -1.0), "option exclude_subnets: a list of IPv6": (&luavalue.Table{}).Add("exclude_subnets", "::/0"),
		"'10.0.0.0/8' is no network of IPv6": (&luavalue.Table{}).Add("exclude_subnets", luavalue.List("10.0.0.0/8")),
	} {
		if _, err := optionsOf(value); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", value, err, want)
		}
	}
}

// FuzzAddressOf: a name is that of an address whose digits stand in it, or of none.
func FuzzAddressOf(f *testing.F) {
	f.Add([]byte(strings.Repeat("\x01f", 32) + reverse6))
	f.Add([]byte(strings.Repeat("\x01g", 32) + reverse6))
	f.Add([]byte(strings.Repeat("\x010", 31) + "\x020" + reverse6[1:]))
	f.Fuzz(func(t *testing.T, name []byte) {
		a, ok := addressOf(name)
		if !ok {
			return
		}
		octets := a.As16()
		var again []byte
		for i := 15; i >= 0; i-- {
			again = append(again, 1, "0123456789abcdef"[octets[i]&15], 1, "0123456789abcdef"[octets[i]>>4])
		}
		if string(again)+reverse6 != string(name) {
			t.Errorf("%q is taken for %s", name, a)
		}
	})
}

// A zone has signed the addresses that are left out, and that a wildcard made them: not that
// there are none.
func TestThatNoAddressIsLeftIsNotProven(t *testing.T) {
	o := &options{exclude: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}}
	six := netip.MustParseAddr("2001:db8::1").As16()
	signed := func(owner dnsname.Name, rrtype uint16, data []byte) resolve.Set {
		return resolve.Set{RRset: wire.RRset{Owner: owner, Type: rrtype, Class: wire.ClassIN, TTL: 60, Data: [][]byte{data}}, Rank: rank.Secure | rank.Auth}
	}
	alias, address, proof := signed("\x01a\x00", wire.TypeCNAME, []byte("\x01b\x00")), signed("\x01b\x00", wire.TypeAAAA, six[:]), signed("\x01a\x00", wire.TypeNSEC, []byte("\x00"))
	for what, answer := range map[string][]resolve.Set{"alone": {address}, "behind an alias": {alias, address}} {
		out := resolve.Outcome{Kind: resolve.Positive, Answer: answer, Authority: []resolve.Set{proof}}
		if !o.exclude6(&out) || out.Kind != resolve.NoData || out.Rank().IsSecure() || len(out.Authority) > 0 {
			t.Errorf("%s: %+v, rank %d", what, out, out.Rank())
		}
	}
}
