package hints

import (
	"net/netip"
	"slices"

	"kresd/internal/dnsname"
)

// table is one state of the hints. A published table is never changed.
type table struct {
	forward map[dnsname.Name][]netip.Addr
	// reverse holds the name that a PTR question is told: the one added last.
	reverse map[dnsname.Name][]dnsname.Name
}

func newTable() *table {
	return &table{forward: map[dnsname.Name][]netip.Addr{}, reverse: map[dnsname.Name][]dnsname.Name{}}
}

func (t *table) clone() *table {
	n := newTable()
	for k, v := range t.forward {
		n.forward[k] = slices.Clone(v)
	}
	for k, v := range t.reverse {
		n.reverse[k] = slices.Clone(v)
	}
	return n
}

func (t *table) add(name dnsname.Name, a netip.Addr) {
	if !slices.Contains(t.forward[name], a) {
		t.forward[name] = append(t.forward[name], a)
	}
	rev := reverseName(a)
	names := slices.DeleteFunc(t.reverse[rev], func(n dnsname.Name) bool { return n == name })
	t.reverse[rev] = append(names, name)
}

// remove takes one address of a name out, or all when a is invalid, and tells
// whether there was any.
func (t *table) remove(name dnsname.Name, a netip.Addr) bool {
	found := false
	for _, old := range slices.Clone(t.forward[name]) {
		if a.IsValid() && old != a {
			continue
		}
		found = true
		t.forward[name] = slices.DeleteFunc(t.forward[name], func(x netip.Addr) bool { return x == old })
		rev := reverseName(old)
		t.reverse[rev] = slices.DeleteFunc(t.reverse[rev], func(n dnsname.Name) bool { return n == name })
		if len(t.reverse[rev]) == 0 {
			delete(t.reverse, rev)
		}
	}
	if len(t.forward[name]) == 0 {
		delete(t.forward, name)
	}
	return found
}

func (t *table) empty() bool { return len(t.forward) == 0 }

// reverseName is where the PTR record of an address stands (RFC 1035, section
// 3.5; RFC 3596, section 2.5).
func reverseName(a netip.Addr) dnsname.Name {
	var out []byte
	raw := a.AsSlice()
	for i := len(raw) - 1; i >= 0; i-- {
		if a.Is4() {
			out = appendLabel(out, decimal(raw[i]))
			continue
		}
		const hex = "0123456789abcdef"
		out = append(out, 1, hex[raw[i]&15], 1, hex[raw[i]>>4])
	}
	if a.Is4() {
		out = appendLabel(out, "in-addr")
	} else {
		out = appendLabel(out, "ip6")
	}
	return dnsname.Name(append(appendLabel(out, "arpa"), 0))
}

func appendLabel(out []byte, label string) []byte {
	return append(append(out, byte(len(label))), label...)
}

func decimal(b byte) string {
	switch {
	case b >= 100:
		return string([]byte{'0' + b/100, '0' + b/10%10, '0' + b%10})
	case b >= 10:
		return string([]byte{'0' + b/10, '0' + b%10})
	}
	return string([]byte{'0' + b})
}
