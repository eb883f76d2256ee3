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
	if !s.IPv4.Load() || !s.IPv6.Load() || s.RequestOptions() != (resolve.Options{}) {
		t.Errorf("families %v and %v, options %+v", s.IPv4.Load(), s.IPv6.Load(), s.RequestOptions())
	}
	if a, b := s.Outgoing(); a.IsValid() || b.IsValid() {
		t.Errorf("source addresses %v and %v", a, b)
	}
}

func TestAFamilyThatIsOffIsAnOptionOfEveryRequest(t *testing.T) {
	for _, c := range []struct {
		v4, v6, not4, not6 bool
		want               resolve.Options
	}{
		{true, true, false, false, resolve.Options{}},
		{false, true, false, false, resolve.Options{NoIPv4: true}},
		{true, false, false, false, resolve.Options{NoIPv6: true}},
		{false, false, false, false, resolve.Options{NoIPv4: true, NoIPv6: true}},
		{true, true, true, false, resolve.Options{NoIPv4: true}},
		{true, true, false, true, resolve.Options{NoIPv6: true}},
		{false, true, true, true, resolve.Options{NoIPv4: true, NoIPv6: true}},
	} {
		s := New()
		s.IPv4.Store(c.v4)
		s.IPv6.Store(c.v6)
		s.Change(func(o *resolve.Options) { o.NoIPv4, o.NoIPv6, o.Strict = c.not4, c.not6, true })
		if got, want := s.RequestOptions(), c.want.With(resolve.Options{Strict: true}); got != want {
			t.Errorf("%+v: options %+v", c, got)
		}
	}
}

func TestOptionsAreChangedBesideEachOther(t *testing.T) {
	s := New()
	var wg sync.WaitGroup
	options := []func(*resolve.Options) *bool{
		func(o *resolve.Options) *bool { return &o.WholeName },
		func(o *resolve.Options) *bool { return &o.Strict },
		func(o *resolve.Options) *bool { return &o.VaryOrder },
	}
	for _, option := range options {
		wg.Go(func() {
			for i := range 1001 {
				s.Change(func(o *resolve.Options) { *option(o) = i%2 == 0 })
			}
		})
	}
	wg.Wait()
	if got, want := s.Options(), (resolve.Options{WholeName: true, Strict: true, VaryOrder: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
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
