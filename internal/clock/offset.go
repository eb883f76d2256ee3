package clock

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"kresd/internal/wording"
)

// Environment variables of the shifted clock. The first names a file with one
// signed decimal number of seconds, replaced by rename(2); the second, when
// set, makes the console's timers follow.
const (
	OffsetFileVar   = "KRESD_CLOCK_OFFSET_FILE"
	OffsetTimersVar = "KRESD_CLOCK_OFFSET_TIMERS"
)

// offsetAge is how old the last reading of the file may be.
const offsetAge = 5 * time.Millisecond

type offsetFile struct {
	path  string
	start time.Time
	read  atomic.Int64 // nanoseconds after start of the last reading
	value atomic.Int64 // seconds
}

// FromEnv is the system's clock, shifted when KRESD_CLOCK_OFFSET_FILE is set.
// It fails when that file cannot be read or holds no number.
func FromEnv(getenv func(string) string) (*Clock, error) {
	c := Real()
	path := getenv(OffsetFileVar)
	if path == "" {
		return c, nil
	}
	o := &offsetFile{path: path, start: c.start}
	v, err := o.load()
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", OffsetFileVar, path, wording.Reason(err))
	}
	o.value.Store(v)
	c.offset = o
	c.timers = getenv(OffsetTimersVar) != ""
	return c, nil
}

// seconds is the current offset. The file is read again by whoever first asks
// after offsetAge; the others use the value at hand. A file that cannot be read
// for a moment keeps the last value.
func (o *offsetFile) seconds() int64 {
	now := int64(time.Since(o.start))
	last := o.read.Load()
	if now-last > int64(offsetAge) && o.read.CompareAndSwap(last, now) {
		if v, err := o.load(); err == nil {
			o.value.Store(v)
		}
	}
	return o.value.Load()
}

func (o *offsetFile) load() (int64, error) {
	b, err := os.ReadFile(o.path)
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(b))
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("a whole number of seconds expected, not '%.20s'", text)
	}
	return v, nil
}
