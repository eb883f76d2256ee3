// Package workarounds is the module workarounds: it asks differently about names
// whose servers are known to answer ordinary questions badly.
//
// Much is learnt by itself, per address: who cannot EDNS, who destroys letter
// case. This is for what cannot be learnt in time, because the answer looks like
// one (a denial for every name that is not in lower case). A rule gives flags to
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
var builtin = map[string]resolve.Flags{
	"avqs.mcafee.com.": resolve.No0x20,
	"avts.mcafee.com.": resolve.No0x20,
}

// useful are the flags that a rule may give: those about how servers are asked.
// Others would change what clients get.
const useful = resolve.No0x20 | resolve.SafeMode | resolve.NoMinimize | resolve.TCP | resolve.NoIPv4 | resolve.NoIPv6 | resolve.NoThrottle

// rules are never changed, only replaced.
type rules map[dnsname.Name]resolve.Flags

type workarounds struct{ rules atomic.Pointer[rules] }

// Open makes an instance with the built-in rules.
func Open() (*module.Instance, error) {
	r := rules{}
	for text, flags := range builtin {
		name, err := dnsname.Parse(text)
		if err != nil {
			return nil, err
		}
		r[name] = flags
	}
	w := &workarounds{}
	w.rules.Store(&r)
	return &module.Instance{
		Layer:  &resolve.Layer{Name: "workarounds", Produce: w.produce},
		Config: w.config,
		Functions: []module.Function{
			{Name: "add", Args: "name, flag | { flag, … }", Min: 2, Max: 2, Help: "ask differently about a name and all below it", Fn: w.add},
			{Name: "del", Args: "name", Min: 1, Max: 1, Help: "remove a rule; false if there is none", Fn: w.del},
			{Name: "list", Help: "rules: name and flags", Fn: w.list},
		},
	}, nil
}

// produce gives a question the flags of its name. A question that follows an
// alias has inherited flags; those that were a rule's for the alias end there.
func (w *workarounds) produce(req *resolve.Request, q *resolve.Query) resolve.State {
	r := *w.rules.Load()
	if q.Parent != nil {
		q.Flags &^= r.of(q.Parent.Name) &^ req.Flags
	}
	if flags := r.of(q.Name); flags != 0 {
		q.Flags |= flags
		if req.Tell != nil {
			req.Tell(q, resolve.OptionsSet{Names: flags.Names()})
		}
	}
	return resolve.Produce
}

// of is the closest rule's flags.
func (r rules) of(name dnsname.Name) resolve.Flags {
	for n := name; ; n = n.Parent() {
		if flags, ok := r[n]; ok {
			return flags
		}
		if n.IsRoot() {
			return 0
		}
	}
}

// change publishes a changed copy. Scripts run one at a time.
func (w *workarounds) change(fn func(rules)) {
	r := maps.Clone(*w.rules.Load())
	fn(r)
	w.rules.Store(&r)
}

func (w *workarounds) add(args []any) ([]any, error) {
	name, err := nameOf(args[0])
	if err != nil {
		return nil, err
	}
	flags, err := flagsOf(args[1])
	if err != nil {
		return nil, err
	}
	w.change(func(r rules) { r[name] = flags })
	return []any{true}, nil
}

func (w *workarounds) del(args []any) ([]any, error) {
	name, err := nameOf(args[0])
	if err != nil {
		return nil, err
	}
	_, known := (*w.rules.Load())[name]
	w.change(func(r rules) { delete(r, name) })
	return []any{known}, nil
}

// config takes { name = flags, … }, all or nothing.
func (w *workarounds) config(value any) error {
	if value == nil {
		return nil
	}
	t, ok := value.(*luavalue.Table)
	if !ok {
		return errors.New("{ ['name'] = flag or { flags } } expected")
	}
	more := rules{}
	for _, p := range t.Pairs {
		name, err := nameOf(p.Key)
		if err != nil {
			return err
		}
		if more[name], err = flagsOf(p.Value); err != nil {
			return err
		}
	}
	w.change(func(r rules) { maps.Copy(r, more) })
	return nil
}

func (w *workarounds) list([]any) ([]any, error) {
	t := &luavalue.Table{}
	for name, flags := range *w.rules.Load() {
		t.Add(name.String(), strings.Join(flags.Names(), " "))
	}
	t.Sort()
	return []any{t}, nil
}

func nameOf(v any) (dnsname.Name, error) {
	text, ok := v.(string)
	if !ok {
		return "", errors.New("workarounds: name expected")
	}
	name, err := dnsname.Parse(text)
	if err != nil {
		return "", fmt.Errorf("workarounds: '%s': %w", text, err)
	}
	return name, nil
}

// flagsOf takes one flag's name or a list of them.
func flagsOf(v any) (flags resolve.Flags, err error) {
	words := []any{v}
	if t, ok := v.(*luavalue.Table); ok {
		words = t.Values()
	}
	for _, word := range words {
		text, ok := word.(string)
		f, known := resolve.FlagByName(text)
		if !ok || !known || !useful.Has(f) {
			return 0, fmt.Errorf("workarounds: '%v' is no flag for this; there are %s", word, strings.Join(useful.Names(), ", "))
		}
		flags |= f
	}
	if flags == 0 {
		return 0, errors.New("workarounds: flag expected")
	}
	return flags, nil
}
