package script

import lua "github.com/Shopify/go-lua"

// Member is what a table has under a name, without its metatable; nil for nothing, and
// for what is no table.
func (r *Ref) Member(name string) *Ref {
	if r == nil || r.kept.Type() != lua.TypeTable {
		return nil
	}
	l := r.vm.m.Stack()
	l.CheckStack(lua.MinStack)
	defer l.SetTop(l.Top())
	r.Push(l)
	l.PushString(name)
	if l.RawGet(-2); l.IsNil(-1) {
		return nil
	}
	return r.vm.RefTo(l, -1)
}

// Names are the keys of a table that are text, in no order.
func (r *Ref) Names() (names []string) {
	if r == nil || r.kept.Type() != lua.TypeTable {
		return nil
	}
	l := r.vm.m.Stack()
	l.CheckStack(lua.MinStack)
	defer l.SetTop(l.Top())
	r.Push(l)
	return stringKeys(l, l.Top())
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
