package module

import (
	"context"

	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/metrics"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/textfile"
	"kresd/internal/zonecut"
)

// Host is all that a worker lets its modules use. Each module has one file,
// module.go, whose function Module says what the module is; its Open is given the
// Host. What a module does not use may be nil in its tests.
type Host struct {
	Clock *clock.Clock
	// Tasks runs what a module does in the background, until Context ends.
	Tasks   *safe.Group
	Context context.Context
	// Notice and Warn write a line to the worker's log.
	Notice, Warn func(line string)
	// Resolve resolves a request of a module's own and fills in its Result. The
	// driver numbers the request and gives it the present time.
	Resolve func(context.Context, *resolve.Request)
	Cache   Cache
	Roots   Roots
	// Metrics are the worker's figures; a module adds a group of its own, and removes
	// it when it is closed.
	Metrics *metrics.Registry
	// Files reads those of data that are read again at a reload.
	Files textfile.Reader
	// Callback makes a function of a script's callable; ok is false for a value that
	// is no such function. It is the only door to the Lua machine.
	Callback func(value any) (call Callback, ok bool)
}

// Cache is the worker's cache as modules may use it.
type Cache interface {
	// Stale looks for an answer that ended less than grace seconds ago. ask resolves what
	// an alias that has ended leads to; nil: what the cache knows of that has to do.
	Stale(req *resolve.Request, grace int64, allow cache.Allow, ask cache.Ask) (o resolve.Outcome, stale bool)
	// StaleCut is the delegation that led to a name until less than grace seconds
	// ago; nil if there was none, or one that is alive is as close.
	StaleCut(in resolve.Partition, name dnsname.Name, now, grace int64) *zonecut.Cut
	// Clear forgets everything, in every worker, and returns how many entries there
	// were. It fails with cache.ErrClosed where no cache is open.
	Clear() (int, error)
}

// Roots are the root hints of a worker.
type Roots interface {
	RootHints() *zonecut.Cut
	// SetRootHints replaces the root hints. While they name no server, only zones can be
	// asked at or above which the cache or a rule knows a delegation.
	SetRootHints(*zonecut.Cut)
	// ReadRootHints reads a zone file; "" is the built-in list.
	ReadRootHints(path string) (*zonecut.Cut, error)
	// UseLearnt takes the root's servers that were learnt by means of hints, unless
	// other hints have been set meanwhile.
	UseLearnt(hints, servers *zonecut.Cut)
}

// A Callback calls a function of a script's with args and, as the last argument, the
// query of a request. Any goroutine that has the request may call it. It waits for the
// Lua machine no longer than a script may take over one request.
type Callback func(req *resolve.Request, args ...any) ([]any, error)
