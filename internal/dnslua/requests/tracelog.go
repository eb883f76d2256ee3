package requests

import (
	"fmt"

	"kresd/internal/explain"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

// Traceable lets the script that looks at the request assign trace_log and trace_finish,
// before it is resolved.
func (r *View) Traceable() { r.trace = &traceLog{} }

// setTrace assigns a function to one of the two; nil takes it away.
func (v *Views) setTrace(c *script.Call, r *View, key any) error {
	if r.trace == nil {
		return script.Usage(fmt.Sprintf("'%v' is heard of requests that resolve() makes, and assigned in its function init; trace() and policy.DEBUG_ALWAYS tell of others", key))
	}
	var fn *script.Ref
	if cb, ok := c.HandleOf(1, v.callback); ok {
		fn = cb.(*callback).fn
	} else {
		fn = c.OptFunction(1)
	}
	if key == "trace_log" {
		r.trace.each = fn
	} else {
		r.trace.end = fn
	}
	return nil
}

// Follow reads along for the script, if it wants to hear anything. It comes before the request is
// resolved.
func (r *View) Follow() (wanted bool) {
	t := r.trace
	if t == nil || t.each == nil {
		return t != nil && t.end != nil
	}
	r.Req.Alone = true // what others do for it would not be told
	r.Req.Tell = func(q *resolve.Query, step resolve.Step) {
		if l := explain.Words(step); l.Text != "" {
			t.add(fmt.Sprintf("[%05d.%02d][%-4s] %s%s", r.Req.ID, queryView{r, q}.id(), l.Component, l.Mark, l.Text))
		}
	}
	return true
}

func (t *traceLog) add(line string) {
	if t.octets += len(line); t.octets <= limits.RequestTrace {
		t.lines = append(t.lines, line+"\n")
	}
}

// TellTrace tells the script what it wants to hear of a request that has ended.
func (v *Views) TellTrace(r *View) error {
	t := r.trace
	if t == nil {
		return nil
	}
	if t.each != nil {
		for _, line := range t.lines {
			if _, err := t.each.Call(v.Handle(r), line); err != nil {
				return err
			}
		}
	}
	if t.end == nil {
		return nil
	}
	_, err := t.end.Call(v.Handle(r))
	return err
}

// A callback is a function of a script's that C would call.
type callback struct{ fn *script.Ref }

// Callback is what scripts know as a function that C would call.
func (v *Views) Callback(fn *script.Ref) *script.Handle {
	return &script.Handle{Class: v.callback, Value: &callback{fn}}
}

// callbackClass is what ffi.cast makes of a function.
func callbackClass() *script.Class {
	class := &script.Class{Name: "callback", CData: true}
	nothing := func(*script.Call) error { return nil }
	class.Methods = []script.Func{
		{Name: "free", Min: 1, Max: 1, Fn: nothing},
		{Name: "set", Args: "function", Min: 2, Max: 2, Fn: func(c *script.Call) error {
			c.Handle(1, class).(*callback).fn = c.Function(2)
			return nil
		}},
	}
	class.Call = func(c *script.Call, value any) error {
		args := make([]any, c.NArgs())
		for i := range args {
			args[i] = c.Arg(i + 1)
		}
		results, err := value.(*callback).fn.Call(args...)
		if err != nil {
			return err
		}
		return c.Return(results...)
	}
	return class
}
