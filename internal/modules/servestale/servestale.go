package servestale

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/cache"
	"kresd/internal/limits"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

type serveStale struct {
	host     *module.Host
	timeout  atomic.Int64 // a time.Duration
	callback atomic.Pointer[callback]

	mu      sync.Mutex
	further map[question]int64 // being tried in the background, since when
	told    map[question]told  // by the servers of delegations that are over
	reasons map[question]string
}

// callback decides which entries may still be told.
type callback struct {
	value any // as scripts see it
	call  module.Callback
}

// question is one that may be tried further once at a time.
type question struct {
	resolve.Question
	cd bool
	in resolve.Partition // of who asks
}

// told is what the servers of an old delegation said a moment ago.
type told struct {
	until  int64
	result resolve.Result // SERVFAIL: nothing
}

func (s *serveStale) get(key string) (any, error) {
	switch key {
	case "timeout":
		return float64(s.timeout.Load()) / float64(time.Millisecond), nil
	case "callback":
		if c := s.callback.Load(); c != nil {
			return c.value, nil
		}
	}
	return nil, nil
}

func (s *serveStale) set(key string, v any) error {
	switch key {
	case "timeout":
		most := limits.RequestDeadline.Milliseconds()
		ms, err := module.Whole("timeout", fmt.Sprintf("whole milliseconds from 0 to %d", most), 0, float64(most)).Value(v)
		if err != nil {
			return fmt.Errorf("serve_stale.timeout: %w", err)
		}
		s.timeout.Store(int64(ms * float64(time.Millisecond)))
		return nil
	case "callback":
		if v == nil {
			s.callback.Store(nil)
			return nil
		}
		call, ok := s.host.Callback(v)
		if !ok {
			return errors.New("serve_stale.callback: function(ttl, name, type, query) expected")
		}
		s.callback.Store(&callback{v, call})
		return nil
	}
	return errors.New("serve_stale has the options timeout and callback")
}

// old looks for what can be told instead of a failure. ask may be nil.
func (s *serveStale) old(req *resolve.Request, allow cache.Allow, ask cache.Ask) (o resolve.Outcome, stale bool) {
	return s.host.Cache.Stale(req, s.grace(), allow, ask)
}

// grace is for how many seconds what has ended is looked for.
func (s *serveStale) grace() int64 {
	if s.callback.Load() != nil {
		return int64(limits.StaleAgeAtMost / time.Second)
	}
	return int64(limits.StaleAge / time.Second)
}

// oldCut is the delegation that led to the request's name until a while ago, if
// nothing closer to the name is known now.
func (s *serveStale) oldCut(req *resolve.Request) *zonecut.Cut {
	name := req.Name
	if req.Type == wire.TypeDS { // it belongs to the parent
		name = name.Parent()
	}
	return s.host.Cache.StaleCut(req.Partition.Data, name, req.Now, int64(limits.StaleAge/time.Second))
}

// anyAge allows everything: whether it may be told is asked when it is.
func anyAge(resolve.Question, uint32) (uint32, bool) { return limits.StaleTTL, true }

// allow is the rule of the module, or the callback's: it takes the remaining TTL,
// which is below 0, and returns the TTL to tell; below 0 it says no.
func (s *serveStale) allow(req *resolve.Request) cache.Allow {
	c := s.callback.Load()
	if c == nil {
		return anyAge
	}
	return func(q resolve.Question, over uint32) (ttl uint32, ok bool) {
		results, err := c.call(req, -float64(over), string(q.Name), float64(q.Type))
		if err != nil {
			s.host.Warn("serve_stale.callback: " + err.Error())
			return 0, false
		}
		if len(results) == 0 {
			return 0, false
		}
		n, isNumber := results[0].(float64)
		if !isNumber || !(n >= 0) {
			return 0, false
		}
		return uint32(min(n, math.MaxInt32)), true
	}
}
