package clock

import (
	"slices"
	"sync"
	"testing"
	"time"
)

// Alarms come in the order in which they are due, those of one instant in the order in
// which they were made, and not after they were stopped.
func TestAlarmsComeInOrder(t *testing.T) {
	const n = 10_000
	a, got, done := NewAlarms(Real()), []time.Duration(nil), make(chan struct{})
	all := make([]*Alarm, n)
	for i := range n {
		all[i] = a.After(500*time.Millisecond+time.Duration(n-i)*20*time.Microsecond, func() { got = append(got, all[i].at) })
	}
	a.After(0, func() { got = append(got, 0) })
	a.After(-5, func() { got = append(got, 0) })
	stopped := 0
	for i := 0; i < n; i += 2 {
		if all[i].Stop() {
			stopped++
		}
	}
	a.After(time.Second, func() { close(done) })
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("no end of alarms")
	}
	if stopped == 0 || len(got) != n-stopped+2 || !slices.IsSorted(got) {
		t.Errorf("%d calls, in order: %v", len(got), slices.IsSorted(got))
	}
	if all[1].Stop() || all[0].Stop() || (*Alarm)(nil).Stop() || a.Len() != 0 {
		t.Error("an alarm that came or was stopped can be stopped, or one is left")
	}
}

// A new alarm that is due before all others does not wait for them.
func TestAnAlarmOvertakesOthers(t *testing.T) {
	a, done := NewAlarms(Real()), make(chan struct{})
	late := a.After(time.Hour, func() { t.Error("an hour passed") })
	a.After(time.Millisecond, func() { close(done) })
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it waits for the one that is due in an hour")
	}
	if !late.Stop() {
		t.Error("the alarm of an hour is gone")
	}
	var once sync.WaitGroup
	once.Add(1)
	a.After(0, func() { a.After(0, once.Done) }) // from within a call
	once.Wait()
}
