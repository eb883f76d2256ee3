package doq

import (
	"bytes"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
)

// A probe is a packet with a relay's own tag, by which it learns whether somebody passes
// packets on to it.
type probe struct {
	packet []byte
	came   chan struct{}
}

// probed tells whether a packet that was passed on is the relay's own probe.
func (r *relay) probed(packet []byte) bool {
	p := r.probe.Load()
	if p == nil || !bytes.Equal(p.packet, packet) {
		return false
	}
	select {
	case p.came <- struct{}{}:
	default:
	}
	return true
}

// PassedOn tells whether somebody takes what is sent to an address, which is that of the
// socket, and passes on what is for this Listener. It is asked when the socket is not among
// those that the kernel chooses from any more, nor read from.
func (l *Listener) PassedOn(at netip.AddrPort) bool {
	r := l.relay
	if r.in == nil {
		return false
	}
	p := &probe{append(append([]byte{0x40}, r.tag[:]...), make([]byte, idLen-tagLen)...), make(chan struct{}, 1)}
	_, _ = rand.Read(p.packet[1+tagLen:])
	r.probe.Store(p)
	defer r.probe.Store(nil)
	for range limits.QUICProbes { // by another port each, which may reach another process
		if r.sendProbe(at, p) {
			return true
		}
	}
	return false
}

// sendProbe sends a probe and waits for it.
func (r *relay) sendProbe(at netip.AddrPort, p *probe) bool {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return false
	}
	defer conn.Close()
	if _, err := conn.Write(p.packet); err != nil {
		return false
	}
	for end := time.Now().Add(limits.QUICProbe); time.Now().Before(end); {
		_ = conn.SetReadDeadline(time.Now().Add(limits.QUICProbe / 50))
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, unix.ECONNREFUSED) { // nobody is there
			return len(p.came) > 0
		}
		if len(p.came) > 0 {
			return true
		}
	}
	return false
}
