package querylog

import (
	"kresd/internal/luavalue"
	"kresd/internal/metrics"
	"kresd/internal/module"
)

// Module is the module querylog. It uses the clock, background tasks, the log and the
// worker's registry of figures.
func Module() module.Module {
	return module.Module{Name: "querylog", Open: func(h *module.Host) (*module.Instance, error) {
		q := newQueryLog(h)
		h.Metrics.Add(q.figures)
		return &module.Instance{
			Observe: q.observe, NewTally: q.newTally, Config: q.configure,
			Functions: []module.Function{module.Call0("stats", func() ([]any, error) { return []any{q.table()}, nil })},
			Close: func() {
				h.Metrics.Remove(q.figures)
				q.close()
			},
		}, nil
	}}
}

// counts are what became of questions that were to be logged.
type counts struct{ written, dropped, failed uint64 }

func newFigures(snapshot func() counts) *metrics.Group {
	counter := func(name, help string, of func(*counts) uint64) metrics.Figure[counts] {
		return metrics.Figure[counts]{
			Desc: metrics.Desc{Name: name, Kind: metrics.Counter, Help: help},
			Of:   func(c *counts) float64 { return float64(of(c)) },
		}
	}
	return metrics.Of("querylog", snapshot, []metrics.Figure[counts]{
		counter("written", "questions that were logged", func(c *counts) uint64 { return c.written }),
		counter("dropped", "questions that were not logged because the log did not keep up", func(c *counts) uint64 { return c.dropped }),
		counter("failed", "questions whose lines could not be written", func(c *counts) uint64 { return c.failed }),
	})
}

// table is what scripts see of the figures.
func (q *queryLog) table() *luavalue.Table {
	t := &luavalue.Table{}
	for _, s := range q.figures.Read() {
		t.Add(s.Name, s.Value)
	}
	return t
}
