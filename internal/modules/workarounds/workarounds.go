// Package workarounds is the module workarounds: it asks differently about names
// whose servers are known to answer ordinary questions badly.
//
// Much is learnt by itself, per address: who cannot EDNS, who destroys letter
// case. This is for what cannot be learnt in time, because the answer looks like
// one (a denial for every name that is not in lower case). A rule gives options to
// all names at and below its own; the closest rule counts. The built-in ones are
// few, since each makes somebody easier to spoof; operators add their own.
//
// It must see a question before iterate does, so it is loaded as
// 'workarounds < iterate'.
package workarounds

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/resolve"
)

// builtin are names whose servers take part in a protocol of their own over DNS
// and know only names in lower case.
var builtin = rules{
	"\x04avqs\x06mcafee\x03com\x00": {KeepCase: true},
	"\x04avts\x06mcafee\x03com\x00": {KeepCase: true},
}

// useful are the options that a rule may give: those about how servers are asked.
// Others would change what clients get.
func useful() resolve.Options {
	return resolve.Options{KeepCase: true, NoEDNS: true, WholeName: true, TCPOnly: true, NoIPv4: true, NoIPv6: true, AskSilent: true}
}

// rules are never changed, only replaced.
type rules map[dnsname.Name]resolve.Options

// Names are how scripts call options.
type Names struct {
	// Option is the option of a name.
	Option func(name string) (o resolve.Options, ok bool)
	// Of are the names of options, in the order of the manual.
	Of func(resolve.Options) []string
}

type workarounds struct {
	names Names
	rules atomic.Pointer[rules]
}

// produce gives a question the options of its name. A question that follows an
// alias has inherited options; those that were a rule's for the alias end there.
func (w *workarounds) produce(req *resolve.Request, q *resolve.Query) resolve.State {
	r := *w.rules.Load()
	if q.Parent != nil {
		q.Options = q.Options.Without(r.of(q.Parent.Name).Without(req.Options))
	}
	if o := r.of(q.Name); o != (resolve.Options{}) {
		q.Options = q.Options.With(o)
		if req.Tell != nil {
			req.Tell(q, resolve.OptionsSet{Names: w.names.Of(o)})
		}
	}
	return resolve.Produce
}

// of are the closest rule's options.
func (r rules) of(name dnsname.Name) resolve.Options {
	for n := name; ; n = n.Parent() {
		if o, ok := r[n]; ok {
			return o
		}
		if n.IsRoot() {
			return resolve.Options{}
		}
	}
}

// change publishes a changed copy. Scripts run one at a time.
func (w *workarounds) change(fn func(rules)) {
	r := maps.Clone(*w.rules.Load())
	fn(r)
	w.rules.Store(&r)
}

func (w *workarounds) add(name dnsname.Name, o resolve.Options) ([]any, error) {
	w.change(func(r rules) { r[name] = o })
	return []any{true}, nil
}

func (w *workarounds) del(name dnsname.Name) ([]any, error) {
	_, known := (*w.rules.Load())[name]
	w.change(func(r rules) { delete(r, name) })
	return []any{known}, nil
}

// config takes { name = flags, … }, all or nothing.
func (w *workarounds) config(value any) error {
	t, err := module.Table("options", "{ ['name'] = flag or { flags } }").Or(&luavalue.Table{}).Value(value)
	if err != nil {
		return err
	}
	more := rules{}
	for _, p := range t.Pairs {
		name, err := nameParam().Value(p.Key)
		if err != nil {
			return err
		}
		if more[name], err = w.optionsParam().Value(p.Value); err != nil {
			return err
		}
	}
	w.change(func(r rules) { maps.Copy(r, more) })
	return nil
}

func (w *workarounds) list() ([]any, error) {
	t := &luavalue.Table{}
	for name, o := range *w.rules.Load() {
		t.Add(name.String(), strings.Join(w.names.Of(o), " "))
	}
	t.Sort()
	return []any{t}, nil
}

func nameParam() module.Param[dnsname.Name] { return module.DomainName("name", "name") }

// optionsParam is one flag's name or a list of them.
func (w *workarounds) optionsParam() module.Param[resolve.Options] {
	return module.Custom("flag | { flag, … }", w.optionsOf)
}

// optionsOf takes one flag's name or a list of them.
func (w *workarounds) optionsOf(v any) (o resolve.Options, err error) {
	words := []any{v}
	if t, ok := v.(*luavalue.Table); ok {
		words = t.Values()
	}
	for _, word := range words {
		text, ok := word.(string)
		one, known := w.names.Option(text)
		if !ok || !known || !one.Within(useful()) {
			return resolve.Options{}, fmt.Errorf("'%v' is no flag for this; there are %s", word, strings.Join(w.names.Of(useful()), ", "))
		}
		o = o.With(one)
	}
	if o == (resolve.Options{}) {
		return o, errors.New("flag expected")
	}
	return o, nil
}
