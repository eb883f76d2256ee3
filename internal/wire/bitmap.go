package wire

import "kresd/internal/dnsname"

// NSECHas tells whether the RDATA of an NSEC record says that its owner has
// records of a type (RFC 4034, section 4.1). It is false for what is no NSEC.
func NSECHas(rdata []byte, t uint16) bool {
	next, err := dnsname.FromWire(rdata)
	return err == nil && InBitmap(rdata[next.Len():], t)
}

// IsBitmap tells whether octets are a type bit map (RFC 4034, section 4.1.2): blocks of a
// window number, each above that of the block before, a length from 1 to 32 and that many
// octets. Zeros at the end of a block, which do not belong there, change nothing.
func IsBitmap(m []byte) bool {
	for window := -1; len(m) > 0; {
		if len(m) < 2 || int(m[0]) <= window || m[1] == 0 || m[1] > 32 || len(m) < 2+int(m[1]) {
			return false
		}
		window, m = int(m[0]), m[2+int(m[1]):]
	}
	return true
}

// InBitmap looks for a type in a type bit map.
func InBitmap(m []byte, t uint16) bool {
	for len(m) > 2 {
		n := int(m[1])
		if n == 0 || n > 32 || len(m) < 2+n {
			return false
		}
		if m[0] == byte(t>>8) {
			at := int(t&0xff) / 8
			return at < n && m[2+at]&(0x80>>(t&7)) != 0
		}
		m = m[2+n:]
	}
	return false
}
