package script

import (
	"errors"
	"fmt"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/luavalue"
	"kresd/internal/script/machine"
)

// maxTableDepth bounds the nesting of tables that leave the machine.
const maxTableDepth = 60

var errCycle = errors.New("a table that contains itself or is nested too deeply")

// ToGo copies the value at i out of the machine.
func (vm *VM) ToGo(l *lua.State, i int) (any, error) { return vm.toGoDepth(l, i, 0) }

func (vm *VM) toGoDepth(l *lua.State, i, depth int) (any, error) {
	switch l.TypeOf(i) {
	case lua.TypeNil, lua.TypeNone:
		return nil, nil
	case lua.TypeBoolean, lua.TypeNumber, lua.TypeString:
		return l.ToValue(i), nil
	case lua.TypeTable:
		if depth == maxTableDepth {
			return nil, errCycle
		}
		return vm.tableToGo(l, i, depth)
	case lua.TypeUserData:
		if h := handleAt(l, i); h != nil {
			return h, nil
		}
	}
	return vm.RefTo(l, i), nil
}

func (vm *VM) tableToGo(l *lua.State, i, depth int) (*luavalue.Table, error) {
	t := &luavalue.Table{}
	err := vm.EachPair(l, i, func() error {
		key, err := vm.toGoDepth(l, -2, maxTableDepth) // a table as a key is an error
		if err != nil {
			return err
		}
		value, err := vm.toGoDepth(l, -1, depth+1)
		if err != nil {
			return err
		}
		t.Add(key, value)
		return nil
	})
	t.Sort()
	return t, err
}

// EachPair calls fn with key and value of each entry on top of the stack; fn
// leaves the stack as it was. Objects show their functions and options.
func (vm *VM) EachPair(l *lua.State, i int, fn func() error) error {
	if !l.CheckStack(lua.MinStack) {
		return errors.New("stack overflow")
	}
	top := l.Top()
	if o := vm.objectAt(l, i); o != nil {
		o.pushEntries(vm, l)
	} else {
		l.PushValue(i)
	}
	// No defer restores the stack: a Lua error that passes has its value there.
	for l.PushNil(); l.Next(-2); l.Pop(1) {
		if err := fn(); err != nil {
			l.SetTop(top)
			return err
		}
	}
	l.SetTop(top)
	return nil
}

// Portable replaces what has no form outside of the machine by nil, and drops
// such keys.
func Portable(v any) any {
	switch v := v.(type) {
	case *Ref, *Handle:
		return nil
	case *luavalue.Table:
		t := &luavalue.Table{}
		for _, p := range v.Pairs {
			if Portable(p.Key) == nil {
				continue
			}
			if value := Portable(p.Value); value != nil {
				t.Add(p.Key, value)
			}
		}
		return t
	}
	return v
}

// Push puts a Go value on the stack. A type that it does not know is a bug of
// the binding.
func (vm *VM) Push(l *lua.State, v any) {
	l.CheckStack(lua.MinStack)
	switch v := v.(type) {
	case nil:
		l.PushNil()
	case bool:
		l.PushBoolean(v)
	case string:
		l.PushString(v)
	case []byte:
		l.PushString(string(v))
	case *luavalue.Table:
		vm.pushTable(l, v)
	case *Shadowed:
		vm.pushShadowed(l, v)
	case *Watched:
		vm.pushWatched(l, v)
	case *WithMeta:
		vm.pushTable(l, v.Table)
		v.Meta.Push(l)
		l.SetMetaTable(-2)
	case *Ref:
		v.Push(l)
	case *machine.Value:
		v.Push(l)
	case *lua.State: // a coroutine
		l.PushLightUserData(v)
	case *Handle:
		vm.pushHandle(l, v)
	case []string:
		pushList(vm, l, v)
	case []any:
		pushList(vm, l, v)
	default:
		l.PushNumber(number(v))
	}
}

func number(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case uint32:
		return float64(v)
	case uint16:
		return float64(v)
	}
	panic(fmt.Sprintf("a %T is no Lua value", v))
}

func (vm *VM) pushTable(l *lua.State, t *luavalue.Table) {
	if t == nil {
		l.PushNil()
		return
	}
	l.CreateTable(0, len(t.Pairs))
	for _, p := range t.Pairs {
		vm.Push(l, p.Key)
		vm.Push(l, p.Value)
		l.RawSet(-3)
	}
}

func pushList[T any](vm *VM, l *lua.State, list []T) {
	l.CreateTable(len(list), 0)
	for i, v := range list {
		vm.Push(l, v)
		l.RawSetInt(-2, i+1)
	}
}

// A Shadowed is a table that shows some of its entries only to those who ask
// for them by name: pairs() and the printer see Shown, indexing finds Hidden
// too.
type Shadowed struct{ Shown, Hidden *luavalue.Table }

// A WithMeta is a table with a metatable of a script's.
type WithMeta struct {
	Table *luavalue.Table
	Meta  *Ref
}

func (vm *VM) pushShadowed(l *lua.State, s *Shadowed) {
	vm.pushTable(l, s.Shown)
	l.NewTable()
	vm.pushTable(l, s.Hidden)
	l.SetField(-2, "__index")
	l.SetMetaTable(-2)
}

// TypeName is the name that scripts have for the type of a value which is no longer
// on the machine's stack (Call.Arg, Table.Get).
func TypeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case string:
		return "string"
	case *luavalue.Table:
		return "table"
	case *Ref:
		return v.Type()
	}
	return "userdata" // a handle
}
