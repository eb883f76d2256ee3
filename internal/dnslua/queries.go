package dnslua

import (
	"kresd/internal/dnslua/requests"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

// Queries shows the queries of finished requests to functions of scripts that
// modules call.
type Queries struct{ views *requests.Views }

// NewQueries makes it for the functions of one machine.
func NewQueries(vm *script.VM) Queries { return Queries{requests.NewViews(vm)} }

// Call calls fn with args and, behind them, the request's own query. It waits for
// the machine, for so long as a script may take over one request, and the request
// must not be touched meanwhile.
func (q Queries) Call(fn *script.Ref, req *resolve.Request, args ...any) (results []any, err error) {
	err = q.views.Show(req, true, func(_ *script.Call, h *script.Handle) error {
		results, err = fn.Call(append(args[:len(args):len(args)], q.views.Initial(h.Value.(*requests.View)))...)
		return err
	})
	return results, err
}
