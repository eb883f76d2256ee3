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

	"kresd/internal/limits"
	"kresd/internal/resolve"
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
	// TCPIdle is how long a connection may say nothing.
	TCPIdle atomic.Int64
	// IPv4 and IPv6 tell whether a family is used towards other servers.
	IPv4, IPv6 atomic.Bool
	// Outgoing4 and Outgoing6 are source addresses towards other servers; nil for
	// any.
	Outgoing4, Outgoing6 atomic.Pointer[netip.Addr]
	// Flags are set for every request (option, mode, reorder_RR).
	Flags atomic.Uint64
	// Hostname is the name that the operator gave this host; nil: the system's.
	Hostname atomic.Pointer[string]
	// NSTimeout is how long a silent address is left alone (cache.ns_tout).
	NSTimeout atomic.Int64
}

// New is the manual's defaults.
func New() *Settings {
	s := &Settings{}
	s.Bufsize.Store(limits.DefaultBufsize)
	s.UpstreamBufsize.Store(limits.UDPPayload)
	s.TCPPipeline.Store(limits.DefaultTCPPipeline)
	s.TCPIdle.Store(int64(limits.TCPIdle))
	s.IPv4.Store(true)
	s.IPv6.Store(true)
	s.NSTimeout.Store(int64(limits.DefaultNSTimeout))
	return s
}

// RequestFlags are the flags that a new request starts with; a family that is
// switched off is among them.
func (s *Settings) RequestFlags() resolve.Flags {
	return resolve.Flags(s.Flags.Load()).With(resolve.NoIPv4, s.Flag(resolve.NoIPv4) || !s.IPv4.Load()).With(resolve.NoIPv6, s.Flag(resolve.NoIPv6) || !s.IPv6.Load())
}

// Flag tells whether a flag is set for every request.
func (s *Settings) Flag(f resolve.Flags) bool { return resolve.Flags(s.Flags.Load()).Has(f) }

// SetFlag sets or clears a flag for every request that comes.
func (s *Settings) SetFlag(f resolve.Flags, on bool) {
	for {
		old := s.Flags.Load()
		if s.Flags.CompareAndSwap(old, uint64(resolve.Flags(old).With(f, on))) {
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
