// Package dnsname is the one representation of a domain name inside the
// resolver: uncompressed wire form, lower case, as an immutable string.
//
// Names are made canonical once, where they enter (RFC 4343, section 3; RFC
// 4034, section 6.2), so that everywhere else equality is ==, a name is a map
// key, and an ancestor is a suffix that starts at a label boundary.
//
// The spelling that a client used is not kept here: it lives in the client's
// message and is echoed from there.
package dnsname

import "errors"

// Limits of RFC 1035, section 2.3.4, in octets.
const (
	MaxLen   = 255
	MaxLabel = 63
)

// Errors of Parse and FromWire.
var (
	ErrEmptyLabel = errors.New("empty label")
	ErrLabelLong  = errors.New("label longer than 63 octets")
	ErrNameLong   = errors.New("name longer than 255 octets")
	ErrEscape     = errors.New("bad escape")
	ErrEmpty      = errors.New("empty name")
	ErrWire       = errors.New("malformed wire name")
)

// Name is a domain name in canonical wire form: length-prefixed labels, lower
// case, ending with the empty label of the root. The zero value "" is not a
// name; it stands for "none".
type Name string

// Root is the name of the root.
const Root Name = "\x00"

// lower is Lower as a table, for loops over whole names.
var lower = func() (t [256]byte) {
	for i := range t {
		t[i] = Lower(byte(i))
	}
	return t
}()

// Lower maps an octet to lower case as DNS does: only A to Z (RFC 4343).
func Lower(c byte) byte {
	if c-'A' < 26 {
		c |= 0x20
	}
	return c
}

// FromWire makes a Name of the uncompressed wire name at the start of b,
// folding its case. Octets behind the name are ignored.
func FromWire(b []byte) (Name, error) {
	n := wireLen(b)
	if n == 0 {
		return "", ErrWire
	}
	var buf [MaxLen]byte
	copyLower(buf[:n], b[:n])
	return Name(buf[:n]), nil
}

// copyLower folds a whole wire name. Length octets are at most 63, below 'A',
// so folding every octet leaves them alone.
func copyLower(dst, src []byte) {
	for i, c := range src {
		dst[i] = Lower(c)
	}
}

// wireLen returns the length of the wire name at the start of b with its final
// zero octet, or 0 when there is no well-formed uncompressed name.
func wireLen(b []byte) int {
	for p := 0; p < len(b) && p < MaxLen; {
		l := int(b[p])
		if l == 0 {
			return p + 1
		}
		if l > MaxLabel {
			return 0
		}
		p += l + 1
	}
	return 0
}

// Len is the length of the name's uncompressed wire form in octets.
func (n Name) Len() int { return len(n) }

// IsRoot tells whether n is the root.
func (n Name) IsRoot() bool { return n == Root }

// Labels counts the labels of n without the root's empty one; an asterisk
// counts like any other label.
func (n Name) Labels() int {
	c := 0
	for p := 0; p < len(n) && n[p] != 0; p += int(n[p]) + 1 {
		c++
	}
	return c
}

// Label returns the first (leftmost) label of n without its length octet, ""
// for the root.
func (n Name) Label() string {
	if len(n) == 0 || n[0] == 0 {
		return ""
	}
	return string(n[1 : 1+int(n[0])])
}

// Parent is n without its first label. The root's parent is the root.
func (n Name) Parent() Name {
	if len(n) == 0 || n[0] == 0 {
		return Root
	}
	return n[int(n[0])+1:]
}

// Suffix is the ancestor-or-self of n that has the given number of labels; n
// itself when it has no more than that.
func (n Name) Suffix(labels int) Name {
	for c := n.Labels(); c > labels; c-- {
		n = n.Parent()
	}
	return n
}

// IsSubdomainOf tells whether n is zone or lies below it.
func (n Name) IsSubdomainOf(zone Name) bool {
	d := len(n) - len(zone)
	if d < 0 || n[d:] != zone {
		return false
	}
	p := 0
	for p < d {
		p += int(n[p]) + 1
	}
	return p == d
}

// IsStrictlyBelow tells whether n lies below zone and is not zone itself.
func (n Name) IsStrictlyBelow(zone Name) bool {
	return len(n) > len(zone) && n.IsSubdomainOf(zone)
}

// IsWildcard tells whether the first label of n is a single asterisk (RFC
// 4592, section 2.1.1).
func (n Name) IsWildcard() bool { return len(n) > 1 && n[0] == 1 && n[1] == '*' }

// CommonAncestor is the closest name that both a and b lie at or below.
func CommonAncestor(a, b Name) Name {
	la, lb := a.Labels(), b.Labels()
	a, b = a.Suffix(lb), b.Suffix(la)
	for a != b {
		a, b = a.Parent(), b.Parent()
	}
	return a
}

// Rebase replaces the suffix from of n by to, as a DNAME does (RFC 6672,
// section 2.2). It fails when n is not strictly below from and when the result
// would be too long.
func (n Name) Rebase(from, to Name) (Name, error) {
	if !n.IsStrictlyBelow(from) {
		return "", ErrWire
	}
	keep := n[:len(n)-len(from)]
	if len(keep)+len(to) > MaxLen {
		return "", ErrNameLong
	}
	return keep + to, nil
}

// Prepend puts one label in front of n.
func (n Name) Prepend(label string) (Name, error) {
	if len(label) == 0 {
		return "", ErrEmptyLabel
	}
	if len(label) > MaxLabel {
		return "", ErrLabelLong
	}
	if len(label)+1+len(n) > MaxLen {
		return "", ErrNameLong
	}
	return Name(append([]byte{byte(len(label))}, lowerString(label)...)) + n, nil
}

func lowerString(s string) []byte {
	b := make([]byte, len(s))
	copyLower(b, []byte(s))
	return b
}
