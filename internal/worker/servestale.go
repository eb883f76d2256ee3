package worker

import (
	"kresd/internal/bindings"
	"kresd/internal/module"
	"kresd/internal/modules/servestale"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

func (w *Worker) openServeStale() (*module.Instance, error) {
	return servestale.Open(servestale.Daemon{
		Stale:    w.cache.Stale,
		StaleCut: w.cache.StaleCut,
		Resolve: func(req *resolve.Request) {
			w.requests.enter(req)
			w.driver.Resolve(w.ctx, req)
		},
		Group:  w.group,
		Script: w.scripted,
		Warn:   func(line string) { w.log.Warn(line) },
	})
}

// scripted makes a function of a script's callable from any goroutine: it waits
// for the machine, for so long as a script may take over one request.
func (w *Worker) scripted(v any) (servestale.Callback, bool) {
	fn, ok := v.(*script.Ref)
	if !ok || fn.Type() != "function" {
		return nil, false
	}
	queries := bindings.NewQueries(w.vm)
	return func(req *resolve.Request, args ...any) ([]any, error) {
		return queries.Call(fn, req, args...)
	}, true
}
