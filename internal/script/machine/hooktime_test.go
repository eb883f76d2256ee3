package machine

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Who waits by the time of a hook is told of its end, whenever he begins to: when it is over,
// when the request is, and when the code has ended.
func TestTheTimeOfAHookEnds(t *testing.T) {
	why := errors.New("the request is over")
	for name, c := range map[string]struct {
		end     time.Duration // from now
		finish  func(parent context.CancelCauseFunc, during *hookTime)
		err     error
		because error
	}{
		"its time is over":    {-time.Second, func(context.CancelCauseFunc, *hookTime) {}, context.DeadlineExceeded, errHookTime},
		"the request is over": {time.Hour, func(end context.CancelCauseFunc, _ *hookTime) { end(why) }, context.Canceled, why},
		"the code has ended":  {time.Hour, func(_ context.CancelCauseFunc, d *hookTime) { d.over() }, context.Canceled, context.Canceled},
	} {
		for _, waits := range []bool{false, true} {
			parent, end := context.WithCancelCause(context.Background())
			during := &hookTime{Context: parent, end: time.Now().Add(c.end)}
			if c.end > 0 && during.Err() != nil {
				t.Errorf("%s: it has ended before: %v", name, during.Err())
			}
			if waits {
				_ = during.Done()
			}
			c.finish(end, during)
			if err := during.Err(); err != c.err {
				t.Errorf("%s: error %v, want %v", name, err, c.err)
			}
			child, stop := context.WithCancel(during)
			select {
			case <-child.Done():
			case <-time.After(10 * time.Second):
				t.Fatalf("%s: who waits is not told", name)
			}
			if cause := context.Cause(during); cause != c.because {
				t.Errorf("%s: cause %v, want %v", name, cause, c.because)
			}
			stop()
			end(nil)
			during.over()
		}
	}
}
