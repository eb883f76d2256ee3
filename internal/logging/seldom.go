package logging

import (
	"fmt"
	"sync"
	"time"

	"kresd/internal/limits"
)

// Seldom keeps lines that clients can cause from filling the log: of each kind one is
// written in limits.LuaErrorPause, and the next one says how many were not. The zero
// value is ready, and safe for concurrent use.
type Seldom struct {
	mu    sync.Mutex
	kinds map[string]*seldomKind
}

type seldomKind struct {
	told   time.Time
	untold int
}

// Say calls write, with what is to stand behind the line, if a line of that kind may be
// written.
func (s *Seldom) Say(kind string, write func(more string)) {
	if more, ok := s.may(kind, time.Now()); ok {
		write(more)
	}
}

func (s *Seldom) may(kind string, now time.Time) (more string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[kind]
	if k == nil {
		if len(s.kinds) >= limits.LogKinds { // somebody makes up kinds: all others are one
			s.forget(now)
		}
		if len(s.kinds) >= limits.LogKinds {
			kind = ""
		}
		if k = s.kinds[kind]; k == nil {
			k = &seldomKind{}
			if s.kinds == nil {
				s.kinds = map[string]*seldomKind{}
			}
			s.kinds[kind] = k
		}
	}
	if !k.told.IsZero() && now.Sub(k.told) < limits.LuaErrorPause {
		k.untold++
		return "", false
	}
	if k.untold > 0 {
		more = fmt.Sprintf(" (%d more times since it was last told)", k.untold)
	}
	k.told, k.untold = now, 0
	return more, true
}

// forget drops the kinds that have not been told of lately.
func (s *Seldom) forget(now time.Time) {
	for kind, k := range s.kinds {
		if now.Sub(k.told) >= limits.LuaErrorPause {
			delete(s.kinds, kind)
		}
	}
}
