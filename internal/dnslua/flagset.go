package dnslua

import (
	"fmt"

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
	live Core
}

// read are the flags of a set that the script may look at.
func (s flagSet) read(c *script.Call) resolve.Options {
	s.r.must(c)
	if s.live != nil {
		return s.live.Options()
	}
	return *s.options
}

// change turns flags of the set on or off.
func (s flagSet) change(c *script.Call, flags resolve.Options, on bool) {
	s.r.must(c)
	if s.live != nil {
		s.live.ChangeOptions(func(o *resolve.Options) { Turn(o, flags, on) })
		return
	}
	Turn(s.options, flags, on)
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
		v.r.must(c)
		name, _ := key.(string)
		o, ok := OptionByName(name)
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
		v.change(c, o, truth(c, 1))
		return nil
	}
	class.Text = func(value any) string {
		v := value.(flagSet)
		switch {
		case v.r.over():
			return "flag set"
		case v.live != nil:
			return fmt.Sprint(OptionNames(v.live.Options()))
		}
		return fmt.Sprint(OptionNames(*v.options))
	}
	return class
}

// truth reads a boolean, or a number, of which all but 0 are true.
func truth(c *script.Call, i int) bool {
	if c.Type(i) == "number" {
		return c.Number(i) != 0
	}
	return c.Bool(i)
}

// isAlias tells whether the answer to a query begins with a CNAME that was not asked for.
func isAlias(q *resolve.Query) bool {
	answer := q.Outcome.Answer
	return len(answer) > 0 && answer[0].Type == wire.TypeCNAME && q.Type != wire.TypeCNAME
}
