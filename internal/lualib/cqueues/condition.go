package cqueues

import (
	"slices"

	"kresd/internal/script"
)

// A condition is what coroutines wait for until another one signals it. All of it belongs
// to the owner goroutine.
type condition struct {
	lifo    bool
	waiting []*waiter // oldest first
}

type waiter struct{ fire func() }

// watch fires at the next signal.
func (k *condition) watch(_ *Library, fire func()) (func(), error) {
	w := &waiter{fire}
	k.waiting = append(k.waiting, w)
	return func() {
		if i := slices.Index(k.waiting, w); i >= 0 {
			k.waiting = slices.Delete(k.waiting, i, i+1)
		}
	}, nil
}

// signal wakes up to n that wait and returns how many those are.
func (k *condition) signal(n int) int {
	n = min(n, len(k.waiting))
	for range n {
		next := 0
		if k.lifo {
			next = len(k.waiting) - 1
		}
		w := k.waiting[next]
		k.waiting = slices.Delete(k.waiting, next, next+1)
		w.fire()
	}
	return n
}

func (lib *Library) conditionClass() *script.Class {
	class := &script.Class{Name: "condition"}
	class.Methods = []script.Func{
		{Name: "wait", Args: "[object or seconds, ...]", Min: 1, Max: -1, Fn: lib.waitCondition},
		{Name: "signal", Args: "[count]", Min: 1, Max: 2, Fn: func(c *script.Call) error {
			return c.Return(c.Handle(1, class).(*condition).signal(c.OptInt(2, 0, all, all)))
		}},
		{Name: "pollfd", Min: 1, Max: 1, Fn: itself},
		{Name: "events", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return(nil) }},
	}
	class.Call = func(c *script.Call, v any) error {
		return c.Return(&script.Handle{Class: class, Value: v})
	}
	return class
}

// waitCondition returns whether the condition was signalled, and what else is ready.
func (lib *Library) waitCondition(c *script.Call) error {
	c.Handle(1, lib.conditions)
	p, err := lib.pollArgs(c, 1)
	if err != nil {
		return err
	}
	values := []any{p.ready[0].Load()}
	for i := 1; i < len(p.ready); i++ {
		if p.ready[i].Load() {
			values = append(values, c.Ref(i+1))
		}
	}
	return c.Return(values...)
}

// openCondition makes cqueues.condition.
func (lib *Library) openCondition(c *script.Call) (any, error) {
	return c.LibraryTable("condition", []script.Func{
		{Name: "new", Args: "[lifo]", Max: 1, Fn: func(c *script.Call) error {
			lifo := !c.IsNil(1) && c.Bool(1)
			return c.Return(&script.Handle{Class: lib.conditions, Value: &condition{lifo: lifo}})
		}},
		{Name: "type", Args: "value", Min: 1, Max: 1, Fn: typeFunc(lib.conditions, "condition")},
	}), nil
}
