package policy

import (
	"kresd/internal/dnsname"
	"kresd/internal/luapattern"
)

// kind is a kind of filter. A switch over it, and not a function value, lets a
// probe live on the stack of the listener's thread.
type kind uint8

const (
	all kind = iota
	suffix
	domains
	pattern
)

var kindNames = [...]string{all: "all", suffix: "suffix", domains: "domains", pattern: "pattern"}

// A Filter says which questions a rule is for.
type Filter struct {
	kind    kind
	set     *suffixSet   // suffix, domains
	common  dnsname.Name // suffix: shared by all names, looked at first; "" for none
	pattern string
}

func (f *Filter) String() string { return kindNames[f.kind] }

// All is for every question.
func All() Filter { return Filter{} }

// Suffix is for the given names and all below them. common, unless it is "", is
// a name that those meant lie at or below; it is looked at first.
func Suffix(names []dnsname.Name, common dnsname.Name) Filter {
	return Filter{kind: suffix, set: newSuffixSet(names), common: common}
}

// Domains is for exactly the given names.
func Domains(names []dnsname.Name) Filter { return Filter{kind: domains, set: newSuffixSet(names)} }

// Pattern is for names whose wire form in lower case a Lua pattern matches
// anywhere.
func Pattern(text string) (Filter, error) {
	// A mistake in a pattern shows when a match comes across it: try a name.
	if _, err := luapattern.Contains("\x03www\x07example\x00", text); err != nil {
		return Filter{}, err
	}
	return Filter{kind: pattern, pattern: text}, nil
}

// match returns how many octets of the name stand before the part that is meant,
// -1 when the question is not. sure is false when that could not be found out.
func (f *Filter) match(p *probe) (at int, sure bool) {
	switch f.kind {
	case suffix:
		if f.common != "" && !p.below(f.common) {
			return -1, true
		}
		return f.set.find(p, false), true
	case domains:
		return f.set.find(p, true), true
	case pattern:
		found, err := luapattern.Contains(p.text(), f.pattern)
		if !found {
			return -1, err == nil
		}
		return 0, true
	}
	return p.len - 1, true
}

// sum is equal for equal filters in all processes.
func (f *Filter) sum() uint64 {
	h := mix(digest(kindNames[f.kind]), digest(string(f.common)))
	if f.set != nil {
		h = mix(h, f.set.sum())
	}
	return mix(h, digest(f.pattern))
}
