package requests

import (
	"fmt"

	"kresd/internal/dnslua/terms"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// flagSet is a set of flags that a script reads and changes by name.
type flagSet struct {
	r       *View // nil for a set that belongs to no request
	options *resolve.Options
	// query is the one whose flags they are, nil for others. Some of them tell what became
	// of it.
	query *resolve.Query
	// live are the options of all requests, which are not held; nil for other sets.
	live Live
}

// Live are the options of all requests, which change while they are held.
type Live interface {
	Options() resolve.Options
	ChangeOptions(fn func(*resolve.Options))
}

// LiveFlags is what scripts know as the flags of all requests.
func (v *Views) LiveFlags(of Live) *script.Handle {
	return &script.Handle{Class: v.flags, Value: flagSet{live: of}}
}

// must raises an error in the script when it may not look at the set any more.
func (s flagSet) must(c *script.Call) {
	if s.r != nil {
		s.r.must(c)
	}
}

// read are the flags of a set that the script may look at.
func (s flagSet) read(c *script.Call) resolve.Options {
	s.must(c)
	if s.live != nil {
		return s.live.Options()
	}
	return *s.options
}

// change turns flags of the set on or off.
func (s flagSet) change(c *script.Call, flags resolve.Options, on bool) {
	s.must(c)
	if s.live != nil {
		s.live.ChangeOptions(func(o *resolve.Options) { terms.Turn(o, flags, on) })
		return
	}
	terms.Turn(s.options, flags, on)
}

// tells is what a flag says about what became of a query; known is false where its flags
// alone say it.
func (s flagSet) tells(name string) (on, known bool) {
	if s.query == nil {
		return false, false
	}
	judged := s.query.Solved || s.query.Outcome.Kind != resolve.Pending
	rank := s.query.Outcome.Rank()
	switch name {
	case "RESOLVED":
		return true, s.query.Solved || answered(s.query.Outcome.Kind)
	case "CACHED":
		return s.query.Outcome.Cached, s.query.Outcome.Cached
	case "DNSSEC_WANT":
		return true, judged && rank.IsSecure()
	case "DNSSEC_BOGUS":
		return true, judged && rank.IsBogus()
	case "DNSSEC_INSECURE":
		return true, s.query.Solved && !rank.IsSecure() && !rank.IsBogus()
	case "CNAME":
		return true, isAlias(s.query)
	}
	return false, false
}

// answered tells whether an outcome is the answer to a query: nothing further has to be
// asked for it, but for the targets of its aliases.
func answered(k resolve.Kind) bool {
	return k == resolve.Positive || k == resolve.Alias || k == resolve.NoData || k == resolve.NXDomain
}

func flagsClass() *script.Class {
	class := &script.Class{Name: "flag set", CData: true}
	flag := func(c *script.Call, value any, key any) (flagSet, resolve.Options) {
		v := value.(flagSet)
		v.must(c)
		name, _ := key.(string)
		o, ok := terms.OptionByName(name)
		if !ok {
			c.Raise(script.Usage(fmt.Sprintf("unknown flag '%v'", key)))
		}
		return v, o
	}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		v, o := flag(c, value, key)
		if on, known := v.tells(key.(string)); known {
			return on, nil
		}
		return o.Within(v.read(c)), nil
	}
	class.Set = func(c *script.Call, value any, key any) error {
		v, o := flag(c, value, key)
		v.change(c, o, terms.Truth(c, 1))
		return nil
	}
	class.Text = func(value any) string {
		v := value.(flagSet)
		switch {
		case v.r != nil && v.r.loan.Over():
			return "flag set"
		case v.live != nil:
			return fmt.Sprint(terms.OptionNames(v.live.Options()))
		}
		return fmt.Sprint(terms.OptionNames(*v.options))
	}
	return class
}

// isAlias tells whether the answer to a query begins with a CNAME that was not asked for.
func isAlias(q *resolve.Query) bool {
	answer := q.Outcome.Answer
	return len(answer) > 0 && answer[0].Type == wire.TypeCNAME && q.Type != wire.TypeCNAME
}

// FlagArg reads nothing, 0, the name of a flag, a list of names, or a set of flags.
func (v *Views) FlagArg(c *script.Call, i int) (o resolve.Options) {
	if c.IsNil(i) || c.Type(i) == "number" && c.Number(i) == 0 {
		return o
	}
	if set, ok := c.HandleOf(i, v.flags); ok {
		return set.(flagSet).read(c)
	}
	o, ok := terms.FlagList(c, i, c.Arg(i))
	if !ok {
		c.ArgError(i, "a flag's name or a list of them expected")
	}
	return o
}

// FlagValue is FlagArg for a value in the table that is argument 1.
func FlagValue(c *script.Call, v any) (o resolve.Options) {
	if v == 0.0 {
		return o
	}
	if h, ok := v.(*script.Handle); ok {
		if set, ok := h.Value.(flagSet); ok {
			return set.read(c)
		}
	}
	o, ok := terms.FlagList(c, 1, v)
	if !ok {
		c.ArgError(1, "options: a flag's name or a list of them expected")
	}
	return o
}

// MakeFlags is kres.mk_qflags.
func (v *Views) MakeFlags(c *script.Call) error {
	if set, ok := c.HandleOf(1, v.flags); ok {
		return c.Return(&script.Handle{Class: v.flags, Value: set})
	}
	o := v.FlagArg(c, 1)
	return c.Return(&script.Handle{Class: v.flags, Value: flagSet{options: &o}})
}

// TurnFlags turns the flags in argument 2 on or off in the set that is argument 1.
func (v *Views) TurnFlags(c *script.Call, on bool) {
	set := c.Handle(1, v.flags).(flagSet)
	set.change(c, v.FlagArg(c, 2), on)
}
