package script

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
	"kresd/internal/script/machine"
	"kresd/internal/script/source"
)

var identifier = regexp.MustCompile(`^[A-Za-z_]\w*$`)

// Complete lists what the last word of text may become, where text is a command up to
// the cursor: "print(cache.cl" gives "cache.clear". A word is a name with the names
// of what it belongs to. In quotes it is a word that package reference has for the
// parameter: "mode('st" gives "strict". Where nothing is known, such as behind a call, the
// list is empty.
func (s *Session) Complete(ctx context.Context, text string) (list []string) {
	complete := s.vm.offered
	if typed, ok := source.ReadTyped(text); ok {
		complete = func(c *Call, _ string) []string { return s.completions(c, typed) }
	} else if !source.InQuotes(text) {
		return nil
	}
	run := machine.Evaluation{Context: ctx, Kind: Internal, Budget: limits.CompletionTime}
	err := s.vm.m.Submit(ctx, Internal, func() error {
		return s.vm.enter(run, func(c *Call) error {
			list = complete(c, text)
			return nil
		})
	})
	if err != nil {
		return nil
	}
	return list
}

// completions are the names that begin as typed, in order.
func (s *Session) completions(c *Call, typed source.Typed) (list []string) {
	names := s.names(c, typed.Owners)
	if len(typed.Owners) == 0 {
		names = append(names, strings.Fields("and break do else elseif end false for function if in local nil not or repeat return then true until while")...)
	}
	for _, name := range names {
		hidden := strings.HasPrefix(name, "_") && typed.Prefix == ""
		if identifier.MatchString(name) && !hidden {
			list = append(list, typed.Head+name)
		}
	}
	return beginningWith(typed.Head+typed.Prefix, list)
}

// names are what a command can write behind owners, or what it can begin with when
// there are none.
func (s *Session) names(c *Call, owners []string) []string {
	if len(owners) == 0 {
		return s.globalNames(c)
	}
	if s.pushPath(c, owners) {
		return c.vm.memberNames(c.l, c.l.Top(), 0)
	}
	return nil
}

// Members lists the names that scripts can write behind a dotted path, sorted; behind
// "" the globals.
func (vm *VM) Members(ctx context.Context, path string) (list []string) {
	var owners []string
	if path != "" {
		owners = strings.Split(path, ".")
	}
	_ = vm.Do(ctx, func(c *Call) error {
		for _, name := range vm.NewSession().names(c, owners) {
			if identifier.MatchString(name) {
				list = append(list, name)
			}
		}
		return nil
	})
	slices.Sort(list)
	return slices.Compact(list)
}

// globalNames are globals and the session's locals.
func (s *Session) globalNames(c *Call) []string {
	c.l.PushGlobalTable()
	names := stringKeys(c.l, c.l.Top())
	names = slices.AppendSeq(names, maps.Keys(c.vm.protected))
	return slices.AppendSeq(names, maps.Keys(s.locals))
}

// pushPath pushes the value that the names lead to.
func (s *Session) pushPath(c *Call, names []string) bool {
	l := c.l
	if v := s.locals[names[0]]; v.fn != nil {
		v.fn.push(l)
		lua.UpValue(l, l.Top(), v.i)
	} else if o := c.vm.protected[names[0]]; o != nil {
		o.self.push(l)
	} else {
		l.PushGlobalTable()
		rawField(l, names[0])
	}
	for _, name := range names[1:] {
		if l.TypeOf(-1) != lua.TypeTable && shownAt(l, l.Top()) == nil {
			return false
		}
		c.vm.pushShown(l, l.Top())
		rawField(l, name)
	}
	return !l.IsNil(-1)
}

// rawField pushes a field of the table on top of the stack, past metatables.
func rawField(l *lua.State, name string) {
	l.PushString(name)
	l.RawGet(-2)
}

// deepestIndex is how many tables behind each other, by __index, Complete looks into.
const deepestIndex = 5

// memberNames are the names that the value at i has.
func (vm *VM) memberNames(l *lua.State, i, depth int) (names []string) {
	if h := handleAt(l, i); h != nil {
		return h.memberNames()
	}
	if o := vm.objectAt(l, i); o != nil {
		names = o.keys()
		if o.Entries != nil {
			names = append(names, entryNames(o.Entries(&Call{vm: vm, l: l}))...)
		}
		return names
	}
	switch l.TypeOf(i) {
	case lua.TypeString:
		l.PushGlobalTable()
		rawField(l, "string")
		i = l.Top()
	case lua.TypeTable:
	default:
		return nil
	}
	if l.TypeOf(i) != lua.TypeTable {
		return nil
	}
	names = stringKeys(l, i)
	if depth < deepestIndex && l.CheckStack(lua.MinStack) && lua.MetaField(l, i, "__index") && l.TypeOf(-1) == lua.TypeTable {
		names = append(names, vm.memberNames(l, l.Top(), depth+1)...)
	}
	return names
}

func (h *Handle) memberNames() (names []string) {
	for _, m := range h.Class.Methods {
		names = append(names, m.Name)
	}
	if h.Class.Entries != nil {
		names = append(names, entryNames(h.Class.Entries(h.Value))...)
	}
	return names
}

func entryNames(list []Entry) (names []string) {
	for _, e := range list {
		if name, ok := e.Key.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// stringKeys are the keys of the table at i that are text.
func stringKeys(l *lua.State, i int) (names []string) {
	for l.PushNil(); l.Next(i); l.Pop(1) {
		if name, ok := l.ToValue(-2).(string); ok {
			names = append(names, name)
		}
	}
	return names
}
