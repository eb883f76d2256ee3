package policy

import (
	"hash/maphash"
	"sync/atomic"
	"unsafe"

	"golang.org/x/net/publicsuffix"

	"kresd/internal/digest"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/rules"
)

// ByDomain distributes names so that all below one registrable domain, a label and a public
// suffix, are in one slice: no second resolver learns of a visit to a site. Another seed
// distributes them anew. The list of public suffixes is built in.
type ByDomain struct {
	Seed uint64
	// known are names that were looked up, for the way of cached answers: the list allocates.
	// Each is 56 bits of the name's hash, and where its registrable domain begins.
	hash  maphash.Seed
	known [limits.SlicedNames]atomic.Uint64
}

// NewByDomain makes a slicer.
func NewByDomain(seed uint64) *ByDomain { return &ByDomain{Seed: seed, hash: maphash.MakeSeed()} }

// Slice implements rules.Slicer.
func (d *ByDomain) Slice(s *rules.Subject, n int) (slice, at int) {
	name := s.Name()
	at, slot, print, known := d.look(name)
	if !known {
		at = registrable(name)
		slot.Store(print<<8 | uint64(at))
	}
	return d.of(name[at:], n), at
}

// Known implements rules.Slicer. Names are remembered that Slice was asked about.
func (d *ByDomain) Known(s *rules.Subject, n int) (slice, at int, ok bool) {
	name := s.Name()
	if at, _, _, ok = d.look(name); !ok {
		return 0, 0, false
	}
	return d.of(name[at:], n), at, true
}

// of is the slice of a domain.
func (d *ByDomain) of(domain []byte, n int) int {
	h := d.Seed
	for _, c := range domain { // FNV-1a, as of digest.Of, which takes texts
		h = (h ^ uint64(c)) * 1099511628211
	}
	h ^= h >> 32 // the lower bits alone know little of the first octets
	return int(h % uint64(n))
}

// Digest implements rules.Slicer.
func (d *ByDomain) Digest() uint64 { return digest.Of("by domain") ^ d.Seed }

// look is where a name's registrable domain begins, if that is remembered, and otherwise what
// it is to be remembered by.
func (d *ByDomain) look(name []byte) (at int, slot *atomic.Uint64, print uint64, known bool) {
	print = maphash.Bytes(d.hash, name) >> 8
	slot = &d.known[print%limits.SlicedNames]
	v := slot.Load()
	return int(v & 0xff), slot, print, v>>8 == print && v != 0
}

// registrable is how many octets of a name in wire form stand before its registrable
// domain. A public suffix, and what is below none, stands for itself.
func registrable(name []byte) (at int) {
	if len(name) < 3 {
		return 0
	}
	// Each label's length becomes the dot before it, but the first.
	var buf [dnsname.MaxLen]byte
	text := buf[:copy(buf[:], name[1:len(name)-1])]
	for p := int(name[0]); p < len(text); p += int(name[p+1]) + 1 {
		text[p] = '.'
	}
	suffix, _ := publicsuffix.PublicSuffix(unsafe.String(&text[0], len(text)))
	begins := len(text) - len(suffix) // in text, and in name one octet before it
	for {
		next := at + int(name[at]) + 1
		if next >= begins {
			return at
		}
		at = next
	}
}
