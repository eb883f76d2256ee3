package taupdate

import (
	"errors"
	"fmt"
	"math"
	"time"

	"kresd/internal/module"
	"kresd/internal/trustanchor"
)

// callback is a function of a script.
type callback struct {
	value any // as scripts see it
	call  module.Callback
}

// most is the longest time that can be set, in milliseconds: a century.
const most = 100 * 365 * 24 * 3600 * 1000

// get serves ta_update.key. The times are those of trust_anchors.
func (f *follower) get(key string) (any, error) {
	timing := f.Store.Timing()
	switch key {
	case "hold_down_time":
		return float64(timing.HoldDown) / float64(time.Millisecond), nil
	case "refresh_time":
		if timing.Refresh > 0 {
			return float64(timing.Refresh) / float64(time.Millisecond), nil
		}
	case "keep_removed":
		return float64(timing.KeepRemoved), nil
	case "cb_unmanagedkey_change":
		if c := f.changed.Load(); c != nil {
			return c.value, nil
		}
	}
	return nil, nil
}

// set serves ta_update.key = value.
func (f *follower) set(key string, v any) error {
	switch key {
	case "hold_down_time":
		return f.setTime(key, v, false, func(t *trustanchor.Timing) *time.Duration { return &t.HoldDown })
	case "refresh_time":
		return f.setTime(key, v, true, func(t *trustanchor.Timing) *time.Duration { return &t.Refresh })
	case "keep_removed":
		n, err := module.Whole(key, "a whole number of at least 0", 0, math.MaxInt32).Value(v)
		if err != nil {
			return fmt.Errorf("ta_update.%s: %w", key, err)
		}
		f.Store.SetTiming(func(t *trustanchor.Timing) { t.KeepRemoved = int(n) })
		return nil
	case "cb_unmanagedkey_change":
		if v == nil {
			f.changed.Store(nil)
			return nil
		}
		call, ok := f.host.Callback(v)
		if !ok {
			return errors.New("ta_update.cb_unmanagedkey_change: function(file) expected")
		}
		f.changed.Store(&callback{v, call})
		return nil
	}
	return errors.New("ta_update has the options hold_down_time, refresh_time, keep_removed and cb_unmanagedkey_change")
}

// setTime takes milliseconds; nil stands for none where there may be none.
func (f *follower) setTime(key string, v any, optional bool, of func(*trustanchor.Timing) *time.Duration) error {
	var ms float64
	if v != nil || !optional {
		var err error
		if ms, err = module.Whole(key, "whole milliseconds of at least 0", 0, most).Value(v); err != nil {
			return fmt.Errorf("ta_update.%s: %w", key, err)
		}
	}
	f.Store.SetTiming(func(t *trustanchor.Timing) { *of(t) = time.Duration(ms * float64(time.Millisecond)) })
	return nil
}
