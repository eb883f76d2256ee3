package resolve_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/clock"
	"kresd/internal/resolve"
	"kresd/internal/selection"
	"kresd/internal/zonecut"
)

// strangers are servers that do not prove who they are, at once or after the time of a
// question.
type strangers struct{ late bool }

func (e strangers) Exchange(_ context.Context, x resolve.Exchange) (resolve.Reply, error) {
	err := &resolve.Unauthenticated{Server: x.Endpoint, Why: "it is another"}
	if !e.late || x.Late == nil {
		return resolve.Reply{}, err
	}
	_, _, done := x.Late.Overdue()
	go func() { time.Sleep(time.Second); done(resolve.Reply{}, err) }()
	return resolve.Reply{}, resolve.ErrOverdue
}

// Whoever asks is told that the only server is a stranger: when that is found out, be it
// late, and while it is left alone because of it.
func TestStrangersAreNamedToClients(t *testing.T) {
	peer, err := zonecut.NewPeer(zonecut.PeerConfig{Protocol: zonecut.DoT, Pins: []zonecut.Pin{{1}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, late := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, basic(nil))
			w.driver = resolve.NewDriver(resolve.Config{
				Layers: func() []*resolve.Layer { return w.layers }, Exchanger: strangers{late}, Cuts: w.cuts,
				Servers: selection.New(selection.Config{Clock: clock.Real()}), Counters: &w.counters,
			})
			cut := &zonecut.Cut{Name: "\x00", Hints: true, NS: []zonecut.NameServer{{Name: mustName("f."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Peer: peer}}}
			w.layers = append([]*resolve.Layer{{Name: "rule", Begin: func(req *resolve.Request) resolve.State {
				req.Options.Forward, req.Cut, req.Scope = true, cut, "\x00"
				return resolve.Produce
			}}}, w.layers...)
			for i := range 3 {
				r := w.request("www.example.", "A")
				w.driver.Resolve(context.Background(), r)
				if want := "192.0.2.1@853 is not the server that was meant: it is another"; !strings.Contains(r.Result.EDEText, want) {
					t.Errorf("late %t, question %d: the client is told %q", late, i, r.Result.EDEText)
				}
			}
			time.Sleep(20 * time.Second)
		})
	}
}
