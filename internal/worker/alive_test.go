package worker

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
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
	if err := askAt(ctx, netip.AddrPortFrom(at.Addr().Unmap(), at.Port())); err == nil || !strings.HasPrefix(err.Error(), "nobody answers at 127.0.0.1@") {
		t.Errorf("nobody reads there: %v", err)
	}
}
