package dnsname

// A key is a name in the order of the cache: labels from the root's side,
// lower case, a zero octet after each. Octets 0 and 1 inside a label are
// escaped with a leading 1, so a zero octet always ends a label and a subtree
// is exactly the keys that have its own key as a prefix. The order of keys is
// the canonical order of names (RFC 4034, section 6.1), since escapes stand below
// all other octets in the order of what they stand for.

// MaxKeyLen bounds the key of any name: each octet may be escaped.
const MaxKeyLen = 2 * MaxLen

// AppendKey appends the key of n to dst.
func (n Name) AppendKey(dst []byte) []byte {
	var at [MaxLen/2 + 1]uint8
	for i := labelStarts(n, &at) - 1; i >= 0; i-- {
		for p, e := int(at[i])+1, int(at[i])+1+int(n[at[i]]); p < e; p++ {
			dst = appendKeyOctet(dst, n[p])
		}
		dst = append(dst, 0)
	}
	return dst
}

// AppendWireKey appends the key of the wire name at the start of wire, whose
// case need not be folded. It is AppendKey for the listener's thread, which has
// no Name and must not allocate one; ok is false for a malformed name.
func AppendWireKey(dst, wire []byte) (key []byte, ok bool) {
	var at [MaxLen/2 + 1]uint8
	c, p := 0, 0
	for {
		if p >= len(wire) || p >= MaxLen {
			return dst, false
		}
		l := int(wire[p])
		if l == 0 {
			break
		}
		if l > MaxLabel {
			return dst, false
		}
		at[c] = uint8(p)
		c++
		p += l + 1
	}
	k := len(dst)
	if cap(dst)-k < MaxKeyLen {
		dst = append(dst, make([]byte, MaxKeyLen)...)
	}
	out := dst[:k+MaxKeyLen] // whole, so that the loop below only stores
	for i := c - 1; i >= 0; i-- {
		s := int(at[i]) + 1
		for _, o := range wire[s : s+int(wire[s-1])] {
			if o <= 1 {
				out[k] = 1
				k++
				o++
			}
			out[k] = lower[o]
			k++
		}
		out[k] = 0
		k++
	}
	return out[:k], true
}

func appendKeyOctet(dst []byte, c byte) []byte {
	if c <= 1 {
		return append(dst, 1, c+1)
	}
	return append(dst, c)
}

// FromKey reads the name whose key stands at the start of key, up to the first
// empty label or the end, and returns what follows it.
func FromKey(key []byte) (n Name, rest []byte, err error) {
	var labels [][]byte
	total := 1
	for len(key) > 0 && key[0] != 0 {
		label, r, err := keyLabel(key)
		if err != nil {
			return "", nil, err
		}
		labels = append(labels, label)
		total += len(label) + 1
		key = r
	}
	if total > MaxLen {
		return "", nil, ErrNameLong
	}
	out := make([]byte, 0, total)
	for i := len(labels) - 1; i >= 0; i-- {
		out = append(append(out, byte(len(labels[i]))), labels[i]...)
	}
	return Name(append(out, 0)), key, nil
}

func keyLabel(key []byte) (label, rest []byte, err error) {
	for i := 0; i < len(key); i++ {
		switch c := key[i]; {
		case c == 0:
			if len(label) > MaxLabel {
				return nil, nil, ErrLabelLong
			}
			return label, key[i+1:], nil
		case c == 1:
			i++
			if i >= len(key) || key[i] < 1 || key[i] > 2 {
				return nil, nil, ErrWire
			}
			label = append(label, key[i]-1)
		default:
			label = append(label, c)
		}
	}
	return nil, nil, ErrWire
}
