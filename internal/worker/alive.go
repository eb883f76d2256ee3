package worker

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"kresd/internal/limits"
	"kresd/internal/listen"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// localhost is the question of health checks: no network is needed to answer it, and no
// rule of a configuration that serves anybody leaves it without an answer.
var localhost = resolve.Question{Name: "\x09localhost\x00", Type: wire.TypeA, Class: wire.ClassIN}

// alive asks the worker a question as its driver's way sees it, then as a client would, at
// one of its addresses, where a sibling may answer too. Which answer does not count. nil:
// both were answered.
func (w *Worker) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limits.HealthTime)
	defer cancel()
	answered := make(chan struct{})
	w.group.Go("health", func() {
		defer close(answered)
		w.resolve(ctx, &resolve.Request{Question: localhost, RD: true})
	})
	select {
	case <-answered:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return fmt.Errorf("a question to itself was not answered within %v", limits.HealthTime)
	}
	if addr, serves := w.plainAddress(); serves {
		return w.askAt(ctx, addr)
	}
	return nil
}

// plainAddress is one at which questions by UDP are served.
func (w *Worker) plainAddress() (addr netip.AddrPort, ok bool) {
	for _, e := range w.server.Endpoints() {
		if e.Kind != transport.UDP || e.Awaited || e.Path != "" {
			continue
		}
		at := e.Addr.Addr()
		switch at {
		case netip.IPv4Unspecified():
			at = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		case netip.IPv6Unspecified():
			at = netip.IPv6Loopback()
		}
		return netip.AddrPortFrom(at, e.Addr.Port()), true
	}
	return addr, false
}

// askAt sends the question and waits for whatever answers it.
func (w *Worker) askAt(ctx context.Context, addr netip.AddrPort) error {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return err
	}
	defer conn.Close()
	end, _ := ctx.Deadline()
	each := time.Until(end) / limits.HealthTries
	id := uint16(rand.Uint32())
	question := wire.AppendQuery(nil, id, wire.FlagRD, []byte(localhost.Name), localhost.Type, localhost.Class, 0, false, nil)
	if own := conn.LocalAddr().(*net.UDPAddr).AddrPort(); w.server.IsProxy(own.Addr()) {
		question = append(listen.OwnHeader(), question...) // there is a proxy on this machine
	}
	buf := make([]byte, limits.UDPPayload)
	for range limits.HealthTries {
		if _, err = conn.Write(question); err != nil {
			continue
		}
		_ = conn.SetReadDeadline(time.Now().Add(each))
		if n, err := conn.Read(buf); err == nil && n >= wire.HeaderLen && binary.BigEndian.Uint16(buf) == id {
			return nil
		}
	}
	return fmt.Errorf("nobody answers at %s@%d", addr.Addr(), addr.Port())
}
