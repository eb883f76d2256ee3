package policy

import (
	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
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
	// fast is what the listener's thread does about such a question.
	fast module.Verdict
	// cut is where FORWARD and STUB send questions.
	cut *zonecut.Cut
	// run does it.
	run func(m *Meeting) Decision
	// origin is what a script gave.
	origin any
}

func (a *Action) String() string { return a.name }

// Do runs the action outside of a rule, for a script.
func (a *Action) Do(m *Meeting) Decision { return a.run(m) }

// A Meeting is a request and the rule that is for it.
type Meeting struct {
	Req *resolve.Request
	// Zone is the part of the question's name that the filter names: the closest
	// suffix, the root for a rule that is for everything.
	Zone dnsname.Name
	// Scope is all that the rule is for. What a script chose by its own lights may
	// be for the one name only.
	Scope dnsname.Name
	// Post tells that the rule is for answers, and the Result is one.
	Post bool
}

// fail ends the request, whose client is told why.
func (m *Meeting) fail(err error) {
	if m.Post {
		m.Req.Result = blank(ede.None)
		m.Req.Result.Fail(err)
		return
	}
	m.Req.Fail(err)
}

// Run is an action that a script decides by its function origin.
func Run(origin any, fn func(m *Meeting) Decision) *Action {
	return &Action{name: "function", fast: module.Driver, run: fn, origin: origin}
}

// Origin is the function of a script, nil for the actions of this package.
func (a *Action) Origin() any { return a.origin }

// Actions without parameters.

// Pass lets a question pass all further rules, those about special names too.
func Pass() *Action {
	return &Action{name: "PASS", fast: module.Pass, run: func(*Meeting) Decision { return Stop }}
}

// Drop makes a request fail.
func Drop() *Action {
	return &Action{name: "DROP", fast: module.Driver, run: func(m *Meeting) Decision {
		m.fail(&resolve.Failure{EDE: ede.Prohibited})
		return Failed
	}}
}

// NoAnswer says nothing to the client.
func NoAnswer() *Action {
	return &Action{name: "NO_ANSWER", fast: module.Drop, run: func(m *Meeting) Decision {
		m.Req.Result = blank(ede.None)
		m.Req.Result.Drop = true
		return Answered
	}}
}

// Refuse answers REFUSED.
func Refuse() *Action {
	return &Action{name: "REFUSE", fast: module.Driver, run: func(m *Meeting) Decision {
		m.Req.Result = blank(ede.Prohibited)
		m.Req.Result.Rcode = wire.RcodeRefused
		return Answered
	}}
}

// Truncate makes a client that came by UDP come again by TCP; there, the question passes.
func Truncate() *Action {
	return &Action{name: "TC", fast: module.Driver, run: func(m *Meeting) Decision {
		if m.Req.Transport.Kind.Stream() || !m.Req.Client.IsValid() {
			return Stop
		}
		m.Req.Result = blank(ede.None)
		m.Req.Result.TC = true
		return Answered
	}}
}

// SetOptions changes the options of a request.
func SetOptions(set, clear resolve.Options) *Action {
	return &Action{name: "FLAGS", fast: module.Driver, run: func(m *Meeting) Decision {
		m.Req.Options = m.Req.Options.Without(clear).With(set)
		return GoOn
	}}
}
