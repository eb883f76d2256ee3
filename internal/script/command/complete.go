package command

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
	"kresd/internal/script"
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
	complete := s.in.offered
	if typed, ok := source.ReadTyped(text); ok {
		complete = func(l *lua.State, _ string) []string { return s.completions(l, typed) }
	} else if !source.InQuotes(text) {
		return nil
	}
	run := machine.Evaluation{Context: ctx, Kind: script.Internal, Budget: limits.CompletionTime}
	err := s.in.Machine().Submit(ctx, script.Console, func() error {
		return s.in.Enter(run, func(c *script.Call) error {
			list = complete(c.Stack(), text)
			return nil
		})
	})
	if err != nil {
		return nil
	}
	return list
}

// completions are the names that begin as typed, in order.
func (s *Session) completions(l *lua.State, typed source.Typed) (list []string) {
	names := s.names(l, typed.Owners)
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
func (s *Session) names(l *lua.State, owners []string) []string {
	if len(owners) == 0 {
		return s.globalNames(l)
	}
	if s.pushPath(l, owners) {
		return s.in.MemberNames(l, l.Top())
	}
	return nil
}

// Members lists the names that scripts can write behind a dotted path, sorted; behind
// "" the globals.
func (in *Interpreter) Members(ctx context.Context, path string) (list []string) {
	var owners []string
	if path != "" {
		owners = strings.Split(path, ".")
	}
	_ = in.Do(ctx, func(c *script.Call) error {
		for _, name := range in.NewSession().names(c.Stack(), owners) {
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
func (s *Session) globalNames(l *lua.State) []string {
	return slices.AppendSeq(s.in.GlobalNames(l), maps.Keys(s.locals))
}

// pushPath pushes the value that the names lead to.
func (s *Session) pushPath(l *lua.State, names []string) bool {
	if v := s.locals[names[0]]; v.fn != nil {
		v.fn.Push(l)
		lua.UpValue(l, l.Top(), v.i)
	} else {
		s.in.PushGlobal(l, names[0])
	}
	for _, name := range names[1:] {
		if !s.in.Opens(l, l.Top()) {
			return false
		}
		s.in.PushShown(l, l.Top())
		l.PushString(name)
		l.RawGet(-2)
	}
	return !l.IsNil(-1)
}
