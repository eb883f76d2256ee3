package policies

import (
	"fmt"
	"math"
	"strings"
	"time"

	"kresd/internal/dnslua/requests"
	"kresd/internal/modules/policy"
	"kresd/internal/resolve"
	"kresd/internal/rules"
	"kresd/internal/script"
)

// slice makes a rule that has one of several actions for each name. Where a function of the
// script's chooses, requests wait for the machine.
func (p *policies) slice(c *script.Call) error {
	var actions []*rules.Action
	for i := 2; i <= c.NArgs(); i++ {
		actions = append(actions, p.actionArg(c, i))
	}
	rule := &rules.Rule{Words: "policy.slice(a function, " + texts(actions) + ")"}
	if v, ok := c.HandleOf(1, p.slicer); ok {
		by := v.(*policy.ByDomain)
		rule.Filter, rule.Slices = rules.All(), &rules.Slices{By: by, Actions: actions}
		rule.Words = fmt.Sprintf("policy.slice(policy.slice_randomize_psl(%d), %s)", by.Seed, texts(actions))
	} else {
		rule.Pick = p.slicedBy(c.Function(1), actions)
	}
	return c.Return(&script.Handle{Class: p.rule, Value: rule})
}

func texts(actions []*rules.Action) string {
	words := make([]string, len(actions))
	for i, a := range actions {
		words[i] = a.Text()
	}
	return strings.Join(words, ", ")
}

// slicedBy chooses by a function(query, count), which gives a number from 1 to count, or nil
// where the rule is not for the question.
func (p *policies) slicedBy(fn *script.Ref, actions []*rules.Action) func(req *resolve.Request) *rules.Action {
	return func(req *resolve.Request) (a *rules.Action) {
		err := p.views.Show(req, false, func(c *script.Call, h *script.Handle) error {
			results, err := fn.Call(p.views.Initial(h.Value.(*requests.View)), len(actions))
			if err != nil || len(results) == 0 || results[0] == nil {
				return err
			}
			n, ok := results[0].(float64)
			if !ok || n != math.Trunc(n) || !(n >= 1 && n <= float64(len(actions))) {
				return fmt.Errorf("the function of policy.slice must return a whole number from 1 to %d, or nil", len(actions))
			}
			a = actions[int(n)-1]
			return nil
		})
		return p.chosen(req, a, err)
	}
}

const week = 7 * 24 * time.Hour

// sliceByDomain makes a slicing function; without a seed it is another one each week.
func (p *policies) sliceByDomain(c *script.Call) error {
	seed := float64(p.d.Now().Unix() / int64(week/time.Second))
	if !c.IsNil(1) {
		seed = math.Floor(c.Number(1))
	}
	if !(seed >= 0 && seed < 1<<53) {
		c.ArgError(1, "a number that is not negative expected")
	}
	return c.Return(&script.Handle{Class: p.slicer, Value: policy.NewByDomain(uint64(seed))})
}

// callSlicer is slicer(query, count).
func (p *policies) callSlicer(c *script.Call, v any) error {
	count := c.Int(2, 1, math.MaxInt32)
	s := &rules.Subject{}
	s.SetName([]byte(p.views.QueryName(c, 1)))
	n, _ := v.(*policy.ByDomain).Slice(s, count)
	return c.Return(n + 1)
}
