package resolve

import (
	"context"
	"sync"
	"testing"

	"kresd/internal/dnsname"
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

// A late answer ends the exchange under way only where that asks the same, and of the
// same servers: an answer to a minimised question, or of the zone above, is no answer
// to what is asked by now.
func TestALateAnswerEndsOnlyWhatAsksTheSame(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	attemptAt := func(name dnsname.Name, qtype uint16) attempt {
		return attempt{asked: Question{Name: name, Type: qtype, Class: wire.ClassIN}}
	}
	const whole, short = "\x03www\x07example\x00", "\x07example\x00"
	same := attemptAt(whole, wire.TypeA)
	for what, tt := range map[string]struct {
		earlier attempt
		err     error
		closed  bool // what is waited for was given up meanwhile, with its zone cut
		ends    bool
	}{
		"the same":         {same, nil, false, true},
		"no answer":        {same, ErrTimeout, false, false},
		"a shorter name":   {attemptAt(short, wire.TypeA), nil, false, false},
		"another type":     {attemptAt(whole, wire.TypeNS), nil, false, false},
		"another zone cut": {same, nil, true, false},
	} {
		var l late
		l.begin(ctx, tt.earlier)
		_, _, done := l.Overdue()
		l.finish()
		if tt.closed {
			l.close()
			l.begin(ctx, attemptAt(short, wire.TypeNS))
			l.Overdue()
			l.finish()
		}
		next := l.begin(ctx, same)
		if next == ctx {
			t.Fatalf("%s: what is under way cannot be ended", what)
		}
		done(Reply{}, tt.err)
		if ended := next.Err() != nil; ended != tt.ends {
			t.Errorf("%s: ended %v, want %v", what, ended, tt.ends)
		}
		l.finish()
		if next.Err() == nil {
			t.Errorf("%s: finish leaves what begin started", what)
		}
		l.close()
	}
}

// What an attempt at a cut that was left came to was heard at the next cut, by a query that
// waited for look-ups beside it: the count of what is open fell below none, and the answer
// of one zone's server was taken for another's.
func TestALateAnswerOfAnotherCutIsNotHeard(t *testing.T) {
	for _, err := range []error{ErrTimeout, nil} {
		for range 50 { // which of two events is taken is drawn
			s, q, _ := alone()
			ctx, cancel := context.WithCancel(context.Background())
			s.r.ctx = ctx
			l := &q.run.late
			l.begin(ctx, attempt{asked: q.Question})
			_, _, done := l.Overdue()
			l.finish()
			q.moveTo(q.Cut)
			done(Reply{Msg: &wire.Msg{}}, err)
			cancel()
			if err := s.awaitBeside(q); err != nil {
				t.Fatal(err)
			}
			if l.open != 0 || q.run.phase != phaseAsk {
				t.Fatalf("an attempt that ended with %v: %d are open, and the query is in phase %d", err, l.open, q.run.phase)
			}
		}
	}
}
