package rules

import (
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A Decision is what an action came to.
type Decision uint8

// Decisions.
const (
	// GoOn: the next rule is tried.
	GoOn Decision = iota
	// Stop: no further rule; the question is resolved.
	Stop
	// Answered: the request's Result is what the client gets.
	Answered
	// Failed: the client gets SERVFAIL.
	Failed
)

// then is what readers are told becomes of the request.
func (d Decision) then() resolve.AfterRule {
	switch d {
	case Stop:
		return resolve.NoMoreRules
	case Answered:
		return resolve.RuleAnswers
	case Failed:
		return resolve.RuleFails
	}
	return resolve.NextRule
}

// An Action does something about a question that a rule is for. It is never
// changed once made.
type Action struct {
	name string
	args string // that a configuration gave, as Text has them
	// to is where FORWARD, TLS_FORWARD and STUB send questions, stub the last; resolves is
	// set where a question is resolved as if there were no rules, lets where the search may
	// end so that it is resolved, be it as if there were none or not.
	to                   *destination
	stub, resolves, lets bool
	// run does it.
	run func(h *Hit) Decision
	// foresee says what run would come to, without a request; at is how many octets
	// of the name stand before the part that the rule means. sure is false when only
	// run can tell; nil: it never can be told. Many threads call it at once, on the
	// way of cached answers: it does not allocate, wait, or lock.
	foresee func(s *Subject, at int) (d Decision, answer *reply.Prepared, sure bool)
	// origin is what a script gave.
	origin any
}

func (a *Action) String() string { return a.name }

// Do runs the action outside of a rule, for a script.
func (a *Action) Do(h *Hit) Decision {
	h.Subject, h.Picked = SubjectOf(h.Req), true
	return a.run(h)
}

// A Hit is a request that a rule is for.
type Hit struct {
	Req     *resolve.Request
	Subject *Subject // the request as filters see it
	// Zone is the part of the question's name that the filter names: the closest
	// suffix, the root for a rule that is for everything.
	Zone dnsname.Name
	// Scope is all that the rule is for. What a script chose by its own lights may
	// be for the one name only.
	Scope dnsname.Name
	// Picked tells that a script chose the action by its own lights.
	Picked bool
	// Post tells that the rule is for answers, and the Result is one.
	Post bool
	// Private tells that the rule is not for everybody who asks (Filter.If).
	Private bool
}

// Fail ends the request, whose client is told why.
func (h *Hit) Fail(err error) Decision {
	if h.Post {
		h.Req.Result = blank(ede.None)
		h.Req.Result.Fail(err)
		return Failed
	}
	h.Req.Fail(err)
	return Failed
}

// Run is an action that does what fn does to a request. origin is a script's
// function that it stands for, nil when there is none.
func Run(name string, origin any, fn func(h *Hit) Decision) *Action {
	return &Action{name: name, run: fn, origin: origin, lets: origin != nil}
}

// Origin is the function of a script, nil for actions that are none.
func (a *Action) Origin() any { return a.origin }

// resolved is foreseen where a question is resolved as any other, so that a
// cached answer is as good.
func resolved(*Subject, int) (Decision, *reply.Prepared, bool) { return Stop, nil, true }

// Actions without parameters.

// Pass lets a question pass all further rules, those about special names too.
func Pass() *Action {
	return &Action{name: "PASS", resolves: true, lets: true, run: func(*Hit) Decision { return Stop }, foresee: resolved}
}

// Drop makes a request fail.
func Drop() *Action {
	return &Action{name: "DROP", run: func(h *Hit) Decision { return h.Fail(&resolve.Failure{EDE: ede.Prohibited}) }}
}

// NoAnswer says nothing to the client.
func NoAnswer() *Action {
	return &Action{name: "NO_ANSWER",
		run: func(h *Hit) Decision {
			h.Req.Result = blank(ede.None)
			h.Req.Result.Drop = true
			return Answered
		},
		foresee: func(*Subject, int) (Decision, *reply.Prepared, bool) { return Answered, nil, true },
	}
}

// Refuse answers REFUSED.
func Refuse() *Action {
	return Say("REFUSE", NewSaying(func(dnsname.Name) resolve.Result {
		r := blank(ede.Prohibited)
		r.Rcode = wire.RcodeRefused
		return r
	}))
}

// Truncate makes a client that came by UDP come again by TCP; there, the question
// passes.
func Truncate() *Action {
	again := NewSaying(func(dnsname.Name) resolve.Result {
		r := blank(ede.None)
		r.TC = true
		return r
	})
	a := Choose("TC", func(s *Subject, _ int) (*Saying, Decision) {
		if s.Transport.Kind.Stream() || !s.Client.IsValid() {
			return nil, Stop
		}
		return again, Answered
	})
	a.lets = true
	return a
}

// SetOptions changes the options of a request.
func SetOptions(set, clear resolve.Options) *Action {
	return Run("FLAGS", nil, func(h *Hit) Decision {
		if h.Private { // what comes of it is not for everybody
			h.Req.KeepApart(mix(set.Digest(), clear.Digest()), nil)
		}
		h.Req.Options = h.Req.Options.Without(clear).With(set)
		return GoOn
	})
}
