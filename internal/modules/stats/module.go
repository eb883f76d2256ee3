package stats

import (
	"fmt"
	"math/rand/v2"

	"github.com/miekg/dns"

	"kresd/internal/limits"
	"kresd/internal/metrics"
	"kresd/internal/module"
)

// Module is the module stats. It uses the clock and the worker's registry of
// figures.
func Module() module.Module {
	return module.Module{Name: "stats", Open: func(h *module.Host) (*module.Instance, error) {
		s := &stats{mono: h.Clock.Mono, intn: rand.IntN}
		inst := instance(s)
		h.Metrics.Add(s.group)
		inst.Close = func() { h.Metrics.Remove(s.group) }
		return inst, nil
	}}
}

func instance(s *stats) *module.Instance {
	s.freq = module.NewFrequent(limits.FrequentNames)
	s.tallies, s.set, s.slow.latency = map[*tally]struct{}{}, values{}, newLatency()
	s.group = metrics.NewGroup("stats", s.read)
	return &module.Instance{
		Layer: s.layer(), Observe: s.observe, NewTally: s.newTally, Functions: s.functions(),
		Get: func(name string) (any, error) { return s.get(name), nil },
		Set: func(name string, value any) error {
			v, err := module.Finite("value", "number").Value(value)
			if err != nil {
				return fmt.Errorf("stats['%s']: %w", name, err)
			}
			s.assign(name, v)
			return nil
		},
	}
}

func (s *stats) functions() []module.Function {
	one := func(v any) ([]any, error) { return []any{v}, nil }
	return []module.Function{
		module.Call1("get", module.Text("name", "name of a counter"),
			func(name string) ([]any, error) { return one(s.get(name)) }),
		module.Call1("set", module.Text("'name value'", "'name value'"), s.setText),
		module.Call1("list", module.Text("prefix", "beginning of names").Or(""),
			func(prefix string) ([]any, error) { return one(s.list(prefix)) }),
		module.Call0("frequent",
			func() ([]any, error) { return one(s.freq.Table(func(t uint16) string { return dns.Type(t).String() })) }),
		module.Call0("clear_frequent", func() ([]any, error) {
			s.freq.Clear()
			return nil, nil
		}),
		module.Call0("upstreams",
			func() ([]any, error) { return one(s.up.table()) }),
	}
}
