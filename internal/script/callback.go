package script

import (
	"errors"

	lua "github.com/Shopify/go-lua"
)

// Call calls the value with args and returns its results as Arg would.
// A Lua error comes back as an *Error, with a traceback for Report.
func (r *Ref) Call(args ...any) ([]any, error) {
	l := r.vm.now.l
	if r.kind != lua.TypeFunction {
		return nil, errors.New("not a function")
	}
	if !l.CheckStack(len(args) + lua.MinStack) {
		return nil, errors.New("stack overflow")
	}
	before := l.Top()
	defer func() { l.SetTop(before) }()
	var raised string
	l.PushGoFunction(func(l *lua.State) int { // sees the stack before it unwinds
		raised = tracebackOf(l, 1)
		return 1
	})
	top := l.Top()
	r.push(l)
	for _, a := range args {
		r.vm.push(l, a)
	}
	if err := r.vm.protectedCall(l, len(args), lua.MultipleReturns, top); err != nil {
		if e := new(Error); errors.As(err, &e) && e.traceback == "" {
			e.traceback = raised
		}
		return nil, err
	}
	var results []any
	for i := top + 1; i <= l.Top(); i++ {
		v, err := r.vm.toGo(l, i)
		if err != nil {
			return nil, err
		}
		results = append(results, v)
	}
	return results, nil
}
