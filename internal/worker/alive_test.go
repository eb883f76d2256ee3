package worker

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"kresd/internal/listen"
	"kresd/internal/logging"
	"kresd/internal/safe"
	"kresd/internal/transport"
)

// A worker that serves answers itself; at an address where nobody reads nobody answers.
func TestAlive(t *testing.T) {
	w := laboratory(t)
	if err := w.alive(t.Context()); err != nil {
		t.Error(err)
	}
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	at := silent.LocalAddr().(*net.UDPAddr).AddrPort()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := w.askAt(ctx, netip.AddrPortFrom(at.Addr().Unmap(), at.Port())); err == nil || !strings.HasPrefix(err.Error(), "nobody answers at 127.0.0.1@") {
		t.Errorf("nobody reads there: %v", err)
	}
}

// Where a proxy is on this machine, a worker asks itself as that does: else its
// watchdog would take it for dead.
func TestAliveBehindAProxyOnThisMachine(t *testing.T) {
	w := laboratory(t)
	if err := errors.Join(w.server.Open(), w.server.Listen(netip.MustParseAddrPort("127.0.0.1:0"), listen.Flags{Kinds: []transport.Kind{transport.UDP}})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.server.Drain(t.Context()) })
	addr, _ := w.plainAddress()
	w.server.SetProxies([]netip.Prefix{netip.PrefixFrom(addr.Addr(), addr.Addr().BitLen())})
	if err := w.alive(t.Context()); err != nil {
		t.Error(err)
	}
}

// Who knows a question that causes a panic does not fill the log with it.
func TestPanicsAreToldOnceInAWhile(t *testing.T) {
	var out bytes.Buffer
	w := &Worker{log: logging.New(logging.Options{Out: &out})}
	for range 1000 {
		w.tellPanic(&safe.Panic{Name: "request", Value: "oops", Stack: []byte("here")}, logging.FieldName, "a.example.")
	}
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "panic in request: oops qname=a.example. stack=here") {
		t.Errorf("the log has %q", got)
	}
}
