package wire

import "kresd/internal/dnsname"

// A layout says where the names stand in the RDATA of a type, and the least
// that must be there. Each letter is one field:
//
//	n  a name that may be compressed, and that canonical form lowers
//	u  a name that must not be compressed, and keeps its case
//	s  a character string
//	1  2 4 6 0: that many octets (6 is sixteen, 0 is eighteen)
//	*  the rest, whatever it is
//
// A layout without * must fill the RDATA exactly.
//
// Names may be compressed on the way out only in the types of RFC 1035 (RFC
// 3597, section 4); on the way in the types of that section are accepted too.
type layout struct {
	fields   string
	compress bool
}

// layoutOf returns the layout of a type; ok is false for a type whose RDATA is
// opaque. RRSIG's signer and NSEC's next name are never compressed on the way out;
// RFC 6840, section 5.1, keeps the case of the latter. A pointer in it would be
// passed on, and mean something else in the message for the client.
func layoutOf(t uint16) (layout, bool) {
	switch t {
	case TypeA:
		return layout{"4", false}, true
	case TypeAAAA:
		return layout{"6", false}, true
	case TypeNS, TypeCNAME, TypePTR, 3, 4, 7, 8, 9: // MD MF MB MG MR
		return layout{"n", true}, true
	case TypeDNAME:
		return layout{"n", false}, true
	case TypeSOA:
		return layout{"nn44444", true}, true
	case 14: // MINFO
		return layout{"nn", true}, true
	case TypeMX:
		return layout{"2n", true}, true
	case 18, 21, 36: // AFSDB RT KX
		return layout{"2n", false}, true
	case 17: // RP
		return layout{"nn", false}, true
	case 26: // PX
		return layout{"2nn", false}, true
	case TypeSRV:
		return layout{"222n", false}, true
	case 35: // NAPTR
		return layout{"22sssn", false}, true
	case TypeSIG, TypeRRSIG:
		return layout{"0n*", false}, true
	case TypeNSEC:
		return layout{"u*", false}, true
	case TypeHINFO:
		return layout{"ss", false}, true
	case TypeTXT, 99: // SPF
		return layout{"s*", false}, true
	case TypeDS, 59, 32769: // CDS DLV
		return layout{"4*", false}, true
	case TypeDNSKEY, 60: // CDNSKEY
		return layout{"4*", false}, true
	case TypeNSEC3PARAM:
		return layout{"4s", false}, true
	case TypeNSEC3:
		return layout{"4ss*", false}, true
	}
	return layout{}, false
}

// Fits tells whether RDATA, with its names uncompressed, is laid out as its type
// demands. Of a type whose RDATA is opaque, all is.
func Fits(t uint16, data []byte) bool {
	l, known := layoutOf(t)
	if !known {
		return true
	}
	for i := 0; i < len(l.fields); i++ {
		n := fieldLen(l.fields[i])
		switch f := l.fields[i]; {
		case f == 'n', f == 'u':
			name, err := dnsname.FromWire(data)
			if err != nil {
				return false
			}
			n = name.Len()
		case f == 's' && len(data) > 0:
			n = 1 + int(data[0])
		case f == 's':
			n = 1
		case f == '*':
			n = len(data)
		}
		if n > len(data) {
			return false
		}
		data = data[n:]
	}
	return len(data) == 0
}

// fieldLen is the length of a field of fixed length, 0 for n, s and *.
func fieldLen(f byte) int {
	switch f {
	case '1', '2', '4':
		return int(f - '0')
	case '6':
		return 16
	case '0':
		return 18
	}
	return 0
}
