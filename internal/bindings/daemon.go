package bindings

import (
	"context"
	"io/fs"
	"net"
	"net/netip"
	"time"

	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/fdwatch"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/luavalue"
	"kresd/internal/metrics"
	"kresd/internal/module"
	"kresd/internal/modules/policy"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/script"
	"kresd/internal/settings"
	"kresd/internal/transport"
	"kresd/internal/trustanchor"
)

// Daemon is what the globals control: one worker.
type Daemon struct {
	VM         *script.VM
	Settings   *settings.Settings
	Chain      *module.Chain
	Listener   Listener
	Encryption Encryption
	Cache      Cache
	Process    Process
	// Metrics have the groups that are named below.
	Metrics  *metrics.Registry
	Resolver Resolver
	Mapper   Mapper
	Policy   *Policy
	Anchors  Anchors
	Clock    *clock.Clock
	Alarms   *clock.Alarms // of that clock: timers of scripts
	// Descriptors tells scripts what can be read.
	Descriptors *fdwatch.Watcher
	Counters    *limits.Counters
	Log         *logging.Logger
	Group       *safe.Group
	// Interfaces are the network interfaces; nil: this machine's.
	Interfaces func() []Interface
	// Bindable says why no question can leave from an address; nil: it is tried by a
	// socket.
	Bindable func(netip.Addr) error
	// ModuleDir is where modules are looked for at first.
	ModuleDir string
	// Changed is called after a setting was changed; it may be nil.
	Changed func()

	cacheOpened string // "file:line: " of the script that opened the cache last
}

// Policy is the module that the global policy controls. Its rules hold functions of
// scripts, so the globals know it itself, where they know other modules only by the
// functions over plain values that they offer.
type Policy = policy.Policy

// The groups of figures that the core's globals show.
const (
	WorkerFigures = "worker" // worker.stats()
	CacheFigures  = "cache"  // cache.stats(), the manual's four first
	LimitFigures  = "limits" // worker.limits(): hits by name; the help says what is counted
)

func (d *Daemon) changed() {
	if d.Changed != nil {
		d.Changed()
	}
}

// Listener opens and closes the addresses that clients ask.
type Listener interface {
	// Serves tells whether there is a way to serve a kind of transport.
	Serves(transport.Kind) bool
	// Listen binds an address for the given kinds, on behalf of a place in a script.
	// While the configuration loads it only makes sure that it could. An address that
	// is bound already is fine. One that this machine does not have yet is awaited.
	Listen(addr netip.AddrPort, kinds []transport.Kind, freebind bool, place string) (awaited bool, err error)
	// ListenPath is Listen for the UNIX socket of a path, whose file has mode; 0 stands
	// for the one that it has unless another is asked for.
	ListenPath(path string, kinds []transport.Kind, mode fs.FileMode, place string) error
	// Failed notes that a script wanted to listen somewhere in vain, and why: then
	// nothing is listened on instead.
	Failed(err error)
	// Close tells whether the address was bound.
	Close(addr netip.AddrPort) bool
	// ClosePath is Close for a UNIX socket.
	ClosePath(path string) bool
	// Endpoints lists what is bound, in the order in which it was.
	Endpoints() []Endpoint
}

// Encryption is what the encrypted transports for clients have in common.
type Encryption interface {
	// UseCertificate takes a certificate and its key from two files. On error what
	// was in use stays in use.
	UseCertificate(certFile, keyFile string) error
	// Certificate names these files; "" while the ephemeral certificate serves.
	Certificate() (certFile, keyFile string, end time.Time)
	// UseAuthorities takes a file of certificates of authorities into use, which is read
	// again when it changes. On error nothing changes.
	UseAuthorities(file string) error
	// SetTicketSecret has the keys of tickets follow from a secret; nil: from a
	// random one.
	SetTicketSecret(secret []byte) error
}

// Endpoint is an address, or the path of a UNIX socket, that is bound for one kind
// of transport.
type Endpoint struct {
	Addr netip.AddrPort
	Path string
	Kind transport.Kind
}

// Cache is the worker's cache as an operator handles it. TTLs are in seconds,
// sizes in octets.
type Cache interface {
	// Open closes an open cache, then opens the one in dir, which uri named.
	Open(size int64, uri, dir string) error
	// Close tells whether a cache was open.
	Close() bool
	// IsOpen and Size tell of the open cache; Size is 0 when none is. URI is that
	// of the cache opened last, "" before the first.
	IsOpen() bool
	Size() int64
	URI() string
	// FilesOf tells whether the files of the open cache belong to a user.
	FilesOf(uid int) bool
	Count() (int, error)
	TTLs() (lo, hi uint32)
	SetTTLs(lo, hi uint32)
	// Clear forgets everything, the knowledge of servers included.
	Clear() (int, error)
	// Remove forgets at most limit entries at a name and, unless exact, below it;
	// of one type when rrtype is not nil.
	Remove(name dnsname.Name, exact bool, rrtype *uint16, limit int) (int, error)
	// Apex is the closest zone apex at or above name that the cache knows.
	Apex(name dnsname.Name) dnsname.Name
	// Prune forgets what has expired, at most limit entries (0: all).
	Prune(limit int) (int, error)
	// Show lists what is known about a name.
	Show(name dnsname.Name) ([]cache.Shown, error)
	// Insert stores a set that was told at a time in wall seconds; 0 stands for now.
	Insert(set resolve.Set, told int64) error
	// Sync waits until what was stored is in the file.
	Sync(ctx context.Context) error
	// Export writes all entries to a new file of that path, which another cache can begin
	// with, and returns how many there are.
	Export(ctx context.Context, path string) (int, error)
	// Checkpoint is when the cache was last opened or cleared as a whole in this process,
	// or Mark was called, on the clock's monotonic scale and by wall.
	Checkpoint() (mono time.Duration, wall time.Time)
	Mark()
	// FileSystem is how many octets the file system of dir has.
	FileSystem(dir string) (uint64, error)
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

// Resolver resolves what scripts ask. Both of its methods take as long as a
// resolution takes.
type Resolver interface {
	// Resolve fills the request's Result, and its ID and time before that.
	Resolve(req *resolve.Request)
	// Trace tells how a question was resolved, as an indented tree.
	Trace(ctx context.Context, q resolve.Question) string
}

// Mapper runs an expression in every worker of the group.
type Mapper interface {
	// Map returns a table with one entry a worker, ordered by id from 1: its
	// value, the message of its error, an empty string where there was no value, or
	// false where there was no answer. It fails when the outcome is unknown.
	Map(ctx context.Context, expr string) (*luavalue.Table, error)
}

// Anchors are the trust anchors of the worker.
type Anchors interface {
	Snapshot() *trustanchor.Snapshot
	Add(text string) error
	// AddFile loads a key file and tells the log what is trusted. Where the file is to
	// be kept up to date and does not exist, it takes as long as fetching the root's
	// anchors takes.
	AddFile(ctx context.Context, path string, readonly bool) error
	Remove(owner dnsname.Name) bool
	SetNegatives(list []trustanchor.Negative)
	// SetDefault says which key file is read where the configuration gives no anchors
	// of the root; "" for none.
	SetDefault(file string)
	Timing() trustanchor.Timing
	SetTiming(fn func(*trustanchor.Timing))
	Source() trustanchor.Source
	SetSource(fn func(*trustanchor.Source))
}

// An Interface is a network interface that has addresses.
type Interface struct {
	Name  string
	MAC   net.HardwareAddr
	Addrs []netip.Addr
}
