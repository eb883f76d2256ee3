package selection

import (
	"net/netip"
	"time"
)

// A Reason says why a server was chosen. Package explain has words for it.
type Reason struct {
	Ground Ground
	// Of is how many servers were as fit as this one, itself included.
	Of int
	// Resort and Confirm are those of the Choice.
	Resort, Confirm bool
	// Known tells that the server has answered before, and Expected after what time
	// it should answer then.
	Known    bool
	Expected time.Duration
}

// A Ground is what decided for a server.
type Ground uint8

// Grounds.
const (
	AskedAgain   Ground = iota // the one that has just answered is asked once more
	OnlyServer                 // the zone has no other
	OnlyLeft                   // the others have been tried
	BestLeft                   // it has its faults, and the others have worse ones
	SilentTried                // none answers at present: whether this one does is found out
	NothingKnown               // as little is known of it as of the others
	ToLearn                    // another is faster, as far as is known
	Fastest
)

// LeftOut is a server that is less fit than the chosen one, and why.
type LeftOut struct {
	Addr  netip.Addr
	Fault Fault
}

// A Fault is what makes a server less fit than others.
type Fault uint8

// Faults.
const (
	IsSilent      Fault = iota
	FailedQuery         // it failed this query several times
	UselessInZone       // its answers are of no use for the zone
	FamilyBroken        // its address is of a family that does not work here
)

// Explain says why c was chosen among the servers of w, and which others were left
// for a reason other than their speed. It is for people who read along, and looks at
// everything again.
func (s *Selector) Explain(w Want, c Choice) (Reason, []LeftOut) {
	all := s.candidates(w, nil)
	equals, known, least := 0, 0, time.Duration(0)
	var chosen *candidate
	for i := range all {
		if all[i].Endpoint == c.Endpoint {
			chosen = &all[i]
		}
	}
	if chosen == nil {
		return Reason{Ground: AskedAgain}, nil
	}
	for i := range all {
		if o := &all[i]; o.class == chosen.class {
			if equals++; equals == 1 || o.score < least {
				least = o.score
			}
			if o.Known {
				known++
			}
		}
	}
	r := Reason{Of: equals, Resort: c.Resort, Confirm: c.Confirm, Known: chosen.Known, Expected: chosen.score}
	switch {
	case chosen.class == silent:
		r.Ground = SilentTried
	case equals == 1 && chosen.class != fit:
		r.Ground = BestLeft
	case equals == 1 && w.Tried.Any(): // those that are out of the question are not among all
		r.Ground = OnlyLeft
	case equals == 1:
		r.Ground = OnlyServer
	case known == 0:
		r.Ground = NothingKnown
	case chosen.score > least+near:
		r.Ground = ToLearn
	default:
		r.Ground = Fastest
	}
	return r, leftOut(all, chosen)
}

// leftOut are the candidates that are less fit than the chosen one.
func leftOut(all []candidate, chosen *candidate) (out []LeftOut) {
	for i := range all {
		if o := &all[i]; o.class > chosen.class {
			out = append(out, LeftOut{o.Addr.Addr(), faultOf(o.class)})
		}
	}
	return out
}

// faultOf is what a class says about a server.
func faultOf(class int) Fault {
	switch class {
	case failing:
		return FailedQuery
	case lame:
		return UselessInZone
	case brokenFamily:
		return FamilyBroken
	}
	return IsSilent
}
