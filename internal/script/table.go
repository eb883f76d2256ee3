package script

import (
	"errors"
	"fmt"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script/machine"
)

// Global is the value of a global, as functions of scripts see it. For the owner
// goroutine.
func (vm *VM) Global(name string) *Ref {
	l := vm.m.Stack()
	l.CheckStack(lua.MinStack)
	l.Global(name)
	defer l.Pop(1)
	return vm.RefTo(l, -1)
}

// Require is require(name), whose error is that of the file: where, and what. For the
// owner goroutine.
func (vm *VM) Require(name string) (*Ref, error) {
	l := vm.m.Stack()
	if !l.CheckStack(lua.MinStack) {
		return nil, errors.New("stack overflow")
	}
	defer l.SetTop(l.Top())
	l.Global("require")
	l.PushString(name)
	err := vm.m.ProtectedCall(l, 1, 1, 0)
	if e := new(Error); errors.As(err, &e) { // who calls is said by whoever tells the error
		e.Message = strings.TrimPrefix(e.Message, machine.Position(l))
	}
	if err != nil {
		return nil, err
	}
	return vm.RefTo(l, -1), nil
}

// Preloaded tells whether a script has put a loader for require(name) into
// package.preload. For the owner goroutine.
func (vm *VM) Preloaded(name string) bool {
	l := vm.m.Stack()
	l.CheckStack(lua.MinStack)
	defer l.SetTop(l.Top())
	l.Field(lua.RegistryIndex, "_PRELOAD")
	l.Field(-1, name)
	return l.TypeOf(-1) == lua.TypeFunction && !l.IsGoFunction(-1)
}

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
	for l.PushNil(); l.Next(-2); l.Pop(1) {
		if name, ok := l.ToValue(-2).(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// Number is the value of a number.
func (r *Ref) Number() (n float64, ok bool) {
	n, ok = r.kept.Raw().(float64)
	return n, ok
}

// Resume lets a coroutine go on, and tells whether it can go on again.
func (r *Ref) Resume() (more bool, err error) {
	library := r.vm.Global("coroutine")
	results, err := library.Member("resume").Call(r)
	if err != nil {
		return false, err
	}
	if len(results) > 1 && results[0] == false {
		return false, &Error{Message: fmt.Sprint(results[1])}
	}
	status, err := library.Member("status").Call(r)
	return err == nil && len(status) > 0 && status[0] == "suspended", err
}
