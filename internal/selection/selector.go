package selection

import (
	crand "crypto/rand"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/zonecut"
)

// Config is what a Selector is made of.
type Config struct {
	Clock *clock.Clock
	// Memory is NewMemory() when nil.
	Memory Memory
	// Port is where name servers listen that nobody configured; 0 means 53.
	Port uint16
	// TLSPort is where they listen for DNS over TLS; 0 means 853.
	TLSPort uint16
	// Own tells whether we listen there ourselves; nil: nowhere.
	Own func(netip.AddrPort) bool
}

// Selector chooses servers. It is safe for concurrent use.
type Selector struct {
	cfg          Config
	memory       atomic.Pointer[Memory]
	deadFor      atomic.Int64
	lame         *lru[lameKey, time.Duration] // until when
	anyLame      atomic.Int64                 // when the last of them ends
	family       [2]familyState               // IPv4, IPv6
	firstAnswers firstAnswers
	anybody      zonecut.Peer // of servers that are asked over TLS without a proof

	mu  sync.Mutex
	rng *rand.Rand
}

type lameKey struct {
	zone   dnsname.Name
	server zonecut.Endpoint
}

// familyState notices that an address family does not work on this host.
type familyState struct {
	failures atomic.Int32 // unreachable addresses in a row
	until    atomic.Int64 // avoided until then
}

// New makes a Selector.
func New(cfg Config) *Selector {
	if cfg.Memory == nil {
		cfg.Memory = NewMemory()
	}
	if cfg.Port == 0 {
		cfg.Port = 53
	}
	if cfg.Own == nil {
		cfg.Own = func(netip.AddrPort) bool { return false }
	}
	if cfg.TLSPort == 0 {
		cfg.TLSPort = zonecut.DoT.Port()
	}
	s := &Selector{cfg: cfg, anybody: zonecut.Anybody(), lame: newLRU[lameKey, time.Duration]()}
	s.Use(cfg.Memory)
	var seed [32]byte
	crand.Read(seed[:]) // never fails (crypto/rand)
	s.rng = rand.New(rand.NewChaCha8(seed))
	s.SetDeadTime(limits.DefaultNSTimeout)
	return s
}

// SetDeadTime sets for how long an address that does not answer is left alone
// (cache.ns_tout).
func (s *Selector) SetDeadTime(d time.Duration) { s.deadFor.Store(int64(d)) }

// DeadTime is what SetDeadTime set.
func (s *Selector) DeadTime() time.Duration { return time.Duration(s.deadFor.Load()) }

// Intn is a random number below n that no outsider can predict.
func (s *Selector) Intn(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.IntN(n)
}

// Use changes the Memory; what the old one knew is not taken along.
func (s *Selector) Use(m Memory) { s.memory.Store(&m) }

func (s *Selector) known() Memory { return *s.memory.Load() }

// Answered reports that a server answered.
func (s *Selector) Answered(e zonecut.Endpoint, a Answer) {
	s.known().Update(keyOf(e), Event{kind: answered, now: s.now(), answer: a})
	f := s.familyOf(e.Addr)
	f.failures.Store(0)
	f.until.Store(0)
	if a.First && !a.TCP {
		s.firstAnswers.measured(a.RTT)
	}
}

// TimedOut reports that a server did not answer a question of a sort in time; 0: not known.
func (s *Selector) TimedOut(e zonecut.Endpoint, sort Sort) {
	s.known().Update(keyOf(e), Event{kind: timedOut, now: s.now(), deadFor: s.DeadTime(), sort: sort})
}

// TCPFailed reports that a server that is otherwise asked over UDP could not be
// asked over TCP, or did not answer there.
func (s *Selector) TCPFailed(e zonecut.Endpoint) {
	s.known().Update(keyOf(e), Event{kind: tcpFailed, now: s.now()})
}

// now is the time in which Hosts count.
func (s *Selector) now() time.Duration { return s.cfg.Clock.Boot() }

// familyPatience is how many addresses of a family may be unreachable in a row
// until the family is avoided for a while.
const familyPatience = limits.FamilyPatience

// Unreachable reports that nothing could be sent to a server.
func (s *Selector) Unreachable(e zonecut.Endpoint) {
	now, dead := s.now(), s.DeadTime()
	s.known().Update(keyOf(e), Event{kind: unreachable, now: now, deadFor: dead})
	f := s.familyOf(e.Addr)
	if f.failures.Add(1) >= familyPatience {
		f.until.Store(int64(now + dead))
	}
}

// NotServing reports that a server could be reached and does not serve, as one that did not
// prove to be the one that was meant. It is left alone like one that cannot be reached; its
// family works.
func (s *Selector) NotServing(e zonecut.Endpoint) {
	s.known().Update(keyOf(e), Event{kind: unreachable, now: s.now(), deadFor: s.DeadTime()})
}

// NoRoute reports that this machine has no route to a server. That is not held against the
// server: all addresses of its family come last for limits.NoRoutePause, because a route
// may come.
func (s *Selector) NoRoute(e zonecut.Endpoint) {
	s.familyOf(e.Addr).until.Store(int64(s.now() + limits.NoRoutePause))
}

// Avoids tells whether the addresses of a family come last at present.
func (s *Selector) Avoids(ipv4 bool) bool {
	i := 1
	if ipv4 {
		i = 0
	}
	return int64(s.now()) < s.family[i].until.Load()
}

// Lame reports that a server is of no use for zone. It is asked last for a while.
func (s *Selector) Lame(zone dnsname.Name, e zonecut.Endpoint) {
	until := s.now() + s.DeadTime()
	s.lame.update(lameKey{zone, e}, func(v *time.Duration) { *v = until })
	s.anyLame.Store(int64(until))
}

// KnownLame tells whether a server was found to be of no use for zone a while ago.
func (s *Selector) KnownLame(zone dnsname.Name, e zonecut.Endpoint) bool {
	return s.isLame(zone, e, s.now())
}

// Learn reports what a server cannot do.
func (s *Selector) Learn(e zonecut.Endpoint, a Ability) {
	s.known().Update(keyOf(e), Event{kind: learnt, now: s.now(), ability: a})
}

// Forget forgets what was learnt of all servers, for all who share the Memory.
func (s *Selector) Forget() {
	s.known().Clear()
	s.lame.clear()
	s.firstAnswers.forget()
	for i := range s.family {
		s.family[i].failures.Store(0)
		s.family[i].until.Store(0)
	}
}

// Host is what is known of a server.
func (s *Selector) Host(e zonecut.Endpoint) Host { return s.known().Load(keyOf(e)).faded(s.now()) }

// Again is the choice of a server that was chosen before.
func (s *Selector) Again(ns dnsname.Name, e zonecut.Endpoint) Choice {
	h := s.Host(e)
	return Choice{NS: ns, Endpoint: e, Timeout: h.Timeout(0), Cannot: h.Cannot(s.now()), Known: h.Known()}
}

func (s *Selector) familyOf(addr netip.AddrPort) *familyState {
	if addr.Addr().Is4() {
		return &s.family[0]
	}
	return &s.family[1]
}

func (s *Selector) isLame(zone dnsname.Name, e zonecut.Endpoint, now time.Duration) bool {
	if int64(now) >= s.anyLame.Load() {
		return false // the common case, without a look-up
	}
	until, ok := s.lame.load(lameKey{zone, e})
	return ok && now < until
}
