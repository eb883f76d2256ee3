package script

import lua "github.com/Shopify/go-lua"

// A Ref keeps a Lua value, such as a callback, beyond the call that gave it.
// The garbage collector frees it. Its methods are for the owner goroutine.
type Ref struct {
	vm    *VM
	value any
	kind  lua.Type
}

func refTo(vm *VM, l *lua.State, i int) *Ref {
	kind := l.TypeOf(i)
	if kind == lua.TypeUserData {
		return &Ref{vm: vm, value: boxed(l, i), kind: kind}
	}
	return &Ref{vm: vm, value: l.ToValue(i), kind: kind}
}

// boxed keeps a userdata in a table of its own: ToValue gives what is inside
// of a userdata, not the thing with its metatable.
func boxed(l *lua.State, i int) any {
	i = l.AbsIndex(i)
	l.CreateTable(1, 0)
	l.PushValue(i)
	l.RawSetInt(-2, 1)
	box := l.ToValue(-1)
	l.Pop(1)
	return box
}

// Type is the value's type by its Lua name.
func (r *Ref) Type() string { return r.kind.String() }

// Same tells whether both keep the same function or table.
func (r *Ref) Same(other *Ref) bool { return other != nil && r.value == other.value }

// push puts the value on the stack. What ToValue gave for anything but
// userdata is the machine's own value.
func (r *Ref) push(l *lua.State) {
	l.PushLightUserData(r.value)
	if r.kind == lua.TypeUserData {
		l.RawGetInt(-1, 1)
		l.Remove(-2)
	}
}
