package bindings

import (
	"context"
	"math"
	"time"

	"kresd/internal/lualib/cqueues"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

func installWorker(d *Daemon, asking []script.Func, background *cqueues.Background) {
	number := func(fn func() int) func(*script.Call) (any, error) {
		return func(*script.Call) (any, error) { return float64(fn()), nil }
	}
	d.VM.RegisterObject(script.Object{
		Name:      "worker",
		Protected: true,
		Fields: []script.Field{
			{Name: "id", Get: number(d.Process.ID)},
			{Name: "count", Get: number(d.Process.Count)},
			{Name: "pid", Get: number(d.Process.PID)},
			{Name: "bg_worker", Get: func(*script.Call) (any, error) {
				return (&luavalue.Table{}).Add("cq", background.Handle()), nil
			}},
		},
		Funcs: append([]script.Func{
			{Name: "stats", Max: 0,
				Fn: func(c *script.Call) error { return c.Return(figures(d, WorkerFigures)) }},
			{Name: "info", Max: 0,
				Fn: func(c *script.Call) error {
					return c.Return(figures(d, WorkerFigures).Add("pid", float64(d.Process.PID())))
				}},
			{Name: "alive", Max: 0, Fn: alive(d)},
			limitsFunc(d),
			upstreamsFunc(d),
			{Name: "sleep", Args: "seconds", Min: 1, Max: 1, Fn: sleep(d)},
			{Name: "coroutine", Args: "function", Min: 1, Max: 1, Fn: func(c *script.Call) error {
				if err := background.Start(c, 1); err != nil {
					return err
				}
				return c.Return()
			}},
		}, asking...),
	})
}

// alive waits for the answers beside the machine. A failure is false and why.
func alive(d *Daemon) func(c *script.Call) error {
	return func(c *script.Call) error {
		why, err := script.Outside(c, func(ctx context.Context) (error, error) { return d.Process.Alive(ctx), nil })
		switch {
		case err != nil:
			return err
		case why != nil:
			return c.Return(false, why.Error())
		}
		return c.Return(true)
	}
}

// sleep parks a coroutine of worker.coroutine, and steps aside in a command and in the
// callback of an event. A file, which nothing may overtake, holds up other scripts, and no
// query.
func sleep(d *Daemon) func(c *script.Call) error {
	return func(c *script.Call) error {
		s := c.Number(1)
		if !(s >= 0 && s <= math.MaxInt32) {
			c.ArgError(1, "seconds of at least 0 expected")
		}
		if err := c.Pause(func(wake func()) func() {
			alarm := d.Alarms.After(time.Duration(s*float64(time.Second)), wake)
			return func() { alarm.Stop() }
		}); err != nil {
			return err
		}
		return c.Return()
	}
}
