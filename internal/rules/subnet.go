package rules

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"kresd/internal/digest"
)

// ParseSubnet reads a network as ADDRESS/LENGTH, or an address, which is one by itself. Bits
// behind the length do not matter.
func ParseSubnet(text string) (netip.Prefix, error) {
	p, err := subnetOf(text)
	if err != nil {
		return p, fmt.Errorf("'%s' is neither a network, such as 192.0.2.0/24 or 2001:db8::/32, nor an address", text)
	}
	return p.Masked(), nil
}

func subnetOf(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, errors.New("no address")
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, err
	}
	const mapped = 96 // bits before an IPv4 address in IPv6's clothes (RFC 4291, section 2.5.5.2)
	if p.Addr().Is4In6() {
		if p.Bits() < mapped {
			return p, errors.New("neither of one family nor of the other")
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p, nil
}

// Source is the condition that a question comes from a network, Destination that it was
// received at an address of one. Neither holds for a question that no client asked.
func Source(of netip.Prefix) Condition      { return subnet{of, false} }
func Destination(of netip.Prefix) Condition { return subnet{of, true} }

type subnet struct {
	of    netip.Prefix
	local bool
}

// Holds implements Condition. No address is of both families: 0.0.0.0/0 is for IPv4 alone.
func (n subnet) Holds(s *Subject) (yes, sure bool) { return n.contains(s), true }

func (n subnet) contains(s *Subject) bool {
	if n.local {
		return s.Client.IsValid() && n.of.Contains(s.Local.Addr().WithZone(""))
	}
	return n.of.Contains(s.Client.Addr().WithZone(""))
}

// Of implements Condition.
func (n subnet) Of(s *Subject) (which uint64, may bool) { return itself, n.contains(s) }

// Digest implements Condition.
func (n subnet) Digest() uint64 {
	if n.local {
		return digest.Of("destination", n.of.String())
	}
	return digest.Of("source", n.of.String())
}
