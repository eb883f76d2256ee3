package mime

import "encoding/base64"

// encode64 encodes groups of three octets.
func encode64(in []byte) (out, rest []byte) {
	whole := len(in) / 3 * 3
	return base64.StdEncoding.AppendEncode(nil, in[:whole]), in[whole:]
}

func finish64(rest []byte) []byte { return base64.StdEncoding.AppendEncode(nil, rest) }

// decode64 decodes groups of four characters, without the ones that are not of the
// alphabet (RFC 2045, section 6.8).
func decode64(in []byte) (out, rest []byte) {
	var group []byte
	for _, c := range in {
		if value(c) < 0 && c != '=' {
			continue
		}
		if group = append(group, c); len(group) == 4 {
			out, group = append(out, octets(group)...), group[:0]
		}
	}
	return out, group
}

// octets are the up to three octets of a group.
func octets(group []byte) []byte {
	var bits uint32
	for _, c := range group {
		bits = bits<<6 | uint32(max(0, value(c)))
	}
	n := 3
	switch {
	case group[2] == '=':
		n = 1
	case group[3] == '=':
		n = 2
	}
	return []byte{byte(bits >> 16), byte(bits >> 8), byte(bits)}[:n]
}

// value is the value of a character of the alphabet, or -1.
func value(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}
