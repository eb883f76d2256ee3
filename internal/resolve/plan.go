package resolve

import (
	"errors"

	"kresd/internal/limits"
)

// Refusals of Push.
var (
	// ErrCycle: an equal question already waits in the plan.
	ErrCycle = errors.New("the question waits for itself")
	// ErrDepth: too many addresses of name servers wait for each other.
	ErrDepth = errors.New("addresses of name servers depend on each other too deeply")
)

// Plan is a stack of questions. Every limit on how much a request may ask is
// enforced here, where work enters.
type Plan struct {
	stack    []*Query
	pushed   uint32
	counters *limits.Counters
}

// Push makes q the next question to solve; the current one waits for it. It
// fails with ErrCycle when an equal question is among q's ancestors, and with
// ErrBudget when the client's query has asked enough.
func (p *Plan) Push(q *Query) error {
	for a := q.Parent; a != nil; a = a.Parent {
		if a.Question == q.Question {
			p.counters.Hit(limits.Cycle)
			return ErrCycle
		}
	}
	if p.pushed >= limits.MaxQueriesPerPlan {
		p.counters.Hit(limits.PlanQueries)
		return ErrBudget
	}
	p.pushed++
	q.ID = p.pushed
	p.stack = append(p.stack, q)
	return nil
}

// Current is the question to solve next, nil when all are solved.
func (p *Plan) Current() *Query {
	if len(p.stack) == 0 {
		return nil
	}
	return p.stack[len(p.stack)-1]
}

// Pop takes q and everything above it off the plan.
func (p *Plan) Pop(q *Query) {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if p.stack[i] == q {
			p.stack = p.stack[:i]
			return
		}
	}
}

// abandon ends what unsolved queries still wait for.
func (p *Plan) abandon() {
	for _, q := range p.stack {
		q.run.late.close()
	}
}

// Empty tells whether nothing is left to solve.
func (p *Plan) Empty() bool { return len(p.stack) == 0 }
