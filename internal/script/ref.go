package script

import (
	lua "github.com/Shopify/go-lua"

	"kresd/internal/script/machine"
)

// A Ref keeps a Lua value, such as a callback, beyond the call that gave it.
// The garbage collector frees it. Its methods are for the owner goroutine.
type Ref struct {
	vm   *VM
	kept machine.Value
}

// RefTo keeps the value at i of a stack.
func (vm *VM) RefTo(l *lua.State, i int) *Ref { return &Ref{vm, machine.Keep(l, i)} }

// Type is the value's type by its Lua name.
func (r *Ref) Type() string { return r.kept.Type().String() }

// Same tells whether both keep the same function or table.
func (r *Ref) Same(other *Ref) bool { return other != nil && r.kept.Raw() == other.kept.Raw() }

// Number is the value of a number.
func (r *Ref) Number() (n float64, ok bool) {
	n, ok = r.kept.Raw().(float64)
	return n, ok
}

// Push puts the value on the stack.
func (r *Ref) Push(l *lua.State) { r.kept.Push(l) }
