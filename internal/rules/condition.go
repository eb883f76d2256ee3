package rules

import (
	"kresd/internal/digest"
	"kresd/internal/dnsname"
	"kresd/internal/resolve"
)

// Conditions about names, for filters that join several of them. A filter that is for names
// alone is better made by Suffix and the like, which an index knows.

// Under is the condition that the name is zone or lies below it.
func Under(zone dnsname.Name) Condition { return under(zone) }

type under dnsname.Name

// Holds implements Condition.
func (u under) Holds(s *Subject) (yes, sure bool) { return s.below(dnsname.Name(u)), true }

// Of implements Condition.
func (u under) Of(*Subject) (which uint64, may bool) { return 0, true }

// Digest implements Condition.
func (u under) Digest() uint64 { return digest.Of("under", string(u)) }

// Like is the condition that a Lua pattern matches the name anywhere, as of Pattern. A
// rule for which that could not be found out, and mattered, is Drop instead.
func Like(pattern string) (Condition, error) {
	if _, err := Pattern(pattern); err != nil {
		return nil, err
	}
	return like(pattern), nil
}

type like string

// Holds implements Condition.
func (l like) Holds(s *Subject) (yes, sure bool) { return matches(s, string(l)) }

// Of implements Condition.
func (l like) Of(*Subject) (which uint64, may bool) { return 0, true }

// Digest implements Condition.
func (l like) Digest() uint64 { return digest.Of("like", string(l)) }

// Every is the condition that all of a list hold, Either that one of them does.
func Every(list ...Condition) Condition  { return joined{true, list} }
func Either(list ...Condition) Condition { return joined{false, list} }

type joined struct {
	every bool
	list  []Condition
}

// Holds implements Condition.
func (j joined) Holds(s *Subject) (yes, sure bool) {
	sure = true
	for _, c := range j.list {
		one, known := c.Holds(s)
		if known && one != j.every {
			return one, true
		}
		sure = sure && known
	}
	return j.every || !sure, sure
}

// Of implements Condition: of those that may hold it counts where they stand.
func (j joined) Of(s *Subject) (which uint64, may bool) {
	may = j.every
	for i, c := range j.list {
		n, yes := c.Of(s)
		switch {
		case !yes && j.every:
			return 0, false
		case yes:
			may = true
		}
		if yes && n != 0 {
			which = uint64(resolve.Partition(which).With(uint64(i) + 1).With(n))
		}
	}
	return which, may
}

// Digest implements Condition.
func (j joined) Digest() uint64 {
	h := digest.Of("either")
	if j.every {
		h = digest.Of("every")
	}
	for _, c := range j.list {
		h = mix(h, c.Digest())
	}
	return h
}
