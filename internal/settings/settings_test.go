package settings

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"kresd/internal/resolve"
)

func TestDefaultsAreTheManuals(t *testing.T) {
	s := New()
	if s.Bufsize.Load() != 4096 || s.UpstreamBufsize.Load() != 1232 || s.TCPPipeline.Load() != 100 {
		t.Errorf("bufsize %d and %d, pipeline %d", s.Bufsize.Load(), s.UpstreamBufsize.Load(), s.TCPPipeline.Load())
	}
	if time.Duration(s.TCPIdle.Load()) != 10*time.Second || s.NSTimeoutDuration() != time.Minute {
		t.Errorf("times %v and %v", time.Duration(s.TCPIdle.Load()), s.NSTimeoutDuration())
	}
	if !s.IPv4.Load() || !s.IPv6.Load() || s.RequestFlags() != 0 {
		t.Errorf("families %v and %v, flags %x", s.IPv4.Load(), s.IPv6.Load(), s.RequestFlags())
	}
	if a, b := s.Outgoing(); a.IsValid() || b.IsValid() {
		t.Errorf("source addresses %v and %v", a, b)
	}
}

func TestAFamilyThatIsOffIsAFlagOfEveryRequest(t *testing.T) {
	for _, c := range []struct {
		v4, v6, flag4, flag6 bool
		want                 resolve.Flags
	}{
		{true, true, false, false, 0},
		{false, true, false, false, resolve.NoIPv4},
		{true, false, false, false, resolve.NoIPv6},
		{false, false, false, false, resolve.NoIPv4 | resolve.NoIPv6},
		{true, true, true, false, resolve.NoIPv4},
		{true, true, false, true, resolve.NoIPv6},
		{false, true, true, true, resolve.NoIPv4 | resolve.NoIPv6},
	} {
		s := New()
		s.IPv4.Store(c.v4)
		s.IPv6.Store(c.v6)
		s.SetFlag(resolve.NoIPv4, c.flag4)
		s.SetFlag(resolve.NoIPv6, c.flag6)
		s.SetFlag(resolve.Strict, true)
		if got := s.RequestFlags(); got != c.want|resolve.Strict {
			t.Errorf("%+v: flags %x", c, got)
		}
	}
}

func TestFlagsAreSetAndClearedBesideEachOther(t *testing.T) {
	s := New()
	var wg sync.WaitGroup
	flags := []resolve.Flags{resolve.NoMinimize, resolve.Strict, resolve.ReorderRR, resolve.DNS64Disable}
	for _, f := range flags {
		wg.Go(func() {
			for i := range 1001 {
				s.SetFlag(f, i%2 == 0)
			}
		})
	}
	wg.Wait()
	for _, f := range flags {
		if !s.Flag(f) {
			t.Errorf("flag %x was lost", f)
		}
	}
	s.SetFlag(resolve.Strict, false)
	if s.Flag(resolve.Strict) || !s.Flag(resolve.ReorderRR) {
		t.Error("clearing one flag did not leave just the others")
	}
}

func TestOutgoing(t *testing.T) {
	s := New()
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	s.Outgoing4.Store(&a)
	s.Outgoing6.Store(&b)
	if x, y := s.Outgoing(); x != a || y != b {
		t.Errorf("source addresses %v and %v", x, y)
	}
	s.Outgoing4.Store(nil)
	if x, y := s.Outgoing(); x.IsValid() || y != b {
		t.Errorf("after taking one back: %v and %v", x, y)
	}
}
