package policies

import (
	"fmt"
	"math"

	"kresd/internal/bindings/servers"
	"kresd/internal/dnslua/requests"
	"kresd/internal/logging"
	"kresd/internal/modules/policy"
	"kresd/internal/resolve"
	"kresd/internal/rules"
	"kresd/internal/script"
)

// policies make the Lua table policy. Its filters and actions are handles to Go values;
// functions of scripts become rules and actions, too.
type policies struct {
	d                   *Host
	views               *requests.Views
	reader              servers.Reader
	action, rule, entry *script.Class
	slicer              *script.Class
	seldom              logging.Seldom // errors of scripts
}

// actionArg is the action in argument i, which may be a function of the script's.
func (p *policies) actionArg(c *script.Call, i int) *rules.Action {
	if v, ok := c.HandleOf(i, p.action); ok {
		return v.(*rules.Action)
	}
	if c.Type(i) != "function" {
		c.TypeError(i, "policy action or function(state, req)")
	}
	return p.scriptedAction(c.Function(i))
}

// returnAction returns a handle to an action to the script.
func (p *policies) returnAction(c *script.Call, a *rules.Action) error {
	return c.Return(&script.Handle{Class: p.action, Value: a})
}

// scriptedAction is a function(state, req) as an action. A request waits for the Lua
// machine only if it meets a rule with the action.
func (p *policies) scriptedAction(fn *script.Ref) *rules.Action {
	return rules.Run("function", fn, func(m *rules.Hit) (d rules.Decision) {
		m.Req.Alone, m.Req.Scripted = true, true
		before := m.Req.Result
		err := p.views.Show(m.Req, m.Post, func(c *script.Call, req *script.Handle) error {
			results, err := fn.Call(int(requests.StateOf(m.Post)), req)
			if err == nil {
				d, err = decision(results)
			}
			return err
		})
		if err != nil {
			p.warn(m.Req, err)
			m.Req.Result = before
			return rules.Failed
		}
		if !m.Post && (d == rules.GoOn || d == rules.Stop) {
			m.Req.Result = resolve.Result{EDE: m.Req.Result.EDE, EDEText: m.Req.Result.EDEText}
		}
		return d
	})
}

// decision is what an action's results mean: nothing, or a state.
func decision(results []any) (rules.Decision, error) {
	if len(results) == 0 || results[0] == nil {
		return rules.GoOn, nil
	}
	n, ok := results[0].(float64)
	if !ok || !(n >= 0 && n <= 0xff) || n != math.Trunc(n) {
		return rules.Failed, fmt.Errorf("an action must return a state such as kres.DONE, or nil")
	}
	switch state := resolve.State(n); {
	case state&resolve.Fail != 0:
		return rules.Failed, nil
	case state&resolve.Done != 0:
		return rules.Answered, nil
	}
	return rules.Stop, nil
}

// scripted is a function(req, query) as a rule: it returns an action or nil.
func (p *policies) scripted(fn *script.Ref, post bool) *rules.Rule {
	return &rules.Rule{Pick: func(req *resolve.Request) (a *rules.Action) {
		err := p.views.Show(req, post, func(c *script.Call, h *script.Handle) error {
			results, err := fn.Call(h, p.views.Initial(h.Value.(*requests.View)))
			if err != nil || len(results) == 0 {
				return err
			}
			a, err = p.picked(results[0])
			return err
		})
		return p.chosen(req, a, err)
	}}
}

// chosen is what becomes of a question for which a function has chosen an action, or none, or
// has failed.
func (p *policies) chosen(req *resolve.Request, a *rules.Action, err error) *rules.Action {
	switch {
	case err != nil:
		p.warn(req, err)
		return rules.Drop()
	case a != nil:
		req.Alone, req.Scripted = true, true
	}
	return a
}

// picked is the action that a rule of the script's chose.
func (p *policies) picked(v any) (*rules.Action, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case *script.Ref:
		if v.Type() == "function" {
			return p.scriptedAction(v), nil
		}
	case *script.Handle:
		if a, ok := v.Value.(*rules.Action); ok {
			return a, nil
		}
	}
	return nil, fmt.Errorf("a rule must return an action or nil")
}

// callAction is action(state, req).
func (p *policies) callAction(c *script.Call, v any) error {
	a := v.(*rules.Action)
	if c.NArgs() != 2 {
		return script.Usage(fmt.Sprintf("an action is called as policy.%s(state, req)", a))
	}
	view := p.views.Arg(c, 2)
	m := rules.Hit{Req: view.Req, Zone: "\x00", Post: view.Post}
	switch a.Do(&m) {
	case rules.Stop:
		return c.Return(c.Number(1))
	case rules.Answered:
		return c.Return(int(resolve.Done))
	case rules.Failed:
		return c.Return(int(resolve.Fail))
	}
	return c.Return(nil)
}

// callRule is rule(req, query).
func (p *policies) callRule(c *script.Call, v any) error {
	if c.NArgs() < 1 {
		return script.Usage("a rule is called as rule(req, query)")
	}
	a := v.(*rules.Rule).Choose(p.views.Arg(c, 1).Req)
	if a == nil {
		return c.Return(nil)
	}
	if fn := a.Origin(); fn != nil {
		return c.Return(fn) // the function itself: the script, which has the machine, cannot wait for it
	}
	return p.returnAction(c, a)
}

func (p *policies) debugIf(c *script.Call) error {
	fn := c.Function(1)
	return p.returnAction(c, policy.Debug("DEBUG_IF", func(req *resolve.Request) (yes bool) {
		err := p.views.Show(req, true, func(_ *script.Call, h *script.Handle) error {
			results, err := fn.Call(h)
			yes = len(results) > 0 && results[0] != nil && results[0] != false
			return err
		})
		if err != nil {
			p.warn(req, err)
		}
		return yes
	}).WithArgs("a function"))
}

func (p *policies) warn(req *resolve.Request, err error) {
	p.seldom.Say(err.Error(), func(more string) {
		p.d.Log.Warn(fmt.Sprintf("policy: %s%s: error: %s", req.Name, more, script.Report(err)))
	})
}
