package stats

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"kresd/internal/luavalue"
	"kresd/internal/module"
)

// stats is a loaded module.
type stats struct {
	d    Daemon
	slow slowWay
	freq frequent
	up   upstreams

	mu      sync.Mutex
	tallies map[*tally]struct{}
	gone    sums   // of threads that ended
	set     values // what scripts added to each counter
}

// Open makes an instance.
func Open(d Daemon) (*module.Instance, error) {
	s := &stats{d: d, tallies: map[*tally]struct{}{}, set: values{}}
	return &module.Instance{
		Layer: s.layer(), Observe: s.observe, NewTally: s.newTally, Functions: s.functions(),
		Get: func(name string) (any, error) { return s.get(name), nil },
		Set: func(name string, v any) error {
			n, ok := v.(float64)
			if !ok {
				return fmt.Errorf("stats['%s']: number expected", name)
			}
			s.assign(name, n)
			return nil
		},
	}, nil
}

func (s *stats) functions() []module.Function {
	one := func(v any) ([]any, error) { return []any{v}, nil }
	return []module.Function{
		{Name: "get", Args: "name", Min: 1, Max: 1, Help: "value of a counter, nil if there is none", Fn: func(args []any) ([]any, error) {
			name, err := text(args, "get: name of a counter expected")
			if err != nil {
				return nil, err
			}
			return one(s.get(name))
		}},
		{Name: "set", Args: "'name value'", Min: 1, Max: 1, Help: "give a counter a value; a new name makes a counter", Fn: s.setText},
		{Name: "list", Args: "[prefix]", Max: 1, Help: "counters, or those that begin so", Fn: func(args []any) ([]any, error) {
			prefix := ""
			if len(args) > 0 && args[0] != nil {
				var err error
				if prefix, err = text(args, "list: beginning of names expected"); err != nil {
					return nil, err
				}
			}
			return one(s.list(prefix))
		}},
		{Name: "frequent", Help: "what was asked of other servers most often: one question in 10 is counted", Fn: func([]any) ([]any, error) { return one(s.freq.table()) }},
		{Name: "clear_frequent", Help: "forget what was asked often", Fn: func([]any) ([]any, error) {
			s.freq.clear()
			return nil, nil
		}},
		{Name: "upstreams", Help: "latest round trips to other servers by address, in milliseconds", Fn: func([]any) ([]any, error) { return one(s.up.table()) }},
	}
}

func text(args []any, otherwise string) (string, error) {
	name, ok := args[0].(string)
	if !ok {
		return "", errors.New("stats." + otherwise)
	}
	return name, nil
}

func (s *stats) get(name string) any {
	if v, ok := s.current(name)[name]; ok {
		return v
	}
	return nil
}

// setText takes the name and the value in one text, as the manual has it.
func (s *stats) setText(args []any) ([]any, error) {
	line, err := text(args, "set: 'name value' expected")
	if err != nil {
		return nil, err
	}
	f := strings.Fields(line)
	if len(f) != 2 {
		return nil, errors.New("stats.set: 'name value' expected")
	}
	v, err := strconv.ParseFloat(f[1], 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, fmt.Errorf("stats.set: '%s' is not a number", f[1])
	}
	s.assign(f[0], v)
	return nil, nil
}

func (s *stats) list(prefix string) *luavalue.Table {
	t := &luavalue.Table{}
	for name, v := range s.current(prefix) {
		t.Add(name, v)
	}
	t.Sort()
	return t
}
