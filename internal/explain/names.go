package explain

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// peer is a server as people know it: those of a rule have no names.
func peer(p resolve.Peer) string {
	switch p.By {
	case resolve.ByStubRule:
		return "stub server " + address(p.Addr)
	case resolve.ByForwardRule:
		return "forwarder " + address(p.Addr)
	}
	return fmt.Sprintf("%s (%s) of %s", p.NS, address(p.Addr), p.Zone)
}

func howMany(servers int) string {
	if servers == 1 {
		return "1 server"
	}
	return fmt.Sprintf("%d servers", servers)
}

// serversOf names the first few servers of a cut with some of their addresses.
func serversOf(cut *zonecut.Cut, by resolve.Authority) string {
	var all []string
	for i := range cut.NS {
		ns := &cut.NS[i]
		if len(ns.Addrs) == 0 && !cut.Hints {
			all = append(all, ns.Name.String())
			continue
		}
		var addrs []string
		for _, a := range ns.Addrs {
			addrs = append(addrs, address(netip.AddrPortFrom(a, cmp.Or(ns.Port, 53))))
		}
		if by != resolve.ByDelegation {
			all = append(all, addrs...)
		} else {
			all = append(all, ns.Name.String()+" ("+few(addrs)+")")
		}
	}
	return few(all)
}

// few leaves out what is too much to read.
func few(all []string) string {
	const shown = 4
	if len(all) > shown {
		all = append(all[:shown:shown], fmt.Sprintf("%d more", len(all)-shown))
	}
	return list(all)
}

func list(all []string) string { return strings.Join(all, ", ") }

// sets names RRsets with their number of records.
func sets(all []resolve.Set) string {
	const shown = 8
	var texts []string
	last := dnsname.Name("")
	for i := range all {
		if i == shown {
			texts = append(texts, fmt.Sprintf("%d more", len(all)-shown))
			break
		}
		s := &all[i]
		text := wire.TypeText(s.Type)
		if s.Owner != last || i == 0 {
			text = s.Owner.String() + " " + text
		}
		last = s.Owner
		texts = append(texts, text+leadsTo(s))
	}
	return list(texts)
}

// leadsTo is the target of an alias, or how many records a set has.
func leadsTo(s *resolve.Set) string {
	if len(s.Data) > 0 && (s.Type == wire.TypeCNAME || s.Type == wire.TypeDNAME) {
		if target := wire.Target(s.Data[0]); target != "" {
			return " to " + target.String()
		}
	}
	if len(s.Data) > 1 {
		return fmt.Sprintf(" (%d records)", len(s.Data))
	}
	return ""
}

func by(p zonecut.Protocol, tcp bool) string {
	switch {
	case p != zonecut.Do53:
		return " by " + p.String()
	case tcp:
		return " by TCP"
	}
	return " by UDP"
}

// address leaves out the port that everybody uses.
func address(a netip.AddrPort) string {
	if a.Port() == 53 {
		return a.Addr().String()
	}
	return fmt.Sprintf("%s#%d", a.Addr(), a.Port())
}

// short rounds to the digits that matter.
func short(d time.Duration) time.Duration {
	if d > time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}
