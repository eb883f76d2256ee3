package explain

import (
	"fmt"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A Line is a step in words.
type Line struct {
	// Component is the part of the resolver that the step happened in, by the name
	// that it has in the log.
	Component string
	// Mark stands before the text in plain lists, so that questions, answers and what
	// was known stand out; trees have no use for it.
	Mark string
	// Text is "" where there is nothing worth telling.
	Text string
}

// Marks.
const (
	out = "=> " // a question that leaves, or is not needed
	in  = "<= " // what came of it
)

// Words says a step in words.
func Words(step resolve.Step) Line {
	switch s := step.(type) {
	case resolve.RuleMatched:
		return Line{"poli", "", fmt.Sprintf("%s says %s: %s", s.Rule, s.Action, afterRule(s.Then))}
	case resolve.OptionsSet:
		return Line{"workarounds", "", "asking with " + list(s.Names)}
	case resolve.CacheHit:
		if s.Denier != "" {
			return Line{"cache", out, fmt.Sprintf("follows from what %s is known to deny: %s", s.Denier, outcome(s.Outcome))}
		}
		return Line{"cache", out, "satisfied from the cache: " + outcome(s.Outcome)}
	case resolve.CacheMiss:
		return Line{"cache", out, "not in the cache: " + s.Question.String()}
	case resolve.FailureRemembered:
		return Line{"cache", out, fmt.Sprintf("%s failed %d seconds ago and is not tried again for %d more: %s", s.Question, s.Age, s.Left, s.Reason)}
	case resolve.StaleAnswered:
		return Line{"serve_stale", out, fmt.Sprintf("%s, telling what was known: %s", s.Reason, outcome(s.Outcome))}
	case resolve.StaleServersAsked:
		return Line{"serve_stale", out, fmt.Sprintf("%s, asking the servers that %s had", s.Reason, s.Zone)}
	case resolve.CutFound:
		return Line{"zcut", "", cutFound(s)}
	case resolve.ParentAsked:
		return Line{"zcut", "", fmt.Sprintf("no server of %s that was asked is of use: asking %s whether there are others by now", s.Zone, s.Parent)}
	case resolve.ZoneBelowAsked:
		return Line{"zcut", "", fmt.Sprintf("no answer of the servers of %s is believed: looking up those of %s, which is a zone", s.Above, s.Zone)}
	case resolve.EnoughUseless:
		return Line{"nsre", "", fmt.Sprintf("%d useless answers are enough: no more servers of %s are asked", s.Count, s.Zone)}
	}
	if text := planned(step); text != "" {
		return Line{"plan", "", text}
	}
	if text := meant(step); text != "" {
		return Line{"iter", "", text}
	}
	if text := proved(step); text != "" {
		return Line{"vldr", "", text}
	}
	return exchanged(step)
}

// planned says the steps of a request's plan.
func planned(step resolve.Step) string {
	switch s := step.(type) {
	case resolve.ModuleDecided:
		return fmt.Sprintf("the module %s decides: %s", s.Module, result(s.Result))
	case resolve.ModuleFinalized:
		if after := result(s.After); after != result(s.Before) {
			return fmt.Sprintf("the module %s changes the answer: %s", s.Module, after)
		}
	case resolve.ModuleAnswered:
		return fmt.Sprintf("the module %s answers: %s", s.Module, outcome(s.Outcome))
	case resolve.JoinedRequest:
		return "the same is being resolved already: waiting for that answer"
	case resolve.WaitsForWorkers:
		return "other workers ask the same: waiting for their answer"
	case resolve.LookupRefused:
		return fmt.Sprintf("cannot look up %s: %v", s.NS, s.Err)
	case resolve.AddressNotFound:
		return fmt.Sprintf("no address of the name server %s was found", s.NS)
	case resolve.Failed:
		return "failed: " + s.Err.Error()
	}
	return ""
}

// meant says what an answer means.
func meant(step resolve.Step) string {
	switch s := step.(type) {
	case resolve.Concluded:
		return concluded(s.Outcome)
	case resolve.Inconclusive:
		return inconclusive(s)
	case resolve.Referred:
		return fmt.Sprintf("referral to %s with %s: %s", s.Cut.Name, howMany(len(s.Cut.NS)), serversOf(s.Cut, s.By))
	case resolve.AliasFollowed:
		return "following the alias to " + s.Target.String()
	case resolve.AddressReferred:
		return "the referral has the address of " + s.NS.String()
	case resolve.Useless:
		what := "it has no authority for " + s.Zone.String()
		if s.Rcode != wire.RcodeNoError && s.Rcode != wire.RcodeNXDomain {
			what = wire.RcodeText(s.Rcode)
		}
		return fmt.Sprintf("the answer of %s is of no use: %s", address(s.From), what)
	}
	return ""
}

func afterRule(then resolve.AfterRule) string {
	switch then {
	case resolve.NoMoreRules:
		return "no further rule, it is resolved"
	case resolve.RuleAnswers:
		return "that is the answer"
	case resolve.RuleFails:
		return "it fails"
	}
	return "the next rule is tried"
}

// concluded says what a query came to.
func concluded(o *resolve.Outcome) string {
	switch o.Kind {
	case resolve.Alias:
		return "alias: " + sets(o.Answer)
	case resolve.NoData:
		return "no such type" + says(o.Zone)
	case resolve.NXDomain:
		return "no such name" + says(o.Zone)
	}
	return "answer: " + sets(o.Answer)
}

func says(zone dnsname.Name) string {
	if zone == "" {
		return ""
	}
	return ", says " + zone.String()
}

// inconclusive says what an answer means that leads to another question.
func inconclusive(s resolve.Inconclusive) string {
	rcode := wire.RcodeText(s.Rcode)
	switch s.Why {
	case resolve.EDNSDoubted:
		return rcode + ", perhaps because of EDNS: asked again without"
	case resolve.DenialDoubted:
		return fmt.Sprintf("no name %s, which servers often get wrong: the whole name is asked", s.Asked.Name)
	case resolve.CaseDoubted:
		return rcode + " that nothing supports, perhaps because of letter case: asked again in lower case"
	case resolve.PartUseless:
		if s.Rcode == wire.RcodeNoError {
			return fmt.Sprintf("no authority, and so of no use for %s: the whole name is asked", s.Asked.Name)
		}
		return fmt.Sprintf("%s is of no use for %s: the whole name is asked", rcode, s.Asked.Name)
	}
	return "no zone cut at " + s.Asked.Name.String()
}

// cutFound says whose servers are asked, and since when that is known.
func cutFound(s resolve.CutFound) string {
	servers := serversOf(s.Cut, s.By)
	if s.By != resolve.ByDelegation {
		return fmt.Sprintf("by a rule for %s: %s", s.Scope, servers)
	}
	source := ""
	switch {
	case s.Cut.Hints:
		source = ", from the hints"
	case s.Cut.Expires > s.Now:
		source = fmt.Sprintf(", from the cache for %d more seconds", s.Cut.Expires-s.Now)
	}
	return fmt.Sprintf("found cut: %s, %s%s: %s", s.Cut.Name, howMany(len(s.Cut.NS)), source, servers)
}

// result says in short what the client will be told.
func result(res *resolve.Result) string {
	if res.Drop {
		return "the client is told nothing"
	}
	text := wire.RcodeText(res.Rcode)
	if res.TC {
		text += ", truncated"
	}
	if len(res.Answer) > 0 {
		text += ", " + sets(res.Answer)
	}
	if res.EDE != ede.None {
		text += fmt.Sprintf(", extended error %d", res.EDE)
	}
	return text
}

// outcome says in short what is known.
func outcome(o *resolve.Outcome) string {
	text := wire.RcodeText(o.Rcode)
	switch {
	case len(o.Answer) > 0:
		text += ", " + sets(o.Answer)
	case o.Kind == resolve.NXDomain:
		text += ", no such name"
	case o.Kind == resolve.NoData:
		text += ", no such type"
	}
	if o.Kind == resolve.Alias {
		text += fmt.Sprintf(", and on to %s", o.Target)
	}
	return text
}
