package listen

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"kresd/internal/limits"
)

// proxyHeader is a header with the given command, family and what follows.
func proxyHeader(command, family byte, rest ...[]byte) []byte {
	all := bytes.Join(rest, nil)
	b := append([]byte(proxySignature), command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(all)))
	return append(b, all...)
}

// ends are the addresses and ports of both ends, as they stand in a header.
func ends(client, local string) []byte {
	c, l := netip.MustParseAddrPort(client), netip.MustParseAddrPort(local)
	b := append(c.Addr().AsSlice(), l.Addr().AsSlice()...)
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, c.Port()), l.Port())
}

// item is what may follow the addresses.
func item(kind byte, n int) []byte {
	b := binary.BigEndian.AppendUint16([]byte{kind}, uint16(n))
	return append(b, make([]byte, n)...)
}

const (
	client4, local4 = "192.0.2.9:5353", "198.51.100.1:53"
	client6, local6 = "[2001:db8::9]:5353", "[2001:db8::1]:53"
)

func TestProxyHeadersAreRead(t *testing.T) {
	four, six := ends(client4, local4), ends(client6, local6)
	for name, c := range map[string]struct {
		header        []byte
		client, local string // "": those of the connection
	}{
		"IPv4 datagrams":        {proxyHeader(proxyOther, 0x12, four), client4, local4},
		"IPv4 stream":           {proxyHeader(proxyOther, 0x11, four), client4, local4},
		"IPv6 datagrams":        {proxyHeader(proxyOther, 0x22, six), client6, local6},
		"IPv6 stream":           {proxyHeader(proxyOther, 0x21, six), client6, local6},
		"IPv4 mapped":           {proxyHeader(proxyOther, 0x22, ends("[::ffff:192.0.2.9]:5353", "[::ffff:198.51.100.1]:53")), client4, local4},
		"with items":            {proxyHeader(proxyOther, 0x12, four, item(4, 7), item(0xe0, 0), item(3, 4)), client4, local4},
		"as long as may be":     {proxyHeader(proxyOther, 0x12, four, item(4, limits.ProxyHeader-proxyFixed-len(four)-3)), client4, local4},
		"the proxy itself":      {proxyHeader(proxyLocal, 0x00), "", ""},
		"itself, with a family": {proxyHeader(proxyLocal, 0x12, four), "", ""},
		"itself, with anything": {proxyHeader(proxyLocal, 0x77, []byte("whatever")), "", ""},
	} {
		p, err := parseProxyHeader(c.header)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, end := range []struct {
			got  netip.AddrPort
			want string
		}{{p.client, c.client}, {p.local, c.local}} {
			if got := end.got.String(); end.want == "" && end.got.IsValid() || end.want != "" && got != end.want {
				t.Errorf("%s: %s, want %q", name, got, end.want)
			}
		}
	}
}

// forgeries are headers that are wrong in one thing each.
func forgeries() map[string][]byte {
	four, six := ends(client4, local4), ends(client6, local6)
	good := proxyHeader(proxyOther, 0x12, four)
	all := map[string][]byte{
		"nothing":             {},
		"a query":             ask(1, 'f'),
		"version 1":           []byte("PROXY TCP4 192.0.2.9 198.51.100.1 5353 53\r\n"),
		"version 0":           proxyHeader(0x01, 0x12, four),
		"version 1 in binary": proxyHeader(0x11, 0x12, four),
		"version 3":           proxyHeader(0x31, 0x12, four),
		"command 2":           proxyHeader(0x22, 0x12, four),
		"command 15":          proxyHeader(0x2f, 0x12, four),
		"nobody's":            proxyHeader(proxyOther, 0x00),
		"nobody's datagrams":  proxyHeader(proxyOther, 0x02, four),
		"no transport":        proxyHeader(proxyOther, 0x10, four),
		"no transport, IPv6":  proxyHeader(proxyOther, 0x20, six),
		"transport 3":         proxyHeader(proxyOther, 0x13, four),
		"family 3, a path":    proxyHeader(proxyOther, 0x31, make([]byte, 216)),
		"family 4":            proxyHeader(proxyOther, 0x41, six),
		"family 15":           proxyHeader(proxyOther, 0xf1, six),
		"IPv4 in too little":  proxyHeader(proxyOther, 0x12, four[:11]),
		"IPv6 in too little":  proxyHeader(proxyOther, 0x22, six[:35]),
		"IPv6 in IPv4's room": proxyHeader(proxyOther, 0x22, four),
		"no addresses":        proxyHeader(proxyOther, 0x12),
		"an item too long":    proxyHeader(proxyOther, 0x12, four, []byte{4, 0, 9, 1}),
		"an item of 64 KiB":   proxyHeader(proxyOther, 0x12, four, []byte{4, 0xff, 0xff}),
		"half an item":        proxyHeader(proxyOther, 0x12, four, []byte{4, 0}),
		"an octet behind":     proxyHeader(proxyOther, 0x12, four, []byte{4}),
		"from everybody":      proxyHeader(proxyOther, 0x12, ends("0.0.0.0:5353", local4)),
		"from everybody, six": proxyHeader(proxyOther, 0x22, ends("[::]:5353", local6)),
		"mapped everybody":    proxyHeader(proxyOther, 0x22, ends("[::ffff:0.0.0.0]:5353", local6)),
		"from a group":        proxyHeader(proxyOther, 0x12, ends("224.0.0.251:5353", local4)),
		"from a group, six":   proxyHeader(proxyOther, 0x22, ends("[ff02::fb]:5353", local6)),
		"an octet too long":   proxyHeader(proxyOther, 0x12, four, item(4, limits.ProxyHeader-proxyFixed-len(four)-2)),
		"64 KiB":              proxyHeader(proxyOther, 0x12, four, item(4, 65535-len(four)-3)),
		"more than it says":   append(bytes.Clone(good), 0),
	}
	for i := range len(proxySignature) {
		bad := bytes.Clone(good)
		bad[i] ^= 0x20
		all["signature, octet "+string(rune('a'+i))] = bad
	}
	for n := range len(good) {
		all["cut at "+strings.Repeat("|", n)] = good[:n]
	}
	return all
}

func TestForgedProxyHeadersAreRefused(t *testing.T) {
	accepted := 0
	for name, b := range forgeries() {
		if p, err := parseProxyHeader(b); err == nil {
			t.Errorf("%s: read as %+v", name, p)
			accepted++
		}
	}
	t.Logf("%d forged headers, %d accepted", len(forgeries()), accepted)
}

func FuzzProxyHeader(f *testing.F) {
	for _, b := range forgeries() {
		f.Add(b)
	}
	f.Add(proxyHeader(proxyOther, 0x12, ends(client4, local4), item(4, 7)))
	f.Add(proxyHeader(proxyOther, 0x22, ends(client6, local6)))
	f.Add(proxyHeader(proxyLocal, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := proxyHeaderLen(b)
		if err == nil && (n < proxyFixed || n > limits.ProxyHeader) {
			t.Fatalf("a header of %d octets", n)
		}
		p, whole := parseProxyHeader(b)
		if whole == nil && (err != nil || n != len(b)) {
			t.Fatal("read further than the header says that it is")
		}
		if whole != nil && p != (proxied{}) {
			t.Fatal("a refused header names a client")
		}
		if p.client.IsValid() != p.local.IsValid() || p.client.Addr().IsUnspecified() || p.client.Addr().Is4In6() {
			t.Fatalf("%+v", p)
		}
		read, err := readProxyHeader(bytes.NewReader(b))
		if whole == nil && (err != nil || read != p) {
			t.Fatalf("from a stream: %+v, %v; want %+v", read, err, p)
		}
	})
}
