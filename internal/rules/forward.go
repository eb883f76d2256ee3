package rules

import (
	"errors"
	"fmt"
	"strconv"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

// Forward sends questions to other resolvers: to a server that peers names in the protocol,
// and with the proof, that it says.
func Forward(servers []Server, peers *Peers) (*Action, error) {
	return elsewhere("FORWARD", servers, peers, false)
}

// ForwardTLS sends questions to other resolvers by DNS over TLS, and never otherwise. A
// server for which the rule says no proof must give the one that peers says.
func ForwardTLS(servers []Server, peers *Peers) (*Action, error) {
	return elsewhere("TLS_FORWARD", servers, peers, true)
}

// Stub sends questions to servers whose answers are final: nothing is validated. A server
// that peers names is asked as by Forward.
func Stub(servers []Server, peers *Peers) (*Action, error) {
	return elsewhere("STUB", servers, peers, false)
}

func elsewhere(name string, servers []Server, peers *Peers, overTLS bool) (*Action, error) {
	cut, err := cutOf(servers, peers, overTLS)
	if err != nil {
		return nil, fmt.Errorf("policy.%s: %w", name, err)
	}
	stub := name == "STUB"
	set := resolve.Options{Forward: !stub, Stub: stub, WholeName: true}
	clear := resolve.Options{Forward: stub, Stub: !stub}
	to := &destination{named: cut, peers: peers}
	return &Action{name: name, to: to, stub: stub, lets: true, foresee: resolved, run: func(h *Hit) Decision {
		if !h.Post {
			h.Req.Options = h.Req.Options.Without(clear).With(set)
			h.Req.Cut, h.Req.Scope, h.Req.ByName = to.cut(), h.Scope, !h.Picked
		}
		return Stop
	}}, nil
}

// cutOf makes a delegation of the root to the given servers: an address is a
// name server of its own, because each may have a port of its own.
func cutOf(servers []Server, peers *Peers, overTLS bool) (*zonecut.Cut, error) {
	if len(servers) == 0 {
		return nil, errors.New("no address given")
	}
	if len(servers) > limits.ForwardTargets {
		return nil, tooMany(len(servers))
	}
	cut := &zonecut.Cut{Name: dnsname.Root, Hints: true}
	for i := range servers {
		list, err := servers[i].endpoints(overTLS, peers)
		if err != nil {
			return nil, fmt.Errorf("address %d: %w", i+1, err)
		}
		for _, ns := range list {
			if ns.Name, err = serverLabel(&ns); err != nil {
				return nil, fmt.Errorf("address %d: %w", i+1, err)
			}
			if cut.Find(ns.Name) != nil {
				return nil, fmt.Errorf("address %d: '%s' is given twice", i+1, servers[i].Text)
			}
			cut.NS = append(cut.NS, ns)
		}
	}
	if len(cut.NS) > limits.ForwardTargets {
		return nil, tooMany(len(cut.NS))
	}
	return cut, nil
}

func tooMany(n int) error {
	return fmt.Errorf("%d addresses given, at most %d are possible", n, limits.ForwardTargets)
}

// serverLabel is what a server is called in its cut: by its address, and by its port and
// protocol where they are not the usual ones.
func serverLabel(ns *zonecut.NameServer) (dnsname.Name, error) {
	by := ns.Peer.Protocol()
	label := ns.Addrs[0].String()
	if ns.Port != 0 && ns.Port != by.Port() {
		label += "@" + strconv.Itoa(int(ns.Port))
	}
	switch by {
	case zonecut.DoT:
		label += "#tls"
	case zonecut.DoH:
		label += "#https"
	case zonecut.DoQ:
		label += "#quic"
	}
	return dnsname.Root.Prepend(label)
}
