package upstream

import (
	"sync"
	"time"

	"kresd/internal/resolve"
)

// teller lets the goroutines of one exchange tell its steps one at a time, and
// none when it is over: whoever reads along has gone on by then.
type teller struct {
	mu   sync.Mutex
	told func(format string, args ...any)
}

// tellTo puts a teller before the reader of x. The function it returns ends the
// story.
func tellTo(x *resolve.Exchange) (end func()) {
	t := &teller{told: x.Tell}
	x.Tell = t.tell
	return t.end
}

func (t *teller) tell(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.told != nil {
		t.told(format, args...)
	}
}

func (t *teller) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = nil
}

// String is what differs from a first attempt.
func (m manner) String() string {
	switch {
	case m.anew:
		return ", with the server's new cookie"
	case !m.cookie:
		return ", whether or not there is a cookie in the answer"
	case !m.mixed:
		return ", letter case as it is"
	}
	return ""
}

// String says what a datagram is that is no answer.
func (v verdict) String() string {
	switch v {
	case answer:
		return "an answer"
	case truncated:
		return "a truncated answer"
	case nearMiss:
		return "a message with another ID or question"
	case caseLost:
		return "an answer in another letter case"
	case cookieLost:
		return "an answer without our cookie"
	case badCookie:
		return "a new cookie instead of an answer"
	case bareError:
		return "an error without a question"
	case drowned:
		return "nothing but datagrams that cannot be read"
	}
	return "nothing"
}

// tellFirst tells of the datagram that made the doubt.
func (d *doubt) tellFirst(v verdict, m manner) {
	also := "asked by TCP too"
	if m.last {
		also = "waiting for a better one"
	}
	d.x.Tell("by UDP %v after %v: %s", v, round(d.e.clock.Mono()-d.a.sent), also)
}

// tellGood tells of one that will count.
func (d *doubt) tellGood(v verdict) {
	switch {
	case d.x.Tell == nil:
	case d.tcp != nil && v == answer:
		d.x.Tell("by UDP %v after %v: it counts if TCP fails", v, round(d.e.clock.Mono()-d.a.sent))
	default:
		d.x.Tell("by UDP %v after %v", v, round(d.e.clock.Mono()-d.a.sent))
	}
}

// round leaves the digits that matter.
func round(d time.Duration) time.Duration {
	if d > time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}

// tellOpened tells over which connection a question goes.
func tellOpened(x *resolve.Exchange, reused bool, took time.Duration) {
	if reused {
		x.Tell("asked by TCP, over an open connection")
		return
	}
	x.Tell("asked by TCP, connected in %v", round(took))
}
