package policy

import (
	"fmt"
	"net"
	"net/netip"

	"kresd/internal/rules"
	"kresd/internal/zonecut"
)

// Mirror sends a copy of each client's question to a server by UDP, whose answers nobody
// waits for.
func Mirror(text string) (*rules.Action, error) {
	addr, port, err := rules.ParseTarget(text)
	if err != nil {
		return nil, fmt.Errorf("policy.MIRROR: %w", err)
	}
	if port == 0 {
		port = zonecut.Do53.Port()
	}
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port))
	a := rules.Run("MIRROR", nil, func(h *rules.Hit) rules.Decision {
		if h.Req.Message == nil || h.Post {
			return rules.GoOn
		}
		if conn, err := net.DialUDP("udp", nil, to); err == nil {
			_, _ = conn.Write(h.Req.Message) // it may be lost, as any datagram
			_ = conn.Close()
		}
		return rules.GoOn
	})
	return a.WithArgs(rules.Quoted(text)), nil
}
