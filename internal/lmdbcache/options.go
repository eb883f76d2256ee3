package lmdbcache

import (
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/safe"
)

// Options say how to open a Store. The zero value of each field is usable.
type Options struct {
	// MaxSize is how large the map may become, in bytes; 0 means
	// limits.DefaultCacheSize. A map that is larger already stays as it is,
	// and 256 pages (1 MiB) are the least that LMDB can work with.
	MaxSize int64

	// Schema is the version of what the caller writes. A file that holds
	// another one is emptied, with a line to Warn.
	Schema uint32

	// Keep has Open fail with ErrSchema instead of emptying such a file.
	Keep bool

	// QueueEntries and QueueBytes bound the writes that wait; when they are
	// reached, further writes are dropped. 0 means limits.WriteQueueEntries
	// and 32 MiB.
	QueueEntries int
	QueueBytes   int

	// Info and Warn take a line for the log. Nil drops it.
	Info, Warn func(line string)

	// OnLost is told, once and on a goroutine of the Store, that this Store
	// should be closed and opened again: the file was replaced, removed or
	// cut off, or LMDB gave up on it. Nil ignores it.
	OnLost func(reason string)

	// OnFull is told, at most once a second and on the writer's goroutine,
	// that the map is too full for new entries, so that somebody calls
	// Collect. It must not wait for anything.
	OnFull func()

	// Clock names quarantined files and measures waits; nil is the real one.
	Clock *clock.Clock

	// Goroutines runs the Store's two goroutines; nil reports their panics
	// on standard error.
	Goroutines *safe.Group
}

// minPages is the least map that works: between two transactions, the pages
// that one has freed cannot be used yet, and what it touches is copied.
const minPages = 256

func (o *Options) fill() {
	if o.MaxSize == 0 {
		o.MaxSize = limits.DefaultCacheSize
	}
	if o.QueueEntries == 0 {
		o.QueueEntries = limits.WriteQueueEntries
	}
	if o.QueueBytes == 0 {
		o.QueueBytes = 32 << 20
	}
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	nop := func(string) {}
	if o.Info == nil {
		o.Info = nop
	}
	if o.Warn == nil {
		o.Warn = nop
	}
	if o.OnLost == nil {
		o.OnLost = nop
	}
	if o.OnFull == nil {
		o.OnFull = func() {}
	}
}

// Between two looks at the file (replaced? cut off?).
const watchInterval = time.Second
