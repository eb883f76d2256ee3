package rules

import (
	"kresd/internal/digest"
	"kresd/internal/dnsname"
	"kresd/internal/luapattern"
)

// kind is what a filter demands of the question's name.
type kind uint8

const (
	all kind = iota
	suffix
	domains
	below
	pattern
	listed
)

var kindNames = [...]string{all: "all", suffix: "suffix", domains: "domains", below: "below", pattern: "pattern", listed: "rpz"}

// A Filter says which questions a rule is for. It is never changed once made.
type Filter struct {
	kind       kind
	names      names        // suffix, domains, below
	common     dnsname.Name // suffix: all that is meant lies there or below; "" for none
	pattern    string
	list       *List // listed
	conditions []Condition
	digest     uint64 // equal for equal filters in all processes; 0 for All without conditions
}

// A Condition is what a filter demands beside the name. Its methods are called by
// many threads at once, on the way of cached answers too: they must not allocate,
// wait, or take a lock that another query holds.
type Condition interface {
	// Holds tells whether the rule is for the subject. A condition about the answer
	// holds while there is none (Subject.Result is nil): the rule may be for it. sure is false
	// when that could not be found out, and then yes is true.
	Holds(*Subject) (yes, sure bool)
	// Of tells whether the condition may hold for the subject's client, whatever name is
	// asked for. which tells clients apart for whom it may hold for different reasons: it is 0
	// for those about whom it says nothing that it does not say about everybody.
	Of(*Subject) (which uint64, may bool)
	// Digest is equal for equal conditions in all processes.
	Digest() uint64
}

// itself is what Of says of a condition that holds for a client as it is.
const itself = 1

func (f *Filter) String() string { return kindNames[f.kind] }

// All is for every question.
func All() Filter { return Filter{} }

// Suffix is for the given names and all below them. common, unless it is "", is
// a name that those meant lie at or below; names elsewhere are not meant.
func Suffix(list []dnsname.Name, common dnsname.Name) Filter {
	return Filter{kind: suffix, names: newNames(list), common: common}.sealed()
}

// Domains is for exactly the given names.
func Domains(list []dnsname.Name) Filter {
	return Filter{kind: domains, names: newNames(list)}.sealed()
}

// Below is for all names below the given ones, which themselves are not meant:
// what a wildcard stands for (RFC 4592, section 2.1.1).
func Below(list []dnsname.Name) Filter { return Filter{kind: below, names: newNames(list)}.sealed() }

// Pattern is for names whose wire form in lower case a Lua pattern matches
// anywhere.
func Pattern(text string) (Filter, error) {
	// A mistake in a pattern shows when a match comes across it: try a name.
	if _, err := luapattern.Contains("\x03www\x07example\x00", text); err != nil {
		return Filter{}, err
	}
	return Filter{kind: pattern, pattern: text}.sealed(), nil
}

// If is the filter for those questions only for which all conditions hold, too.
func (f Filter) If(conditions ...Condition) Filter {
	f.conditions = append(f.conditions[:len(f.conditions):len(f.conditions)], conditions...)
	return f.sealed()
}

// sealed is the filter with its digest. That costs a look at all its names, so it
// is done once and not whenever the rules change.
func (f Filter) sealed() Filter {
	f.digest = mix(digest.Of(kindNames[f.kind]), digest.Of(string(f.common)))
	if f.kind == suffix || f.kind == domains || f.kind == below {
		f.digest = mix(f.digest, f.names.digest())
	}
	f.digest = mix(f.digest, digest.Of(f.pattern))
	for _, c := range f.conditions {
		f.digest = mix(f.digest, c.Digest())
	}
	return f
}

// named tells whether the index knows the names that the filter is for.
func (f *Filter) named() bool { return f.kind == suffix || f.kind == domains || f.kind == below }

// holds tells whether the filter is for a subject of whose name the index, or a list,
// says so, or must be asked itself. sure is false when that could not be found out.
func (f *Filter) holds(s *Subject) (yes, sure bool) {
	if f.common != "" && !s.below(f.common) {
		return false, true
	}
	if yes, sure = f.isFor(s); !yes || f.kind != pattern {
		return yes, sure
	}
	found, known := matches(s, f.pattern)
	return found, known && (sure || !found)
}

// matches tells whether a pattern matches the name; sure is false, and yes true, when that
// would cost too much to find out.
func matches(s *Subject, pattern string) (yes, sure bool) {
	found, err := luapattern.Contains(s.text(), pattern)
	return found || err != nil, err == nil
}

// of is Condition.Of for all conditions beside the name.
func (f *Filter) of(s *Subject) (which uint64, may bool) { return joined{true, f.conditions}.Of(s) }

// isFor tells whether all conditions beside the name hold.
func (f *Filter) isFor(s *Subject) (yes, sure bool) { return joined{true, f.conditions}.Holds(s) }
