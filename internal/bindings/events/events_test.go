package events

import (
	"context"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/script"
	"kresd/internal/script/command"
)

// A script that rescheduled an event to be due at once, again and again without a pause, or
// made and cancelled events, left one entry each time among those that are due.
func TestWhatIsDueIsThereOnce(t *testing.T) {
	vm, err := command.New(script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	all := &Events{d: &Host{VM: vm.VM, Alarms: clock.NewAlarms(clock.Real())}, live: map[int]*event{}, next: 1}
	fired, most := 0, 0
	count := func(int, readiness) error { fired++; return nil }
	err = vm.Do(context.Background(), func(*script.Call) error {
		e := all.begin(count)
		for range 5000 {
			all.arm(e, 0)
			other := all.begin(count)
			all.arm(other, 0)
			time.Sleep(time.Microsecond) // the alarms come
			all.end(other)
			all.mu.Lock()
			most = max(most, all.due.Len())
			all.mu.Unlock()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if most > 1 {
		t.Errorf("%d were due at a time", most)
	}
	left := 1
	for deadline := time.Now().Add(10 * time.Second); left > 0 && err == nil && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		err = vm.Do(context.Background(), func(*script.Call) error { left = len(all.live); return nil })
	}
	if left > 0 || err != nil {
		t.Fatalf("%d events are left, %v", left, err)
	}
	if fired != 1 {
		t.Errorf("fired %d times, want once", fired)
	}
}
