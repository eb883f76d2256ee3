package resolve

import (
	"slices"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/rank"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// Question is what is asked, in canonical form.
type Question struct {
	Name  dnsname.Name
	Type  uint16
	Class uint16
}

// String is the question as people write it; the class goes without saying.
func (q Question) String() string { return q.Name.String() + " " + wire.TypeText(q.Type) }

// Set is an RRset and how much it may be believed. TTL counts from the
// request's Now.
type Set struct {
	wire.RRset
	Rank rank.Rank
	// Cached tells that the set came from the cache, so that it is not stored
	// again with a new time.
	Cached bool
	// Odd is why the set need not be signed, where clients are told that. It is kept
	// with the set.
	Odd Oddity
}

// An Oddity is a zone's own reason for which data need not be signed: that nobody here
// can check its signatures or its proofs. The zero value tells nothing.
type Oddity struct {
	Why Insecurity
	// Labels is how many labels the name of that zone has, which lies at or above the
	// owner of the data.
	Labels uint8
}

// Insecurity is why data need no proof.
type Insecurity uint8

// Reasons. Entries of the cache hold these numbers.
const (
	NoAnchor         Insecurity = iota // no trust anchor is for it, or a negative one is (RFC 7646)
	NoDS                               // the parent's delegation has, provably, no DS set
	OptedOut                           // an opt-out range may have such a delegation (RFC 5155, section 6)
	UnknownAlgorithm                   // no DS record has an algorithm that is known (RFC 4035, section 5.2)
	UnknownDigest                      // no DS record has a digest that is known
	CostlyDenial                       // too many iterations of NSEC3 (RFC 9276, section 3.2)
)

// Kind says what an answer to one query amounts to.
type Kind uint8

// Kinds of outcome.
const (
	// Pending: nothing is known yet.
	Pending Kind = iota
	// Positive: Answer ends with records of the asked type (or holds all types for
	// ANY).
	Positive
	// Alias: Answer holds CNAME or DNAME records that lead to Target; the asked
	// type is not reached.
	Alias
	// NoData: the name exists without the asked type (RFC 2308, section 2.2).
	NoData
	// NXDomain: the name does not exist, nor any below it (RFC 8020).
	NXDomain
	// Referral: Cut is a delegation closer to the name.
	Referral
	// Lame: the server is of no use for this zone; ask another.
	Lame
)

// Origin says where an Outcome comes from. By it a layer judges what it may do
// with one: what servers say has to be judged and is kept, what the cache held has
// been through that, and a module vouches for what it makes up.
type Origin uint8

// Origins.
const (
	// FromModule: a module made it up, or made it of something that is not for the
	// cache.
	FromModule Origin = iota
	// FromServer: iterate made it of the message at hand.
	FromServer
	// HeldBack: iterate made it of an earlier message, for which nobody vouches, and
	// no other server had a better one.
	HeldBack
	// FromCache: the cache held it.
	FromCache
)

// Fresh tells whether servers have just said it, so that it is still to be judged
// and may be kept.
func (o Origin) Fresh() bool { return o == FromServer || o == HeldBack }

// Outcome is what one query came to: made by iterate from a message, or by the
// cache or a module from what they hold.
type Outcome struct {
	Kind   Kind
	Origin Origin
	Rcode  int
	// Answer holds the chain that starts at the query's name, in order, synthesised
	// CNAMEs of a DNAME included right after it.
	Answer []Set
	// Authority holds the SOA and the proofs of a negative outcome.
	Authority []Set
	// Target is where an Alias leads.
	Target dnsname.Name
	// Cut is the delegation of a Referral.
	Cut *zonecut.Cut
	// Zone is the apex of the zone that answered; negative answers are kept with
	// its SOA.
	Zone dnsname.Name
	// Cached tells that all of it came from the cache.
	Cached bool
	// Own tells that some of it is said on the operator's word. It holds only as long
	// as the operator says so, and is not kept.
	Own bool
}

// Shown are those of the sets beside an answer that a client sees: without DO none
// that prove something (RFC 4035, section 3.2.1). sets itself is not changed.
func Shown(sets []Set, do bool) []Set {
	if proves := func(s Set) bool { return wire.IsProof(s.Type) }; !do && slices.ContainsFunc(sets, proves) {
		return slices.DeleteFunc(slices.Clone(sets), proves)
	}
	return sets
}

// Result is what the client will be told.
type Result struct {
	Rcode     int
	Answer    []Set
	Authority []Set
	// Additional holds data that a module wants to send along.
	Additional []Set
	// Rank is the lowest rank of what the answer rests on.
	Rank rank.Rank
	// EDE is an extended error (RFC 8914); ede.None when there is none.
	EDE     ede.Code
	EDEText string
	// Remembered tells that the failure is one of a moment ago that is told again
	// (RFC 9520); the extended error is that of then.
	Remembered bool
	// NoCache tells that no answer entry may be made of it: it holds what a module
	// made up for this client, or a failure.
	NoCache bool
	// Drop tells that the client gets no answer at all.
	Drop bool
	// AA is set by modules that answer with authority of their own (hints).
	AA bool
	// TC asks for a truncated, empty answer, so that the client comes by TCP.
	TC bool
	// HeaderOn and HeaderOff are bits of the header that a script has turned on or off for
	// this client, whatever they would be else. They come with NoCache.
	HeaderOn, HeaderOff uint16
	// Cached tells that all of it was known, to the cache or to a module.
	Cached bool
	// Stale tells that the resolution failed and that this is what was known once
	// (RFC 8767). It comes with NoCache.
	Stale bool
	// Judged tells that what a Finalize hook has put in the place of a failure comes from a
	// request of its own, whose answer the Judge hooks have judged.
	Judged bool
	// Took is how long a resolution that failed has taken.
	Took time.Duration
	// Failure is why the resolution came to nothing; nil when it came to something.
	Failure error
}

// take makes the result of the outcome of the request's query. An extended error and
// further records that a module has put into the Result for the client stay; by nobody are
// these proven.
func (res *Result) take(o *Outcome) {
	res.Rcode, res.Rank = o.Rcode, o.Rank()
	if len(res.Answer)+len(res.Authority) > 0 {
		res.Rank = min(res.Rank, rank.Insecure|rank.Auth)
	}
	res.Answer, res.Authority = once(behind(o.Answer, res.Answer)), once(behind(o.Authority, res.Authority))
	res.Cached = o.Cached
	res.NoCache = res.NoCache || o.Own
}

// behind is sets and more. Neither is changed.
func behind(sets, more []Set) []Set {
	if len(more) == 0 {
		return sets
	}
	return append(sets[:len(sets):len(sets)], more...)
}

// once leaves out sets that are there already: a chain can pass the same DNAME
// twice and end with proofs that an earlier step gave, but a message holds each
// RRset once (RFC 2181, section 5). sets itself is not changed.
func once(sets []Set) []Set {
	if len(sets) > 32 { // of a message that holds as many as it can
		return onceOfMany(sets)
	}
	for i := range sets {
		if !among(sets[:i], &sets[i]) {
			continue
		}
		kept := append([]Set(nil), sets[:i]...)
		for k := i + 1; k < len(sets); k++ {
			if !among(kept, &sets[k]) {
				kept = append(kept, sets[k])
			}
		}
		return kept
	}
	return sets
}

// onceOfMany is once at a cost that grows no faster than the number of sets.
func onceOfMany(sets []Set) []Set {
	seen := make(map[Question]bool, len(sets))
	kept := make([]Set, 0, len(sets))
	for i := range sets {
		k := Question{sets[i].Owner, sets[i].Type, sets[i].Class}
		if !seen[k] {
			seen[k] = true
			kept = append(kept, sets[i])
		}
	}
	return kept
}

func among(sets []Set, s *Set) bool {
	for i := range sets {
		if o := &sets[i]; o.Type == s.Type && o.Owner == s.Owner && o.Class == s.Class {
			return true
		}
	}
	return false
}

// Rank is the lowest rank of what the outcome rests on; Initial where it holds nothing. A
// denial with nothing beside it is proven by nobody, however well the aliases are that led to
// it.
func (o *Outcome) Rank() rank.Rank {
	low, any := rank.Rank(255), false
	for _, sets := range [2][]Set{o.Answer, o.Authority} {
		for i := range sets {
			low, any = min(low, sets[i].Rank), true
		}
	}
	switch {
	case !any:
		return rank.Initial
	case (o.Kind == NoData || o.Kind == NXDomain) && len(o.Authority) == 0:
		return min(low, rank.Insecure|rank.Auth)
	}
	return low
}

// clone copies the lists, so that two requests may reorder their answers.
func (res *Result) clone() Result {
	c := *res
	c.Answer = slices.Clone(res.Answer)
	c.Authority = slices.Clone(res.Authority)
	c.Additional = slices.Clone(res.Additional)
	return c
}

// aliases counts the steps of a chain. A DNAME counts by the CNAME that it
// synthesised.
func aliases(chain []Set) int {
	n := 0
	for i := range chain {
		if chain[i].Type == wire.TypeCNAME {
			n++
		}
	}
	return n
}

// A Failure is an error that says by itself what the client is told of it. Layers
// fail with one where no other error says it.
type Failure struct {
	// EDE and Text are the extended error.
	EDE  ede.Code
	Text string
	// About is the question whose answer could not be believed; none where nothing was
	// judged.
	About Question
	// Remembered tells that it is a failure of a moment ago that is told again.
	Remembered bool
	// Err is what is behind it, or nil. The client is told the name of a limit in it.
	Err error
}

// Unwrap is Err.
func (e *Failure) Unwrap() error { return e.Err }

func (e *Failure) Error() string { return ede.Text(e.EDE, e.Text) }
