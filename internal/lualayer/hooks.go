package lualayer

import (
	"fmt"
	"strings"

	"kresd/internal/dnslua/requests"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wording"
)

// hooks are the functions of a layer, nil for those that it does not have.
type hooks struct{ begin, reset, produce, checkout, consume, finalize, finish *script.Ref }

// A slot is where the hook of a name is kept.
type slot struct {
	name string
	fn   **script.Ref
}

// slots are those of all hooks, in the order in which a request meets them.
func (h *hooks) slots() []slot {
	return []slot{
		{"begin", &h.begin}, {"reset", &h.reset}, {"produce", &h.produce}, {"checkout", &h.checkout},
		{"consume", &h.consume}, {"answer_finalize", &h.finalize}, {"finish", &h.finish},
	}
}

// named is where the hook of a name is kept, nil for a name that no hook has.
func (h *hooks) named(name string) **script.Ref {
	for _, p := range h.slots() {
		if p.name == name {
			return p.fn
		}
	}
	return nil
}

func hookNames() (names []string) {
	for _, p := range new(hooks).slots() {
		names = append(names, p.name)
	}
	return names
}

// readHooks reads the table of a layer. unknown are its functions under names that no hook
// has: another version of the program may call them.
func readHooks(table *script.Ref) (h hooks, unknown []string, err error) {
	if table == nil {
		return h, nil, nil
	}
	if table.Type() != "table" {
		return h, nil, fmt.Errorf("its 'layer' is %s, and no table", wording.WithArticle(table.Type()))
	}
	for _, name := range table.Names() {
		to := h.named(name)
		fn := table.Member(name)
		switch {
		case to == nil && fn.Type() == "function":
			unknown = append(unknown, name)
		case to == nil:
		case fn.Type() != "function":
			return h, nil, fmt.Errorf("the hook '%s' of its layer is %s, and no function", name, wording.WithArticle(fn.Type()))
		default:
			*to = fn
		}
	}
	return h, unknown, nil
}

// meant says which hook an unknown one may stand for, or which there are.
func meant(name string) string {
	names := hookNames()
	if near := wording.Suggest(name, names); near != "" {
		return "; did you mean '" + near + "'?"
	}
	return "; there are " + strings.Join(names, ", ")
}

// sight says which questions the hooks are called for: for all requests; for all queries,
// whatever answers them; for queries that nothing before answers. checkout is called only
// where a server is asked.
func (h *hooks) sight() module.Sight {
	switch {
	case h.begin != nil || h.finalize != nil || h.finish != nil:
		return module.SeesAll
	case h.reset != nil || h.consume != nil:
		return module.SeesOwned
	case h.produce != nil:
		return module.SeesOpen
	}
	return module.SeesServers
}

// takePart tells whether there is a hook that is called while a question is resolved, and
// may change what comes of it. Such requests share no resolution.
func (h *hooks) takePart() bool { return h.reset != nil || h.produce != nil || h.consume != nil }

// any tells whether there is a hook.
func (h *hooks) any() bool { return h.sight() != module.SeesServers || h.checkout != nil }

// A call is one call of a hook.
type call struct {
	m    *mod
	hook string
	fn   *script.Ref
	req  *resolve.Request
	// q is the query that the hook is called about, nil for the request as a whole, and
	// post tells that the request has its Result.
	q    *resolve.Query
	post bool
	// state is what the hook is told.
	state resolve.State
	// more are the arguments behind the state and the request; nil: none.
	more func(v *requests.View) []any
}

// do calls the hook and returns the state that the hook did. An error was logged, and is
// resolve.ErrScript.
// A module that was unloaded meanwhile says nothing.
func (k *call) do() (out resolve.State, err error) {
	err = k.m.loader.Views.Show(k.req, k.post, func(c *script.Call, h *script.Handle) error {
		if k.m.isClosed() {
			out = k.state &^ resolve.Yield
			return nil
		}
		view := h.Value.(*requests.View)
		view.SetState(k.state)
		view.At(k.q)
		defer func() {
			view.SetState(0)
			view.At(nil)
		}()
		args := []any{int(k.state), h}
		if k.more != nil {
			args = append(args, k.more(view)...)
		}
		results, err := k.fn.Call(args...)
		if err == nil {
			out, err = k.returned(results)
		}
		return err
	})
	if err == nil {
		return out, nil
	}
	return resolve.Fail, k.failed(script.Report(err))
}

// failed says in the log why a call has failed, and is the failure of its request.
func (k *call) failed(why string) error {
	kind, _, _ := strings.Cut(why, "\n")
	k.m.seldom.Say(k.hook+kind, func(more string) {
		k.m.loader.Warn(fmt.Sprintf("module '%s': %s of %s%s: error: %s", k.m.name, k.hook, k.about(), more, why))
	})
	return fmt.Errorf("module '%s': %w", k.m.name, resolve.ErrScript)
}

// about is the question that the hook was called about.
func (k *call) about() resolve.Question {
	if k.q != nil {
		return k.q.Question
	}
	return k.req.Question
}

// returned reads what a hook returned. Nothing leaves the state as it is.
func (k *call) returned(results []any) (resolve.State, error) {
	if len(results) == 0 || results[0] == nil {
		return k.state, nil
	}
	n, ok := results[0].(float64)
	const all = resolve.Consume | resolve.Produce | resolve.Done | resolve.Fail | resolve.Yield
	if !ok || !(n >= 0 && n <= float64(all)) || n != float64(resolve.State(n)) {
		return 0, fmt.Errorf("it must return a state such as kres.DONE, and returned %s", shown(results[0]))
	}
	return resolve.State(n), nil
}

// shown is a value in a message.
func shown(v any) string {
	switch v := v.(type) {
	case float64, bool:
		return fmt.Sprint(v)
	case string:
		return "text"
	}
	return wording.WithArticle(script.TypeName(v))
}
