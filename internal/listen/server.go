package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/safe"
	"kresd/internal/transport"
)

// ErrLeaving is returned by Listen, Adopt and Open once Drain was called.
var ErrLeaving = errors.New("the server is leaving")

// Flags say what to open on an address.
type Flags struct {
	// Kinds are opened all or none. Two of one network exclude each other.
	Kinds []transport.Kind
	// FreeBind opens also what the machine does not have (yet).
	FreeBind bool
	// Await waits for an address that the machine does not have (await.go).
	Await bool
}

// An Endpoint is where questions come in by one kind of transport, or will from
// Open on. Its address, or path, and kind are its name.
type Endpoint struct {
	Addr     netip.AddrPort
	Path     string // of a UNIX socket, which has no Addr
	Kind     transport.Kind
	FreeBind bool
	// Inherited sockets were handed over by another process (Adopt).
	Inherited bool
	// Awaited tells that the machine does not have the address yet.
	Awaited bool
}

// Options are what a Server needs of its surroundings. Nil fields get a default
// that is silent, counts nothing and lives in real time.
type Options struct {
	Clock  *clock.Clock
	Log    *logging.Logger
	Limits *limits.Counters
	Panics *safe.Group
	// TLS gives the settings of the server's side for connections on which one of
	// the protocols is spoken (RFC 7301), the preferred one first: its certificate,
	// as it is when a client comes, and the keys of tickets, the same for all. It is
	// called for each connection; the result is shared: to be cloned, not changed.
	// nil: nothing encrypted is served.
	TLS func(protocols ...string) *tls.Config
	// Key derives keys, by what they are for, of a secret that all processes have in
	// common that serve the same addresses. Nil: of one of this Server's own.
	Key func(label string) [32]byte
	// Dir is a directory that these processes have in common, where those over which
	// QUIC is spoken reach each other (doq.Options). "": they do not.
	Dir string
	// Appeared is told that this machine has an awaited address from now on, and why
	// it cannot be listened on nevertheless. It must not call the Server.
	Appeared func(addr netip.AddrPort, err error)
	// Supervisor is the process that started this one and its siblings; one of those may
	// have the UNIX socket of a path before this server (unix.go). 0: there are none.
	Supervisor int
	// Bind binds a socket where this process may not do so itself; nil: nobody does.
	Bind func(fd int, addr netip.AddrPort) error
	// Changed is told that Copies would give others than before. It must not
	// wait, nor call the Server.
	Changed func()
}

// A Server is all listening sockets of a worker. Its methods may be called by
// any goroutine.
type Server struct {
	handler Handler
	clock   *clock.Clock
	log     *logging.Logger
	limits  *limits.Counters
	panics  *safe.Group
	changed func()
	present func(netip.Addr) bool // await.go
	bind    binder
	// appeared is Options.Appeared.
	appeared func(addr netip.AddrPort, err error)
	quicDir  string                      // Options.Dir
	quicKey  func(label string) [32]byte // Options.Key
	// tlsConfig is Options.TLS.
	tlsConfig func(protocols ...string) *tls.Config
	// supervisor is Options.Supervisor.
	supervisor int

	clients  atomic.Pointer[limits.Clients]
	pending  *pending
	idlePool idlePool
	sessions *sessions // of connections
	conns    *registry

	protocols [transport.Kinds]protocol
	buffers   sync.Pool // of *[]byte: answers on their way to a connection

	proxies atomic.Pointer[proxies] // nil: there are none

	slowStreams *limits.Shares // questions over QUIC of which a part has not come
	unscheduled atomic.Int32   // threads that sleep without the scheduler's knowledge
	pipeline    atomic.Int32   // net.tcp_pipeline
	idle        atomic.Int64   // net.tcp_in_idle, nanoseconds
	handshake   atomic.Int64   // net.tls_handshake_timeout, nanoseconds
	maxFiles    atomic.Uint64  // RLIMIT_NOFILE

	driver  driverStats
	tcp     tcpStats
	tls     tlsStats
	turns   *turns
	load    udpLoad
	crowd   crowd // connections for which there was no place
	sources sources
	coming  crowd // all of them, while clients by UDP ask much
	http    httpShare

	// binding belongs to who opens or binds addresses, for as long as that takes; it is
	// taken before mu, which nobody has while the supervisor is asked.
	binding sync.Mutex

	mu        sync.Mutex
	open      bool
	left      bool
	watching  bool // somebody looks for awaited addresses
	standing  bool // somebody looks after UNIX sockets
	endpoints []*endpoint
	leaving   map[*endpoint]struct{}
	gone      counts // of sockets that are closed

	connGroup sync.WaitGroup
	retiring  sync.WaitGroup
	drain     atomic.Bool   // connections end when they are silent
	over      chan struct{} // closed when nothing is waited for any more
	ending    sync.Once
}

// An endpoint is an Endpoint and what serves it.
type endpoint struct {
	Endpoint
	socket   socket   // nil: only planned
	adopted  *os.File // what is to be served from ServeAdopted on
	orphaned bool     // its process is dead (Finish)
	// Those of a UNIX socket (unix.go).
	mode fs.FileMode
	seen seenAt
}

// New makes a server without sockets. It opens none before Open.
func New(h Handler, o Options) *Server {
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	s := &Server{handler: h, clock: o.Clock, log: o.Log, limits: o.Limits, panics: o.Panics, changed: o.Changed, present: Present, bind: o.Bind}
	s.tlsConfig, s.supervisor = o.TLS, o.Supervisor
	if s.changed == nil {
		s.changed = func() {}
	}
	if s.appeared = o.Appeared; s.appeared == nil {
		s.appeared = func(netip.AddrPort, error) {}
	}
	s.quicDir = o.Dir
	if s.quicKey = o.Key; s.quicKey == nil {
		s.quicKey = randomKey
	}
	if s.panics == nil {
		s.panics = &safe.Group{OnPanic: func(p *safe.Panic) {
			s.log.Error("panic", "in", p.Name, "value", p.Value, "stack", logging.Stack(p.Stack))
		}}
	}
	s.SetClientLimits(limits.DefaultClients())
	s.pending = newPending(&s.clients, s.clock, s.limits)
	s.sessions = newSessions(h, s.panics, 2*runtime.GOMAXPROCS(0))
	s.conns = newRegistry(&s.clients)
	s.turns = newTurns(s.clock.Mono, s.udpBusy)
	s.crowd = crowd{gap: time.Second / limits.CrowdPerSecond, slack: limits.CrowdSlack}
	s.coming = crowd{gap: time.Second / limits.ComingPerSecond, slack: limits.CrowdSlack}
	s.slowStreams = limits.NewShares(limits.QUICSlowStreams)
	s.protocols = protocols()
	s.buffers.New = func() any { b := make([]byte, 0, 1024); return &b }
	s.leaving = map[*endpoint]struct{}{}
	s.over = make(chan struct{})
	s.pipeline.Store(limits.DefaultTCPPipeline)
	s.idle.Store(int64(limits.TCPIdle))
	s.handshake.Store(int64(limits.TLSHandshake))
	s.http.init()
	s.readMaxFiles()
	return s
}

func (s *Server) readMaxFiles() {
	rl := unix.Rlimit{}
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &rl) != nil || rl.Cur == 0 {
		rl.Cur = 1024
	}
	s.maxFiles.Store(rl.Cur)
}

// Listen opens addr for some kinds of transport. Before Open it only finds out
// whether addr can be bound (see probe) and remembers it. An address at which one
// of the kinds, of its service or of its network is there already is no error,
// and nothing is done. The error is ErrNotServed, ErrLeaving or a *BindError.
func (s *Server) Listen(addr netip.AddrPort, flags Flags) error {
	addr = canonical(addr)
	s.binding.Lock()
	defer s.binding.Unlock()
	group, err := s.plan(addr, flags)
	if err != nil || len(group) == 0 {
		return err
	}
	err = s.try(group, flags)
	if err != nil && flags.Await && notHere(addr, err) {
		err = s.await(group, flags)
	}
	if err != nil {
		s.unplan(group)
	}
	return err
}

// plan adds endpoints for the kinds at an address, none where nothing is to be done.
func (s *Server) plan(addr netip.AddrPort, flags Flags) (group []*endpoint, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left {
		return nil, ErrLeaving
	}
	for _, k := range flags.Kinds {
		if !s.Serves(k) {
			return nil, ErrNotServed
		}
		if s.taken(addr, k) {
			return nil, nil
		}
		group = append(group, &endpoint{Endpoint: Endpoint{Addr: addr, Kind: k, FreeBind: flags.FreeBind}})
	}
	s.endpoints = append(s.endpoints, group...)
	return group, nil
}

// unplan takes back what cannot be bound.
func (s *Server) unplan(group []*endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endpoints = slices.DeleteFunc(s.endpoints, func(e *endpoint) bool { return slices.Contains(group, e) })
}

func (s *Server) isOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// taken tells whether nothing is to be done for a kind at an address: its
// service is there, or another one in its place.
func (s *Server) taken(addr netip.AddrPort, k transport.Kind) bool {
	return slices.ContainsFunc(s.endpoints, func(e *endpoint) bool {
		return e.Addr == addr && (e.Kind.Service() == k.Service() || e.Kind.Network() == k.Network())
	})
}

// Open binds what Listen was told so far; from here on Listen binds at once. At
// the first address that fails it stops and returns the error; those bound
// before it stay bound.
func (s *Server) Open() error {
	s.binding.Lock()
	defer s.binding.Unlock()
	s.mu.Lock()
	if s.left {
		s.mu.Unlock()
		return ErrLeaving
	}
	s.open = true
	s.readMaxFiles()
	endpoints := slices.Clone(s.endpoints)
	s.mu.Unlock()
	defer s.changed()
	for _, e := range endpoints {
		if err := s.openEndpoint(e); err != nil {
			return err
		}
	}
	return nil
}

// openEndpoint binds an endpoint, with all of its address, if that is to be and was not
// done. Its caller has s.binding.
func (s *Server) openEndpoint(e *endpoint) error {
	if e.Path == "" {
		if e.Awaited && lacksInterface(e.Addr.Addr()) {
			return nil
		}
		return s.start(s.planned(e.Addr))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.socket != nil || e.adopted != nil || !slices.Contains(s.endpoints, e) {
		return nil
	}
	if err := s.startPath(e); err != nil {
		return &BindError{Path: e.Path, Err: err}
	}
	return nil
}

// planned are the endpoints at an address that are not bound yet.
func (s *Server) planned(addr netip.AddrPort) []*endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	var group []*endpoint
	for _, e := range s.endpoints {
		if e.Path == "" && e.socket == nil && e.adopted == nil && e.Addr == addr {
			group = append(group, e)
		}
	}
	return group
}

// canonical is an address in the one form in which addresses are compared.
func canonical(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Close stops listening on addr by every kind of transport and tells whether it
// was listened on. It returns at once; what the kernel has taken in for this
// address is still answered, and established connections go on.
func (s *Server) Close(addr netip.AddrPort) bool {
	addr = canonical(addr)
	return s.closeWhere(func(e *endpoint) bool { return e.Path == "" && e.Addr == addr })
}

// closeWhere closes the endpoints that which says yes to.
func (s *Server) closeWhere(which func(*endpoint) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	by, found := s.clock.Mono()+limits.DrainAnswerTime, false
	s.endpoints = slices.DeleteFunc(s.endpoints, func(e *endpoint) bool {
		if !which(e) {
			return false
		}
		found = true
		s.retireLocked(e, by)
		return true
	})
	if found {
		s.changed()
	}
	return found
}

// Endpoints lists what is listened on, in the order in which it was asked for.
func (s *Server) Endpoints() []Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Endpoint, len(s.endpoints))
	for i, e := range s.endpoints {
		list[i] = e.Endpoint
	}
	return list
}

// Any tells whether there is an endpoint that match says yes to. It costs less
// than Endpoints, for those who ask with each question; match must not call the
// Server.
func (s *Server) Any(match func(Endpoint) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.endpoints {
		if match(e.Endpoint) {
			return true
		}
	}
	return false
}

// Receives tells whether clients ask at an address: whether it is that of an endpoint
// (itself), and whether there is an endpoint at its port for all addresses of its family
// (everywhere). It allocates nothing, as each choice of a server asks it.
func (s *Server) Receives(addr netip.AddrPort) (itself, everywhere bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.endpoints {
		at := e.Addr
		itself = itself || at == addr
		everywhere = everywhere || at.Port() == addr.Port() && at.Addr().IsUnspecified() && at.Addr().Is4() == addr.Addr().Is4()
	}
	return itself, everywhere
}

// ReceivesAt tells whether clients ask at a port.
func (s *Server) ReceivesAt(port uint16) bool {
	return s.Any(func(e Endpoint) bool { return e.Addr.Port() == port })
}

// SetClientLimits sets what clients may use up. It holds for what comes from then on.
func (s *Server) SetClientLimits(c limits.Clients) { s.clients.Store(&c) }

// SetTCPPipeline sets how many queries of one connection may wait before no more
// of it is read; 0 counts as 1.
func (s *Server) SetTCPPipeline(n int) { s.pipeline.Store(int32(n)) }

// TCPPipeline is the present value of SetTCPPipeline.
func (s *Server) TCPPipeline() int { return int(s.pipeline.Load()) }

// SetTCPIdle sets how long a silent connection is kept while there is room.
func (s *Server) SetTCPIdle(d time.Duration) { s.idle.Store(int64(d)) }

func (s *Server) idleTime() time.Duration { return time.Duration(s.idle.Load()) }

// SetTLSHandshake sets how long a client may take for a handshake.
func (s *Server) SetTLSHandshake(d time.Duration) { s.handshake.Store(int64(d)) }

func (s *Server) handshakeTime() time.Duration { return time.Duration(s.handshake.Load()) }

func (s *Server) draining() bool { return s.drain.Load() }

// ended tells whether nothing is waited for any more.
func (s *Server) ended() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// waitFor waits until g is done, or ctx.
func (s *Server) waitFor(ctx context.Context, name string, wait ...func()) error {
	done := make(chan struct{})
	s.panics.Go(name, func() {
		defer close(done)
		for _, w := range wait {
			w()
		}
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", name, ctx.Err())
	}
}
