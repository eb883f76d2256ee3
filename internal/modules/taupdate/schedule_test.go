package taupdate

import (
	"context"
	"io"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/trustanchor"
)

// newFlowingWorld is a world in a bubble of synctest, where timers come.
func newFlowingWorld(t *testing.T) *world {
	w := newWorld(t)
	w.clock = clock.Real()
	w.began = w.clock.Now()
	w.pass = func(d time.Duration) { time.Sleep(d); synctest.Wait() }
	return w
}

// begin opens the module over a key file.
func (x *worker) begin(readonly bool) {
	x.t.Helper()
	if _, err := x.store.AddFile(x.path, readonly); err != nil {
		x.t.Fatal(err)
	}
	x.f.open()
}

// expectLooks compares when the root was asked with what it should have been.
func (w *world) expectLooks(want ...time.Duration) {
	w.t.Helper()
	if !slices.Equal(w.times, want) {
		w.t.Errorf("the root was asked after %v, want %v; log:\n%s", w.times, want, &w.log)
	}
}

// The root is asked a while after it has anchors, then again and again, until the end of
// the module, which leaves the file to others.
func TestTheModuleLooksByItselfUntilItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFlowingWorld(t)
		w.write("a")
		x := w.worker()
		inst, err := Module(x.config).Open(x.host)
		if err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		x.store.SetTiming(func(o *trustanchor.Timing) { o.Refresh = time.Hour })
		if _, err := x.store.AddFile(w.path, false); err != nil {
			t.Fatal(err)
		}
		w.pass(130 * time.Minute)
		inst.Close()
		lock, err := trustanchor.TryLock(w.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
		w.pass(1000 * time.Hour)
		const begin = time.Minute + first
		w.expectLooks(begin, begin+time.Hour, begin+2*time.Hour)
	})
}

// What happened before the end of a module may come to it after that.
func TestAModuleThatWasClosedDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFlowingWorld(t)
		w.write("a")
		x := w.worker()
		x.begin(false)
		z := x.zone()
		x.f.close()
		if x.f.timer.Stop() || z.timer.Stop() {
			t.Error("it will look again")
		}
		if x.f.arm(); x.f.timer.Stop() {
			t.Error("it looks at the files again")
		}
		if x.f.sync(); x.followed() {
			t.Error("it follows a zone")
		}
		x.f.host = nil // whoever has it do something falls over that
		if err := x.store.Add(key('b').DS(dns.SHA256).String()); err != nil {
			t.Fatal(err)
		}
		x.tasks.Wait()
	})
}

// Anchors of another zone leave the following of a zone alone.
func TestAZoneThatStaysIsFollowedAsBefore(t *testing.T) {
	w := newWorld(t)
	w.write("a")
	x := w.worker()
	x.load(false)
	z := x.zone()
	if err := x.store.Add("example. IN DS 1 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"); err != nil {
		t.Fatal(err)
	}
	x.f.sync()
	if x.zone() != z || z.ended || len(x.f.zones) != 2 {
		t.Errorf("%d zones, the first one ended: %v", len(x.f.zones), z.ended)
	}
}

// Keys that were fetched, and never seen, are looked at at once: by who holds the lock,
// and by who gets it when that one ends.
func TestFetchedKeysAreLookedAtAtOnce(t *testing.T) {
	for _, fetched := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newFlowingWorld(t)
			w.show("", "") // nothing is seen, so that the keys stay those that were fetched
			var workers []*worker
			for range 2 {
				x := w.worker()
				workers = append(workers, x)
				w.write("a")
				if _, err := x.store.AddFile(w.path, false); err != nil {
					t.Fatal(err)
				}
				if fetched {
					x.store.AddFetched(w.path, x.store.Snapshot().Sets[dnsname.Root])
					if err := os.Remove(w.path); err != nil {
						t.Fatal(err)
					}
				}
				x.f.open()
			}
			w.pass(time.Minute + interval/2)
			workers[0].f.close()
			w.pass(time.Minute)
			wait := first
			if fetched {
				wait = 0
			}
			w.expectLooks(wait, time.Minute+interval+wait)
		})
	}
}

// A lock whose file somebody removed is taken again, which changes nothing else.
func TestALockThatIsRenewedLeavesTheNextLookWhereItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFlowingWorld(t)
		w.write("a")
		x := w.worker()
		x.begin(false)
		w.pass(interval + interval/2)
		if err := os.Remove(w.path + ".lock"); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		w.expectLooks(first)
		if !x.zone().lock.Held() {
			t.Error("the lock was not taken again")
		}
	})
}

// A worker that loses the lock and gets it again looks once, a while after that.
func TestALockThatIsGotAgainMakesNoSecondLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFlowingWorld(t)
		w.write("a")
		x := w.worker()
		x.begin(false)
		w.pass(interval + interval/2)
		if err := os.Remove(w.path + ".lock"); err != nil {
			t.Fatal(err)
		}
		lock, err := trustanchor.TryLock(w.path)
		if err != nil {
			t.Fatal(err)
		}
		w.pass(2 * interval)
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
		w.pass(time.Minute)
		w.expectLooks(4*interval + first)
	})
}

// Who does not lead its group watches from an hour after it has come to lead at the latest.
func TestTheNextLeaderWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFlowingWorld(t)
		w.write("a")
		x := w.worker()
		x.leads = false
		x.begin(true)
		w.pass(90 * time.Minute)
		x.leads = true
		w.pass(time.Hour)
		w.expectLooks(first + 2*time.Hour)
	})
}

// slow is a log that takes a minute for each line, by the clock.
type slow struct {
	io.Writer
	clock *clock.Fake
}

func (s slow) Write(line []byte) (int, error) {
	s.clock.Advance(time.Minute)
	return s.Writer.Write(line)
}

// What a look takes is no part of the time between two of them, nor is a jump of the clock
// meanwhile.
func TestTheTimeToTheNextLookCountsFromTheVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := clock.NewFake(time.Now())
		w.clock, w.out = &c.Clock, slow{&w.log, c}
		w.write("a")
		began, looks := time.Now(), []time.Duration(nil)
		w.during = func(context.Context) { looks = append(looks, time.Since(began)) }
		x := w.worker()
		x.store.SetTiming(func(o *trustanchor.Timing) { o.Refresh = 10 * time.Minute })
		x.begin(false)
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		const step = 9 * time.Minute // the line about the next look took one
		if want := []time.Duration{first, first + step, first + 2*step}; !slices.Equal(looks, want) {
			t.Errorf("the root was asked after %v, want %v; log:\n%s", looks, want, &w.log)
		}
	})
}
