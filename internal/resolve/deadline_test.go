package resolve

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/limits"
)

func TestRequestsThatBeginTogetherEndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		worker, stop := context.WithCancel(context.Background())
		defer stop()
		var d deadlines
		first := d.next(worker)
		time.Sleep(limits.DeadlineStep)
		if d.next(worker) != first {
			t.Error("a deadline of its own within a step")
		}
		time.Sleep(time.Nanosecond)
		second := d.next(worker)
		if at, ok := second.Deadline(); !ok || second == first || time.Until(at) != limits.RequestDeadline {
			t.Errorf("after a step: %v", at)
		}
		time.Sleep(limits.RequestDeadline - limits.DeadlineStep - 1)
		synctest.Wait()
		if first.Err() != context.DeadlineExceeded || second.Err() != nil {
			t.Errorf("after its time: %v, and the next: %v", first.Err(), second.Err())
		}
		stop()
		if second.Err() != context.Canceled {
			t.Errorf("after the worker's end: %v", second.Err())
		}
	})
}

func TestWhatIsAbandonedWaitsForNothing(t *testing.T) {
	var p Plan
	q := &Query{}
	if err := p.Push(q); err != nil {
		t.Fatal(err)
	}
	q.run.late.begin(context.Background(), attempt{})
	ctx, _, _ := q.run.late.Overdue()
	if p.abandon(); ctx.Err() == nil {
		t.Error("a late answer is still waited for")
	}
}
