package script

import (
	"errors"

	lua "github.com/Shopify/go-lua"
)

// Call calls the value with args and returns its results as Arg would.
// A Lua error comes back as an *Error, with a traceback for Report.
func (r *Ref) Call(args ...any) ([]any, error) {
	l := r.vm.now.l
	before := l.Top()
	defer func() { l.SetTop(before) }()
	if err := r.call(l, args); err != nil {
		return nil, err
	}
	var results []any
	for i := before + 2; i <= l.Top(); i++ { // above the message handler
		v, err := r.vm.toGo(l, i)
		if err != nil {
			return nil, err
		}
		results = append(results, v)
	}
	return results, nil
}

// Run is Call for what the value does, and not for what it returns.
func (r *Ref) Run(args ...any) error {
	l := r.vm.now.l
	before := l.Top()
	defer func() { l.SetTop(before) }()
	return r.call(l, args)
}

// call leaves a message handler on the stack, and above it what the value returns.
func (r *Ref) call(l *lua.State, args []any) error {
	if r.kind != lua.TypeFunction {
		return errors.New("not a function")
	}
	if !l.CheckStack(len(args) + lua.MinStack) {
		return errors.New("stack overflow")
	}
	var raised string
	l.PushGoFunction(func(l *lua.State) int { // sees the stack before it unwinds
		raised = tracebackOf(l, 1)
		return 1
	})
	handler := l.Top()
	r.push(l)
	for _, a := range args {
		r.vm.push(l, a)
	}
	err := r.vm.protectedCall(l, len(args), lua.MultipleReturns, handler)
	if e := new(Error); errors.As(err, &e) && e.traceback == "" {
		e.traceback = raised
	}
	return err
}
