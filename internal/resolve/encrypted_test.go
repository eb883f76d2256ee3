package resolve_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/selection"
	"kresd/internal/zonecut"
)

// overTLS plays servers that are asked over TLS, too.
type overTLS struct {
	*world
	mu    sync.Mutex
	play  func(ctx context.Context, x resolve.Exchange) (resolve.Reply, error) // nil: as in the clear
	plain []string                                                             // servers of questions in the clear
	tls   []string                                                             // and over TLS
}

func (o *overTLS) Exchange(ctx context.Context, x resolve.Exchange) (resolve.Reply, error) {
	o.mu.Lock()
	if x.Peer.Plain() {
		o.plain = append(o.plain, x.Addr.Addr().String())
		o.mu.Unlock()
		return o.world.Exchange(ctx, x)
	}
	o.tls = append(o.tls, x.Addr.String())
	play := o.play
	o.mu.Unlock()
	if x.Addr.Port() != 853 || !x.Peer.Config().Insecure || x.Peer.Protocol() != zonecut.DoT || x.Encrypted || x.TCP {
		o.t.Errorf("asked over TLS is %v, %+v", x.Endpoint, x.Peer.Config())
	}
	if play != nil {
		return play(ctx, x)
	}
	x.Endpoint = endpoint(x.Addr.Addr().String())
	r, err := o.world.Exchange(ctx, x)
	r.TCP = err == nil
	return r, err
}

// seen takes what was asked since the last time.
func (o *overTLS) seen() (plain, tls []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	plain, tls, o.plain, o.tls = o.plain, o.tls, nil, nil
	return plain, tls
}

func newOverTLS(t *testing.T, on bool) *overTLS {
	zone := "two.com. NS a.two.com.\na.two.com. A 198.51.100.11\n"
	zs := basic(zones{"two.com.": zone + "*.two.com. A 192.0.2.1\n"})
	zs["com."] += zone
	o := &overTLS{world: newWorld(t, zs)}
	o.servers = selection.New(selection.Config{Clock: clock.Real()})
	o.driver = resolve.NewDriver(resolve.Config{
		Layers: func() []*resolve.Layer { return o.layers }, Exchanger: o, Cuts: o.cuts, Servers: o.servers, Counters: &o.counters,
		Opportunistic: func() bool { return on },
	})
	return o
}

const twoCom = "198.51.100.11"

func (o *overTLS) asks(n int) {
	o.t.Helper()
	if got, want := o.ask(fmt.Sprintf("n%d.two.com.", n), "A"), fmt.Sprintf("NOERROR; n%d.two.com. A 192.0.2.1", n); got != want {
		o.t.Errorf("got %s, want %s", got, want)
	}
	synctest.Wait()
}

// A server that answers over TLS beside the first question gets all further ones that way,
// until it was silent there for days.
func TestServersAreAskedOverTLSWhereTheyListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOverTLS(t, true)
		o.asks(0)
		if plain, tls := o.seen(); !slices.Contains(plain, twoCom) || !slices.Contains(tls, twoCom+":853") {
			t.Errorf("at first asked in the clear: %v, over TLS: %v", plain, tls)
		}
		for i := range 3 {
			o.asks(1 + i)
			if plain, tls := o.seen(); slices.Contains(plain, twoCom) || !slices.Contains(tls, twoCom+":853") {
				t.Errorf("then asked in the clear: %v, over TLS: %v", plain, tls)
			}
		}
		time.Sleep(limits.TLSPersistence + time.Second)
		o.asks(9)
		if plain, _ := o.seen(); !slices.Contains(plain, twoCom) {
			t.Error("what was known days ago is known for ever")
		}
	})
}

// What TLS does not bring is asked in the clear at once, and TLS is left alone for a while:
// no question is lost, and none waits.
func TestWhatFailsOverTLSIsAskedInTheClear(t *testing.T) {
	for what, c := range map[string]struct {
		play func(context.Context, resolve.Exchange) (resolve.Reply, error)
		rest time.Duration
	}{
		"refused": {func(context.Context, resolve.Exchange) (resolve.Reply, error) {
			return resolve.Reply{}, resolve.ErrUnreachable
		}, limits.TLSDamping},
		"silent": {func(ctx context.Context, x resolve.Exchange) (resolve.Reply, error) {
			if x.Late != nil {
				_, _, done := x.Late.Overdue()
				go func() { time.Sleep(time.Second); done(resolve.Reply{}, resolve.ErrTimeout) }()
				return resolve.Reply{}, resolve.ErrOverdue
			}
			<-ctx.Done()
			return resolve.Reply{}, ctx.Err()
		}, limits.NoEDNSLife},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOverTLS(t, true)
				o.servers.Answered(endpoint(twoCom), selection.Answer{RTT: time.Millisecond, TLS: true})
				o.mu.Lock()
				o.play = c.play
				o.mu.Unlock()
				start := time.Now()
				o.asks(0)
				if plain, tls := o.seen(); !slices.Contains(plain, twoCom) || !slices.Contains(tls, twoCom+":853") || time.Since(start) > limits.TLSProbe {
					t.Errorf("asked in the clear: %v, over TLS: %v, in %v", plain, tls, time.Since(start))
				}
				time.Sleep(2 * limits.TLSProbe)
				o.asks(1)
				time.Sleep(c.rest - 6*limits.TLSProbe)
				o.asks(2)
				if _, tls := o.seen(); slices.Contains(tls, twoCom+":853") {
					t.Errorf("soon asked over TLS: %v", tls)
				}
				if h := o.servers.Host(endpoint(twoCom)); h.Timeouts != 0 || h.DeadUntil != 0 {
					t.Errorf("held against the server is %+v", h)
				}
				time.Sleep(12 * limits.TLSProbe)
				o.mu.Lock()
				o.play = nil
				o.mu.Unlock()
				for i := range 2 {
					o.asks(3 + i)
				}
				if _, tls := o.seen(); !slices.Contains(tls, twoCom+":853") {
					t.Error("it is never tried again")
				}
				time.Sleep(limits.RequestDeadline)
			})
		})
	}
}

// Nothing is asked over TLS that way unless the operator wants it, nor of forwarders, nor
// of servers on a port of their own; and one question finds out about few servers.
func TestWhoIsNotAskedOverTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOverTLS(t, false)
		o.servers.Answered(endpoint(twoCom), selection.Answer{RTT: time.Millisecond, TLS: true})
		o.asks(0)
		if _, tls := o.seen(); len(tls) > 0 {
			t.Errorf("without the switch asked over TLS: %v", tls)
		}
		o = newOverTLS(t, true)
		forward := &zonecut.Cut{Name: "\x00", Hints: true, NS: []zonecut.NameServer{{Name: mustName("f."), Addrs: []netip.Addr{netip.MustParseAddr(twoCom)}}}}
		r := o.request("n1.two.com.", "A")
		r.Options.Forward, r.Cut, r.Scope = true, forward, "\x00"
		o.layers = append([]*resolve.Layer{{Name: "rule", Begin: func(req *resolve.Request) resolve.State {
			req.Options.Forward, req.Cut, req.Scope = true, forward, "\x00"
			return resolve.Produce
		}}}, o.layers...)
		o.driver.Resolve(context.Background(), r)
		if plain, tls := o.seen(); len(tls) > 0 || !slices.Contains(plain, twoCom) {
			t.Errorf("a forwarder is asked in the clear: %v, over TLS: %v", plain, tls)
		}
		if o.servers.MayEncrypt(zonecut.Endpoint{Addr: netip.MustParseAddrPort(twoCom + ":5353")}) {
			t.Error("a server on a port of its own may be asked on another one")
		}
		o = newOverTLS(t, true)
		o.asks(2)
		if _, tls := o.seen(); len(tls) > limits.TLSProbes {
			t.Errorf("one question found out about %v", tls)
		}
	})
}
