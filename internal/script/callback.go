package script

import (
	"errors"
	"fmt"

	lua "github.com/Shopify/go-lua"
)

// Call calls the value with args and returns its results as Arg would.
// A Lua error comes back as an *Error, with a traceback for Report.
func (r *Ref) Call(args ...any) ([]any, error) {
	l := r.vm.m.Stack()
	before := l.Top()
	defer func() { l.SetTop(before) }()
	if err := r.call(l, args); err != nil {
		return nil, err
	}
	var results []any
	for i := before + 1; i <= l.Top(); i++ {
		v, err := r.vm.ToGo(l, i)
		if err != nil {
			return nil, err
		}
		results = append(results, v)
	}
	return results, nil
}

// Run is Call for what the value does, and not for what it returns.
func (r *Ref) Run(args ...any) error {
	l := r.vm.m.Stack()
	before := l.Top()
	defer func() { l.SetTop(before) }()
	return r.call(l, args)
}

// call leaves on the stack what the value returns.
func (r *Ref) call(l *lua.State, args []any) error {
	if r.kept.Type() != lua.TypeFunction {
		return errors.New("not a function")
	}
	if !l.CheckStack(len(args) + lua.MinStack) {
		return errors.New("stack overflow")
	}
	r.Push(l)
	for _, a := range args {
		r.vm.Push(l, a)
	}
	return r.vm.m.TracedCall(l, len(args))
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
