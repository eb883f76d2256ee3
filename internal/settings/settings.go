// Package settings holds what an operator can change while queries run: the
// scalars of net, option() and mode(). Each value is atomic, so that the paths
// of queries read without a lock and the console writes whenever it likes.
//
// Settings belong to one worker. Ranges are checked by whoever takes the value
// from the operator; limits that bound them stand in package limits.
package settings

import (
	"net/netip"
	"sync/atomic"
	"time"

	"kresd/internal/doh"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Settings are one worker's.
type Settings struct {
	// Bufsize is the EDNS size offered to clients and the most that they get over
	// UDP, in octets (net.bufsize).
	Bufsize atomic.Uint32
	// UpstreamBufsize is the EDNS size offered upstream.
	UpstreamBufsize atomic.Uint32
	// TCPPipeline is how many questions of one connection may wait at a time.
	TCPPipeline atomic.Int32
	// Clients are the limits on clients; never nil (net.limits, net.forwarders).
	Clients atomic.Pointer[limits.Clients]
	// Proxies are those whose headers of the PROXY protocol are demanded and believed;
	// nil for none (net.proxy_allowed).
	Proxies atomic.Pointer[[]netip.Prefix]
	// TCPIdle is how long a connection may say nothing.
	TCPIdle atomic.Int64
	// Padding is how long encrypted answers with EDNS are (net.tls_padding): a
	// multiple of so many octets, where 0 is no padding, or PaddingScheme.
	Padding atomic.Int32
	// NSID is the EDNS option, in wire form, that tells a client who asks for that which
	// server answers (RFC 5001); nil: none.
	NSID atomic.Pointer[[]byte]
	// TLSHandshake is how long a client's handshake may take.
	TLSHandshake atomic.Int64
	// DoHPaths are the paths at which questions come by HTTP, and DoHHeaders the
	// headers that scripts see, in lower case; never nil (net.doh_paths,
	// net.doh_headers).
	DoHPaths, DoHHeaders atomic.Pointer[[]string]
	// IPv4 and IPv6 tell whether a family is used towards other servers.
	IPv4, IPv6 atomic.Bool
	// Opportunistic tells whether authoritative servers are asked over TLS where they
	// listen for it (net.tls_opportunistic).
	Opportunistic atomic.Bool
	// Outgoing4 and Outgoing6 are source addresses towards other servers; nil for
	// any.
	Outgoing4, Outgoing6 atomic.Pointer[netip.Addr]
	// options are in force for every request (option, mode, reorder_RR).
	options atomic.Pointer[resolve.Options]
	// Hostname is the name that the operator gave this host; nil: the system's.
	Hostname atomic.Pointer[string]
	// NSTimeout is how long a silent address is left alone (cache.ns_tout).
	NSTimeout atomic.Int64
}

// PaddingScheme is the value of Padding that leaves the block's length to the
// recommendation of RFC 8467, section 4.1.
const PaddingScheme = -1

// New is the manual's defaults.
func New() *Settings {
	s := &Settings{}
	s.options.Store(&resolve.Options{})
	s.Bufsize.Store(limits.DefaultBufsize)
	s.UpstreamBufsize.Store(limits.UDPPayload)
	clients := limits.DefaultClients()
	s.Clients.Store(&clients)
	s.TCPPipeline.Store(limits.DefaultTCPPipeline)
	s.TCPIdle.Store(int64(limits.TCPIdle))
	s.TLSHandshake.Store(int64(limits.TLSHandshake))
	s.Padding.Store(PaddingScheme)
	paths := doh.DefaultPaths()
	s.DoHPaths.Store(&paths)
	s.DoHHeaders.Store(new([]string))
	s.IPv4.Store(true)
	s.IPv6.Store(true)
	s.NSTimeout.Store(int64(limits.DefaultNSTimeout))
	return s
}

// PaddingBlock is of how many octets the length of an encrypted answer with EDNS
// is a multiple; 0 for any length.
func (s *Settings) PaddingBlock() uint16 {
	if n := s.Padding.Load(); n != PaddingScheme {
		return uint16(n)
	}
	return limits.PaddingBlock
}

// Identity is the EDNS option that tells which server answers, for a client that has sent
// these options; nil where it is not told.
func (s *Settings) Identity(q *wire.Question) []byte {
	if id := s.NSID.Load(); id != nil && q.HasOption(wire.OptionNSID) {
		return *id
	}
	return nil
}

// Options are those that the operator set for every request.
func (s *Settings) Options() resolve.Options { return *s.options.Load() }

// RequestOptions are the options that are in force for a new request; a family that
// is switched off is among them.
func (s *Settings) RequestOptions() resolve.Options {
	o := s.Options()
	o.NoIPv4 = o.NoIPv4 || !s.IPv4.Load()
	o.NoIPv6 = o.NoIPv6 || !s.IPv6.Load()
	return o
}

// Change changes the options of every request that comes. fn may be called more
// than once, with the options as they are.
func (s *Settings) Change(fn func(*resolve.Options)) {
	for {
		old := s.options.Load()
		changed := *old
		if fn(&changed); s.options.CompareAndSwap(old, &changed) {
			return
		}
	}
}

// Outgoing are the source addresses towards other servers; invalid for any.
func (s *Settings) Outgoing() (v4, v6 netip.Addr) {
	if a := s.Outgoing4.Load(); a != nil {
		v4 = *a
	}
	if a := s.Outgoing6.Load(); a != nil {
		v6 = *a
	}
	return v4, v6
}

// NSTimeoutDuration is NSTimeout as a duration.
func (s *Settings) NSTimeoutDuration() time.Duration { return time.Duration(s.NSTimeout.Load()) }
