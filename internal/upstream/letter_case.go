package upstream

import "kresd/internal/dnsname"

// appendMixed appends the wire name with each letter in upper or lower case by
// one random bit (draft-vixie-dnsext-dns0x20). Octets of length are at most 63
// and so never letters.
func appendMixed(dst []byte, name dnsname.Name, rnd *entropy) []byte {
	var bits [(dnsname.MaxLen + 7) / 8]byte
	rnd.read(bits[:(len(name)+7)/8])
	for i := range len(name) {
		c := name[i]
		if c-'a' < 26 && bits[i/8]>>(i%8)&1 != 0 {
			c ^= 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

// equalFold compares two wire names of equal length without regard to case.
func equalFold(a, b []byte) bool {
	for i, c := range a {
		if dnsname.Lower(c) != dnsname.Lower(b[i]) {
			return false
		}
	}
	return true
}
