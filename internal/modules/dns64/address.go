package dns64

import (
	"net/netip"
	"strconv"

	"kresd/internal/dnsname"
	"kresd/internal/selection"
)

// reserved is the octet that is zero in such addresses (RFC 6052, section 2.2).
const reserved = 8

// embed is an IPv4 address behind a prefix of 32, 40, 48, 56, 64 or 96 bits.
func embed(prefix netip.Prefix, four [4]byte) netip.Addr {
	octets, at := prefix.Addr().As16(), prefix.Bits()/8
	for _, b := range four {
		if at == reserved {
			at++
		}
		octets[at] = b
		at++
	}
	return netip.AddrFrom16(octets)
}

// global tells whether an address may stand behind the well-known prefix, by which it leads
// outside (RFC 6052, section 3.1). Addresses for documentation may: they lead nowhere.
func global(four [4]byte) bool {
	const reserved = 240 // and above (RFC 1112, section 4)
	a := netip.AddrFrom4(four)
	return !selection.Local(a) && !a.IsMulticast() && four[0] < reserved
}

// extract is the IPv4 address in an address; ok is false where there is none.
func extract(prefix netip.Prefix, a netip.Addr) (four [4]byte, ok bool) {
	if !prefix.Contains(a) {
		return four, false
	}
	octets, at := a.As16(), prefix.Bits()/8
	for i := range four {
		if at == reserved {
			at++
		}
		four[i] = octets[at]
		at++
	}
	return four, embed(prefix, four) == a // all else is zero
}

// reverse6 is what names of IPv6 addresses end in, of which each hexadecimal digit is a label
// (RFC 3596, section 2.5).
const reverse6 = "\x03ip6\x04arpa\x00"

// addressOf is the address whose name it is; ok is false where it is that of none.
func addressOf(name []byte) (a netip.Addr, ok bool) {
	const digits = 32
	if len(name) != 2*digits+len(reverse6) || string(name[2*digits:]) != reverse6 {
		return a, false
	}
	var octets [16]byte
	for i := range digits {
		if name[2*i] != 1 {
			return a, false
		}
		digit, ok := hexadecimal(name[2*i+1])
		if !ok {
			return a, false
		}
		octets[15-i/2] |= digit << (4 * (i % 2))
	}
	return netip.AddrFrom16(octets), true
}

func hexadecimal(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// nameOf is the name of an IPv4 address (RFC 1035, section 3.5).
func nameOf(four [4]byte) dnsname.Name {
	var wire []byte
	for i := len(four) - 1; i >= 0; i-- {
		text := strconv.Itoa(int(four[i]))
		wire = append(append(wire, byte(len(text))), text...)
	}
	return dnsname.Name(append(wire, "\x07in-addr\x04arpa\x00"...))
}
