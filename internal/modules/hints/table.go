package hints

import (
	"maps"
	"net/netip"
	"slices"

	"kresd/internal/digest"
	"kresd/internal/dnsname"
)

// shards is how many maps hold the names, so that a change copies only a small
// part of a large table.
const shards = 256

// table is one state of the hints. A published table is never changed: a change
// works on a clone, which shares what it has not touched. Each clone is made of
// the latest table, so lists may grow in place: older tables do not see beyond
// the length that they know.
type table struct {
	forward [shards]map[dnsname.Name][]netip.Addr
	// reverse holds the names of an address, the one added last at the end: it is
	// what a PTR question is told. A name may stand there more than once.
	reverse [shards]map[dnsname.Name][]dnsname.Name
	// ownForward and ownReverse tell which maps belong to this table alone.
	ownForward, ownReverse [shards]bool
	names                  int
	// sum is a number for all names with their addresses, the same in all processes and
	// whatever their order; 0 where there are none.
	sum uint64
}

func newTable() *table { return &table{} }

func (t *table) clone() *table {
	n := *t
	clear(n.ownForward[:])
	clear(n.ownReverse[:])
	return &n
}

// shard is a name's place (FNV-1a).
func shard[T ~string | ~[]byte](name T) int {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return int(h % shards)
}

// addrs are the addresses of a name.
func (t *table) addrs(name dnsname.Name) []netip.Addr { return t.forward[shard(name)][name] }

// host is the name of an address, given as the owner of its PTR record.
func (t *table) host(owner dnsname.Name) (name dnsname.Name, known bool) {
	names := t.reverse[shard(owner)][owner]
	if len(names) == 0 {
		return "", false
	}
	return names[len(names)-1], true
}

// about is what the table has about a name in wire form and lower case: its
// addresses, and the host whose address it is the reverse of. It allocates
// nothing.
func (t *table) about(name []byte) (host dnsname.Name, addrs []netip.Addr, known bool) {
	s := shard(name)
	if hosts := t.reverse[s][dnsname.Name(name)]; len(hosts) > 0 {
		host = hosts[len(hosts)-1]
	}
	addrs = t.forward[s][dnsname.Name(name)]
	return host, addrs, host != "" || len(addrs) > 0
}

func (t *table) each(fn func(name dnsname.Name, addrs []netip.Addr)) {
	for _, names := range t.forward {
		for name, addrs := range names {
			fn(name, addrs)
		}
	}
}

// writable returns the map of a name, as one that belongs to this table alone.
func writable[V any](all *[shards]map[dnsname.Name]V, own *[shards]bool, name dnsname.Name) map[dnsname.Name]V {
	s := shard(name)
	if !own[s] {
		own[s] = true
		all[s] = maps.Clone(all[s])
		if all[s] == nil {
			all[s] = map[dnsname.Name]V{}
		}
	}
	return all[s]
}

func (t *table) add(name dnsname.Name, a netip.Addr) {
	if old := t.addrs(name); !slices.Contains(old, a) {
		if len(old) == 0 {
			t.names++
		}
		writable(&t.forward, &t.ownForward, name)[name] = append(old, a)
		t.sum += number(name, a)
	}
	rev := reverseName(a)
	if last, known := t.host(rev); known && last == name {
		return
	}
	names := writable(&t.reverse, &t.ownReverse, rev)
	list := names[rev]
	if len(list) == cap(list) {
		list = latest(list)
	}
	names[rev] = append(list, name)
}

// latest copies a list without names that stand there again later, and with
// room for as many again, so that growing costs little for each name. (Hosts
// files give one address to a hundred thousand names.)
func latest(list []dnsname.Name) []dnsname.Name {
	seen := make(map[dnsname.Name]bool, len(list))
	out := make([]dnsname.Name, 0, 2*len(list)+1)
	for _, name := range slices.Backward(list) {
		if !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	slices.Reverse(out)
	return out
}

// remove takes one address of a name out, or all when a is invalid, and tells
// whether there was any.
func (t *table) remove(name dnsname.Name, a netip.Addr) bool {
	var gone, left []netip.Addr
	for _, old := range t.addrs(name) {
		if a.IsValid() && old != a {
			left = append(left, old)
		} else {
			gone = append(gone, old)
		}
	}
	if len(gone) == 0 {
		return false
	}
	forward := writable(&t.forward, &t.ownForward, name)
	forward[name] = left
	if len(left) == 0 {
		delete(forward, name)
		t.names--
	}
	for _, old := range gone {
		t.sum -= number(name, old)
		t.forgetHost(reverseName(old), name)
	}
	return true
}

// number tells an address of a name from all others.
func number(name dnsname.Name, a netip.Addr) uint64 {
	octets := a.As16()
	return digest.Of(string(name), string(octets[:]))
}

func (t *table) forgetHost(owner, name dnsname.Name) {
	reverse := writable(&t.reverse, &t.ownReverse, owner)
	var left []dnsname.Name
	for _, n := range reverse[owner] {
		if n != name {
			left = append(left, n)
		}
	}
	reverse[owner] = left
	if len(left) == 0 {
		delete(reverse, owner)
	}
}

func (t *table) empty() bool { return t.names == 0 }

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
