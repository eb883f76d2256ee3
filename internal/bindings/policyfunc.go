package bindings

import (
	"fmt"

	"kresd/internal/modules/policy"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

// actionArg is an action of ours, or a function of the script's as one.
func (p *policies) actionArg(c *script.Call, i int) *policy.Action {
	if v, ok := c.HandleOf(i, p.action); ok {
		return v.(*policy.Action)
	}
	if c.Type(i) != "function" {
		c.TypeError(i, "policy action or function(state, req)")
	}
	return p.scriptedAction(c.Function(i))
}

// scriptedAction is a function(state, req) as an action. Only requests that
// meet it wait for the machine.
func (p *policies) scriptedAction(fn *script.Ref) *policy.Action {
	return policy.Run(fn, func(m *policy.Meeting) (d policy.Decision) {
		m.Req.Alone = true
		before := m.Req.Result
		err := p.views.show(m.Req, m.Post, func(c *script.Call, req *script.Handle) error {
			results, err := fn.Call(int(stateOf(m.Post)), req)
			if err == nil {
				d, err = decision(results)
			}
			return err
		})
		if err != nil {
			p.warn(m.Req, err)
			m.Req.Result = before
			return policy.Failed
		}
		if !m.Post && (d == policy.GoOn || d == policy.Stop) {
			m.Req.Result = resolve.Result{EDE: m.Req.Result.EDE, EDEText: m.Req.Result.EDEText}
		}
		return d
	})
}

// decision is what an action's results mean: nothing, or a state.
func decision(results []any) (policy.Decision, error) {
	if len(results) == 0 || results[0] == nil {
		return policy.GoOn, nil
	}
	n, ok := results[0].(float64)
	if !ok {
		return policy.Failed, fmt.Errorf("an action must return a state such as kres.DONE, or nil")
	}
	switch state := resolve.State(n); {
	case state&resolve.Fail != 0:
		return policy.Failed, nil
	case state&resolve.Done != 0:
		return policy.Answered, nil
	}
	return policy.Stop, nil
}

// scripted is a function(req, query) as a rule: it returns an action or nil.
func (p *policies) scripted(fn *script.Ref, post bool) *policy.Rule {
	return &policy.Rule{Pick: func(req *resolve.Request) (a *policy.Action) {
		err := p.views.show(req, post, func(c *script.Call, h *script.Handle) error {
			results, err := fn.Call(h, p.views.initial(h.Value.(*reqView)))
			if err != nil || len(results) == 0 {
				return err
			}
			a, err = p.picked(results[0])
			return err
		})
		if err != nil {
			p.warn(req, err)
			return policy.Drop()
		}
		if a != nil {
			req.Alone = true
		}
		return a
	}}
}

// picked is the action that a rule of the script's chose.
func (p *policies) picked(v any) (*policy.Action, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case *script.Ref:
		if v.Type() == "function" {
			return p.scriptedAction(v), nil
		}
	case *script.Handle:
		if a, ok := v.Value.(*policy.Action); ok {
			return a, nil
		}
	}
	return nil, fmt.Errorf("a rule must return an action or nil")
}

// callAction is action(state, req).
func (p *policies) callAction(c *script.Call, v any) error {
	a := v.(*policy.Action)
	if c.NArgs() != 2 {
		return script.Usage(fmt.Sprintf("an action is called as policy.%s(state, req)", a))
	}
	view := p.views.arg(c, 2)
	m := policy.Meeting{Req: view.req, Zone: "\x00", Post: view.post}
	switch a.Do(&m) {
	case policy.Stop:
		return c.Return(c.Number(1))
	case policy.Answered:
		return c.Return(int(resolve.Done))
	case policy.Failed:
		return c.Return(int(resolve.Fail))
	}
	return c.Return(nil)
}

// callRule is rule(req, query).
func (p *policies) callRule(c *script.Call, v any) error {
	if c.NArgs() < 1 {
		return script.Usage("a rule is called as rule(req, query)")
	}
	a, _ := v.(*policy.Rule).Choose(p.views.arg(c, 1).req)
	if a == nil {
		return c.Return(nil)
	}
	if fn := a.Origin(); fn != nil {
		return c.Return(fn) // called by the script, it must not wait for the machine
	}
	return p.returnAction(c, a)
}

func (p *policies) debugIf(c *script.Call) error {
	fn := c.Function(1)
	return p.returnAction(c, policy.Debug("DEBUG_IF", func(req *resolve.Request) (yes bool) {
		err := p.views.show(req, true, func(_ *script.Call, h *script.Handle) error {
			results, err := fn.Call(h)
			yes = len(results) > 0 && results[0] != nil && results[0] != false
			return err
		})
		if err != nil {
			p.warn(req, err)
		}
		return yes
	}))
}

func (p *policies) warn(req *resolve.Request, err error) {
	p.d.Log.Warn(fmt.Sprintf("policy: %s: error: %v", req.Name, err))
}
