// Package asking is how scripts ask this resolver: resolve() and trace(), and resolve_pkt of the
// global worker. What they ask is resolved beside the machine; answers are shown by package
// requests.
package asking

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"kresd/internal/dnslua/requests"
	"kresd/internal/dnslua/terms"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/luavalue"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// A Host is what resolves.
type Host struct {
	VM       *script.VM
	Resolver Resolver
	Group    *safe.Group
	Log      *logging.Logger
	// Missed is what a script read last of constants that do not exist.
	Missed *terms.MissedConstant
}

// Resolver resolves what scripts ask. Both of its methods take as long as a
// resolution takes.
type Resolver interface {
	// Resolve fills the request's Result, and its ID and time before that.
	Resolve(req *resolve.Request)
	// Trace tells how a question was resolved, as an indented tree.
	Trace(ctx context.Context, q resolve.Question) string
}

// asker makes the globals trace and resolve.
type asker struct {
	d       *Host
	views   *requests.Views
	running atomic.Int32 // requests of scripts
	seldom  logging.Seldom
}

// Install makes the globals, and returns the functions that the global worker has of them.
func Install(d *Host, views *requests.Views) []script.Func {
	a := &asker{d: d, views: views}
	d.VM.Register(script.Func{Name: "trace", Args: "name[, type]", Min: 1, Max: 2, Fn: a.trace}, a.function())
	return []script.Func{a.function(), a.packetFunction()}
}

// function is resolve, which worker.resolve is, too.
func (a *asker) function() script.Func {
	return script.Func{Name: "resolve", Args: "name, type[, class[, options[, finish[, init]]]]", Min: 1, Max: 6,
		Fn: a.resolve}
}

// trace steps aside until the name is resolved: other commands, timers and
// requests that need this machine are served meanwhile, the traced one included.
func (a *asker) trace(c *script.Call) error {
	q := resolve.Question{Name: terms.NameArg(c, 1, c.Arg(1)), Type: wire.TypeA, Class: wire.ClassIN}
	if c.NArgs() > 1 {
		q.Type = terms.TypeArg(c, 2, c.Arg(2))
	}
	if wire.IsMetaType(q.Type) && q.Type != wire.TypeANY {
		c.ArgError(2, "no record has the type '%v', and no client is told about it", c.Arg(2))
	}
	var text string
	done := make(chan struct{})
	ctx := c.Context()
	a.d.Group.Go("trace", func() {
		defer close(done)
		text = a.d.Resolver.Trace(ctx, q)
	})
	if err := c.StepAside(done); err != nil {
		return err
	}
	return c.Return(text)
}

// question is what resolve() was called with.
type question struct {
	resolve.Question
	options      resolve.Options
	do, cd       bool
	finish, init *script.Ref
}

// resolve takes its arguments one by one or as one table.
func (a *asker) resolve(c *script.Call) error {
	if c.Type(1) == "table" {
		return a.ask(c, a.fromTable(c))
	}
	return a.ask(c, a.fromArgs(c))
}

// packetFunction is worker.resolve_pkt.
func (a *asker) packetFunction() script.Func {
	return script.Func{Name: "resolve_pkt", Args: "packet[, options[, finish[, init]]]", Min: 1, Max: 4,
		Fn: func(c *script.Call) error {
			var q question
			q.Question, q.do, q.cd = a.views.QuestionOf(c, 1)
			q.options = a.views.FlagArg(c, 2)
			q.finish, q.init = c.OptFunction(3), c.OptFunction(4)
			return a.ask(c, q)
		}}
}

// ask resolves a question on a goroutine of its own.
func (a *asker) ask(c *script.Call, q question) error {
	if a.running.Add(1) > limits.ScriptRequests {
		a.running.Add(-1)
		a.seldom.Say("full", func(more string) {
			a.d.Log.Warn(fmt.Sprintf("resolve: %d questions of scripts are under way already%s", limits.ScriptRequests, more))
		})
		return c.Return(false)
	}
	req := &resolve.Request{
		Question: q.Question, RD: true, Options: q.options,
		DO: q.do || q.options.AsksDO, CD: q.cd || q.options.AsksCD,
	}
	view := a.views.Of(req)
	view.Traceable()
	if q.init != nil {
		if err := view.During(false, func() error { return ignoreResults(q.init.Call(a.views.Handle(view))) }); err != nil {
			a.running.Add(-1)
			return err
		}
	}
	traced := view.Follow()
	a.d.Group.Go("resolve", func() {
		defer a.running.Add(-1)
		a.d.Resolver.Resolve(req)
		if q.finish != nil || traced {
			a.finish(view, q.finish)
		}
	})
	return c.Return(true)
}

// finish hands the answer over to the script, and before it what it wants to hear of the
// request. fn may be nil.
func (a *asker) finish(view *requests.View, fn *script.Ref) {
	a.d.VM.Post(func(*script.Call) error {
		return view.During(true, func() error {
			err := a.views.TellTrace(view)
			if fn == nil {
				return err
			}
			return errors.Join(err, ignoreResults(fn.Call(a.views.Answer(view), a.views.Handle(view))))
		})
	})
}

func ignoreResults(_ []any, err error) error { return err }

func (a *asker) fromArgs(c *script.Call) question {
	q := question{Question: resolve.Question{Name: terms.NameArg(c, 1, c.Arg(1)), Type: wire.TypeA, Class: wire.ClassIN}}
	if c.NArgs() > 1 {
		q.Type = terms.TypeArg(c, 2, c.Arg(2))
	}
	c.NotNil(3, "a class expected, such as kres.class.IN")
	if !c.IsNil(3) {
		q.Class = uint16(c.Int(3, 1, 0xffff))
	}
	q.options = a.views.FlagArg(c, 4)
	q.finish, q.init = c.OptFunction(5), c.OptFunction(6)
	return q
}

// fromTable reads resolve{ name = …, type = …, class = …, options = …, finish =
// …, init = … }.
func (a *asker) fromTable(c *script.Call) question {
	q := question{Question: resolve.Question{Type: wire.TypeA, Class: wire.ClassIN}}
	for _, pair := range c.Arg(1).(*luavalue.Table).Pairs {
		switch key, _ := pair.Key.(string); key {
		case "name":
			q.Name = terms.NameArg(c, 1, pair.Value)
		case "type":
			q.Type = terms.TypeArg(c, 1, pair.Value)
		case "class":
			q.Class = classValue(c, pair.Value)
		case "options":
			q.options = requests.FlagValue(c, pair.Value)
		case "finish":
			q.finish = functionValue(c, key, pair.Value)
		case "init":
			q.init = functionValue(c, key, pair.Value)
		default:
			c.ArgError(1, "unknown field '%v'; there are name, type, class, options, finish, init", pair.Key)
		}
	}
	if q.Name == "" {
		c.ArgError(1, "the field 'name' is missing")
	}
	for field, class := range map[string]string{"type": "kres.type", "class": "kres.class"} {
		if name := a.d.Missed.In(c, class); name != "" && c.Arg(1).(*luavalue.Table).Get(field) == nil {
			c.ArgError(1, "%s: there is no %s", field, name)
		}
	}
	*a.d.Missed = terms.MissedConstant{}
	return q
}

// classValue is a class in a table.
func classValue(c *script.Call, v any) uint16 {
	n, ok := v.(float64)
	if !ok || n < 1 || n > 0xffff || n != float64(uint16(n)) {
		c.ArgError(1, "class: a whole number from 1 to 65535 expected")
	}
	return uint16(n)
}

// functionValue is the function that stands under key in the table that is argument 1.
func functionValue(c *script.Call, key string, v any) *script.Ref {
	fn, ok := v.(*script.Ref)
	if !ok || fn.Type() != "function" {
		c.ArgError(1, "%s: a function expected", key)
	}
	return fn
}
