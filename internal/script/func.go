package script

import (
	"fmt"

	lua "github.com/Shopify/go-lua"
)

// A Func is a function that scripts can call.
type Func struct {
	Name string // as it is called: "hostname", "cache.clear"
	Args string // its parameters as help() shows them: "name[, type]"
	Help string // one line

	// Min and Max bound the number of arguments; a Max below Min means any.
	Min, Max int

	// Fn does the work. Results go to Call.Return; an error becomes a Lua
	// error (see Usage for what stands before its text). A panic becomes a Lua
	// error too.
	Fn func(c *Call) error

	object bool // belongs to an object of the resolver
}

func (f *Func) usage() string { return f.Name + "(" + f.Args + ")" }

// Register makes functions global and adds them to help(). A name with a dot
// belongs to the object before it, which must be registered. For the owner
// goroutine.
func (vm *VM) Register(funcs ...Func) {
	for _, f := range funcs {
		vm.register(f)
	}
}

func (vm *VM) register(f Func) {
	if o, _ := vm.objectOf(f.Name); o != nil {
		o.addFunc(vm, f)
		return
	}
	vm.document(entry{name: f.Name, usage: f.usage(), help: f.Help})
	vm.pushFunc(vm.now.l, f)
	vm.setGlobal(f.Name)
}

// setGlobal pops a value and makes it global, past the guard.
func (vm *VM) setGlobal(name string) {
	l := vm.now.l
	l.PushGlobalTable()
	l.Insert(-2)
	l.PushString(name)
	l.Insert(-2)
	l.RawSet(-3)
	l.Pop(1)
}

// SetGlobal makes v global. For the owner goroutine.
func (vm *VM) SetGlobal(name string, v any) {
	vm.push(vm.now.l, v)
	vm.setGlobal(name)
}

// pushFunc puts f on the stack as a Lua function.
func (vm *VM) pushFunc(l *lua.State, f Func) {
	l.PushGoFunction(vm.guarded(f.Name, func(l *lua.State) int {
		c := &Call{vm: vm, l: l, fn: &f, args: l.Top()}
		vm.watch(nil, lua.Debug{}) // calls may be long, and the hook counts instructions only
		if c.args < f.Min || (f.Max >= f.Min && c.args > f.Max) {
			c.Raise(Usage(fmt.Sprintf("wrong number of arguments to '%s'; usage: %s", f.Name, f.usage())))
		}
		if err := f.Fn(c); err != nil {
			c.Raise(err)
		}
		return c.pushResults()
	}))
}

func (c *Call) pushResults() int {
	if c.spread > 0 {
		return max(0, c.l.Top()-c.spread+1)
	}
	if !c.l.CheckStack(len(c.results) + lua.MinStack) {
		c.Raise(Usage("too many results"))
	}
	for _, v := range c.results {
		c.vm.push(c.l, v)
	}
	return len(c.results)
}
