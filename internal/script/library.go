package script

import (
	"context"
	"time"

	lua "github.com/Shopify/go-lua"
)

// A Library is what require(Name) gives, unless scripts have put something of their
// own into package.preload or package.loaded under that name.
type Library struct {
	Name string // as require is told: "socket.http"
	Help string // one line
	// Open makes the library's value, as Call.Return takes it, when a script requires
	// it first. Most return Call.LibraryTable or Call.LibraryText.
	Open func(c *Call) (any, error)
}

// AddLibraries makes libraries known to require. For the owner goroutine.
func (vm *VM) AddLibraries(libraries ...Library) {
	l := vm.m.Stack()
	l.Field(lua.RegistryIndex, "_PRELOAD")
	for _, lib := range libraries {
		vm.PushFunc(l, Func{Name: lib.Name, Max: -1, Fn: func(c *Call) error {
			value, err := lib.Open(c)
			if err != nil {
				return err
			}
			return c.Return(value)
		}})
		l.SetField(-2, lib.Name)
	}
	l.Pop(1)
}

// LibraryTable makes the plain table of a library: its functions, whose messages call
// them name.function, and other values by their names.
func (c *Call) LibraryTable(name string, funcs []Func, values ...Entry) *Ref {
	l := c.l
	l.NewTable()
	defer l.Pop(1)
	for _, f := range funcs {
		short := f.Name
		f.Name = name + "." + short
		c.vm.PushFunc(l, f)
		l.SetField(-2, short)
	}
	for _, v := range values {
		c.vm.Push(l, v.Key)
		c.vm.Push(l, v.Value)
		l.RawSet(-3)
	}
	return c.vm.RefTo(l, -1)
}

// NewFunction makes a function that a script is given, such as an iterator.
func (c *Call) NewFunction(f Func) *Ref {
	c.vm.PushFunc(c.l, f)
	defer c.l.Pop(1)
	return c.vm.RefTo(c.l, -1)
}

// NewTable returns a new, empty Lua table.
func (c *Call) NewTable() *Ref {
	c.l.NewTable()
	defer c.l.Pop(1)
	return c.vm.RefTo(c.l, -1)
}

// LibraryText runs a library that is written in Lua, with args as its "...", and gives
// the value that it returns. The name stands in messages in place of a file's.
func (c *Call) LibraryText(name, text string, args ...any) (*Ref, error) {
	l := c.l
	c.vm.libraryTexts["@"+name] = true
	if err := c.vm.Load(l, text, "@"+name); err != nil {
		return nil, err
	}
	for _, a := range args {
		c.vm.Push(l, a)
	}
	if err := c.vm.m.ProtectedCall(l, len(args), 1, 0); err != nil {
		return nil, err
	}
	defer l.Pop(1)
	return c.vm.RefTo(l, -1), nil
}

// Outside runs fn, which may take long and touches nothing of the machine, on a
// goroutine of its own, and meanwhile leaves the machine to others as StepAside does.
// The context ends when the evaluation is given up: then fn should return, and nobody
// takes what it returns. Pass the error on as it is.
func Outside[T any](c *Call, fn func(ctx context.Context) (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	result, done := make(chan outcome, 1), make(chan struct{})
	c.vm.opts.Goroutines.Go("library of a script", func() {
		defer close(done)
		v, err := fn(ctx)
		result <- outcome{v, err}
	})
	if err := c.StepAside(done); err != nil {
		var none T
		return none, err
	}
	select {
	case o := <-result:
		return o.value, o.err
	default: // it panicked, and the goroutines' group has reported that
		var none T
		return none, Usage("internal error in a library")
	}
}

// Interruptible is Outside for what knows no context: interrupt, unless it is nil, makes fn
// return when the evaluation is given up.
func Interruptible[T any](c *Call, interrupt func(), fn func() (T, error)) (T, error) {
	return Outside(c, func(ctx context.Context) (T, error) {
		if interrupt != nil {
			defer context.AfterFunc(ctx, interrupt)()
		}
		return fn()
	})
}

// Seconds is a time that a script gives in seconds: at least none, at most some decades.
func Seconds(s float64) time.Duration {
	const most = 1 << 30
	return time.Duration(min(max(s, 0), most) * float64(time.Second))
}
