package worker

import (
	"context"

	"kresd/internal/limits"
	"kresd/internal/module"
	"kresd/internal/modules/servestale"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

func (w *Worker) openServeStale() (*module.Instance, error) {
	return servestale.Open(servestale.Daemon{
		Stale: w.cache.Stale,
		Resolve: func(req *resolve.Request) {
			req.Now, req.ID = w.clock.Unix(), w.ids.next()
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
	return func(args ...any) (results []any, err error) {
		ctx, cancel := context.WithTimeout(w.ctx, limits.LuaHookTime)
		defer cancel()
		err = w.vm.Hook(ctx, func(*script.Call) error {
			results, err = fn.Call(args...)
			return err
		})
		return results, err
	}, true
}
