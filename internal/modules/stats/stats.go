package stats

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"kresd/internal/luavalue"
	"kresd/internal/metrics"
	"kresd/internal/module"
)

// stats is a loaded module.
type stats struct {
	mono func() time.Duration // the monotonic time
	intn func(n int) int      // a random number below n
	slow slowWay
	freq *module.Frequent // what other servers were asked
	up   upstreams
	// group has the figures of the counters for the worker's registry.
	group *metrics.Group

	mu      sync.Mutex
	tallies map[*tally]struct{}
	gone    sums   // of threads that ended
	set     values // what scripts added to each counter
}

func (s *stats) get(name string) any {
	if v, ok := s.current(name)[name]; ok {
		return v
	}
	return nil
}

// setText takes the name and the value in one text, as the manual has it.
func (s *stats) setText(line string) ([]any, error) {
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
