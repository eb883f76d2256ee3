package resolve

import (
	"context"
	"sync"
	"testing"

	"kresd/internal/wire"
)

// An exchange was ended, and its server rejected, when the goroutine of a late
// answer was slow between handing it over and ending what was under way then.
func TestALateAnswerEndsNoExchangeThatBeginsAfterIt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	a := attempt{asked: Question{Type: wire.TypeA}}
	for range 20000 {
		var l late
		l.begin(ctx, a)
		_, _, first := l.Overdue()
		l.begin(ctx, a)
		_, _, second := l.Overdue()
		l.finish()
		var told sync.WaitGroup
		told.Go(func() { first(Reply{}, nil) })
		if _, ok := l.wait(ctx); !ok {
			t.Fatal("nothing came")
		}
		next := l.begin(ctx, a)
		told.Wait()
		if next.Err() != nil {
			t.Fatal("an exchange was ended whose query had taken that answer before")
		}
		l.finish()
		second(Reply{}, ErrTimeout)
		l.close()
	}
}
