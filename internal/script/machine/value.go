package machine

import lua "github.com/Shopify/go-lua"

// A Value is a Lua value that is kept beyond the call that gave it. The garbage
// collector frees it.
type Value struct {
	value any
	kind  lua.Type
}

// Keep keeps the value at i of a stack.
func Keep(l *lua.State, i int) Value {
	kind := l.TypeOf(i)
	if kind == lua.TypeUserData {
		return Value{boxed(l, i), kind}
	}
	return Value{l.ToValue(i), kind}
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

// Push puts the value on a stack. What ToValue gave for anything but
// userdata is the machine's own value.
func (v Value) Push(l *lua.State) {
	l.PushLightUserData(v.value)
	if v.kind == lua.TypeUserData {
		l.RawGetInt(-1, 1)
		l.Remove(-2)
	}
}

// Type is the value's type.
func (v Value) Type() lua.Type { return v.kind }

// Raw is the machine's own value, as lua.State.ToValue gives it; of a userdata the table
// in which it is kept. It serves for comparing.
func (v Value) Raw() any { return v.value }
