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
}

// read are the flags of a set that the script may look at.
func (s flagSet) read(c *script.Call) resolve.Options {
	s.r.must(c)
	return *s.options
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
		return s.query.Solved, true
	case "CACHED":
		return s.query.Outcome.Cached, s.query.Outcome.Cached
	case "DNSSEC_WANT":
		return true, judged && rank.IsSecure()
	case "DNSSEC_BOGUS":
		return true, judged && rank.IsBogus()
	case "DNSSEC_INSECURE":
		return true, s.query.Solved && !rank.IsSecure() && !rank.IsBogus()
	case "CNAME":
		return true, len(s.query.Outcome.Answer) > 0 && s.query.Outcome.Answer[0].Type == wire.TypeCNAME && s.query.Type != wire.TypeCNAME
	}
	return false, false
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
		return o.Within(*v.options), nil
	}
	class.Set = func(c *script.Call, value any, key any) error {
		v, o := flag(c, value, key)
		Turn(v.options, o, truth(c, 1))
		return nil
	}
	class.Text = func(value any) string {
		v := value.(flagSet)
		if v.r.over() {
			return "flag set"
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
