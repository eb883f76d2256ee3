package rules

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

// Forward sends questions to other resolvers.
func Forward(targets []string) (*Action, error) {
	return elsewhere("FORWARD", targets, resolve.Options{Forward: true, WholeName: true}, resolve.Options{Stub: true})
}

// Stub sends questions to servers whose answers are final: nothing is
// validated.
func Stub(targets []string) (*Action, error) {
	return elsewhere("STUB", targets, resolve.Options{Stub: true, WholeName: true}, resolve.Options{Forward: true})
}

func elsewhere(name string, targets []string, set, clear resolve.Options) (*Action, error) {
	cut, err := targetCut(targets)
	if err != nil {
		return nil, fmt.Errorf("policy.%s: %w", name, err)
	}
	return &Action{name: name, cut: cut, stub: set.Stub, foresee: resolved, run: func(h *Hit) Decision {
		if !h.Post {
			h.Req.Options = h.Req.Options.Without(clear).With(set)
			h.Req.Cut, h.Req.Scope, h.Req.ByName = cut, h.Scope, !h.Picked
		}
		return Stop
	}}, nil
}

// targetCut makes a delegation of the root to the given servers: an address is a
// name server of its own, because each may have a port of its own.
func targetCut(targets []string) (*zonecut.Cut, error) {
	if len(targets) == 0 {
		return nil, errors.New("no address given")
	}
	if len(targets) > limits.ForwardTargets {
		return nil, fmt.Errorf("%d addresses given, at most %d are possible", len(targets), limits.ForwardTargets)
	}
	cut := &zonecut.Cut{Name: dnsname.Root, Hints: true}
	for i, text := range targets {
		addr, port, err := parseTarget(text)
		if err != nil {
			return nil, fmt.Errorf("address %d: %w", i+1, err)
		}
		label := addr.String()
		if port != 0 {
			label += "@" + strconv.Itoa(int(port))
		}
		name, err := dnsname.Root.Prepend(label)
		if err != nil {
			return nil, fmt.Errorf("address %d: %w", i+1, err)
		}
		if cut.Find(name) != nil {
			return nil, fmt.Errorf("address %d: '%s' is given twice", i+1, text)
		}
		cut.NS = append(cut.NS, zonecut.NameServer{Name: name, Addrs: []netip.Addr{addr}, Port: port})
	}
	return cut, nil
}

// parseTarget reads IP, IP@PORT or IP#PORT. Port 0 is the usual one.
func parseTarget(text string) (addr netip.Addr, port uint16, err error) {
	host := text
	if i := strings.LastIndexAny(text, "@#"); i >= 0 {
		n, err := strconv.ParseUint(text[i+1:], 10, 16)
		if err != nil || n == 0 {
			return addr, 0, fmt.Errorf("'%s' has no port from 1 to 65535 behind '%c'", text, text[i])
		}
		host, port = text[:i], uint16(n)
	}
	addr, err = netip.ParseAddr(host)
	if err != nil {
		return addr, 0, fmt.Errorf("'%s' is not an IP address with an optional @port", text)
	}
	if addr.IsUnspecified() {
		return addr, 0, fmt.Errorf("'%s' is the address of no server", text)
	}
	return addr.Unmap(), port, nil
}
