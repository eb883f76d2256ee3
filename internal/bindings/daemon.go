package bindings

import (
	"context"
	"net/netip"
	"time"

	"kresd/internal/bindings/anchors"
	"kresd/internal/bindings/asking"
	"kresd/internal/bindings/caching"
	"kresd/internal/bindings/network"
	"kresd/internal/clock"
	"kresd/internal/fdwatch"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/luavalue"
	"kresd/internal/metrics"
	"kresd/internal/module"
	"kresd/internal/modules/policy"
	"kresd/internal/modules/view"
	"kresd/internal/safe"
	"kresd/internal/script"
	"kresd/internal/settings"
)

// Daemon is what the globals control: one worker.
type Daemon struct {
	VM         *script.VM
	Settings   *settings.Settings
	Chain      *module.Chain
	Listener   network.Listener
	Encryption network.Encryption
	Cache      caching.Cache
	Process    Process
	// Metrics have the groups that are named below.
	Metrics  *metrics.Registry
	Resolver asking.Resolver
	Mapper   Mapper
	// Policy is the module that the global policy controls. Its rules hold functions of
	// scripts, so the globals know it itself, where they know other modules only by the
	// functions over plain values that they offer.
	Policy  *policy.Policy
	View    *view.View
	Anchors anchors.Anchors
	Clock   *clock.Clock
	Alarms  *clock.Alarms // of that clock: timers of scripts
	// Descriptors tells scripts what can be read.
	Descriptors *fdwatch.Watcher
	Counters    *limits.Counters
	Log         *logging.Logger
	Group       *safe.Group
	// Interfaces are the network interfaces; nil: this machine's.
	Interfaces func() []network.Interface
	// Bindable says why no question can leave from an address; nil: it is tried by a
	// socket.
	Bindable func(netip.Addr) error
	// ModuleDir is where modules are looked for at first.
	ModuleDir string
	// Changed is called after a setting was changed; it may be nil.
	Changed func()
}

// The groups of figures that the core's globals show.
const (
	WorkerFigures = "worker" // worker.stats()
	LimitFigures  = "limits" // worker.limits(): hits by name; the help says what is counted
)

func (d *Daemon) changed() {
	if d.Changed != nil {
		d.Changed()
	}
}

// Process is the worker as a process.
type Process interface {
	// ID is the worker's number in its group, from 0; Count the group's size.
	ID() int
	Count() int
	PID() int
	// Upstreams are the n servers that something was last learnt of.
	Upstreams(n int) []Upstream
	// Alive says why a question to the worker itself, or to its address, is not answered;
	// nil: both are.
	Alive(ctx context.Context) error
	// Quit ends this process as SIGTERM does.
	Quit()
	// Become makes the process another user's, and another group's if gid is not
	// negative, with these supplementary groups. What needs the privileges that are given
	// up is opened before, and the user gets what it will need.
	Become(uid, gid int, groups []int) error
}

// An Upstream is what is known of one address of other servers.
type Upstream struct {
	Addr string // address@port
	// RTT is the smoothed round-trip time; 0 when it never answered.
	RTT      time.Duration
	Timeouts int  // in a row
	Dead     bool // left alone for now
	EDNS     bool // not known to lack EDNS
	Case     bool // not known to destroy the letter case of questions
	NeedsTCP bool // is asked over TCP, since nothing came over UDP
	NoTCP    bool // did not answer over TCP lately
	TLS      bool // answers over TLS though it need not be asked that way
	// Age is how long ago something was last learnt of it.
	Age time.Duration
	// Until is how much longer what it is known not to do counts, by the name of the
	// field; 0 and less: it does not.
	Until map[string]time.Duration
}

// Mapper runs an expression in every worker of the group.
type Mapper interface {
	// Map returns a table with one entry a worker, ordered by id from 1: its
	// value, the message of its error, an empty string where there was no value, or
	// false where there was no answer. It fails when the outcome is unknown.
	Map(ctx context.Context, expr string) (*luavalue.Table, error)
}
