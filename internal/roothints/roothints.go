// Package roothints knows where the root's name servers are before anybody was
// asked: the published addresses (IANA, named.root), built in, and a reader for
// files of the same kind.
//
// Hints are a way in and nothing more: the root's own answer takes their place
// where the priming module is loaded (RFC 8109).
package roothints

import (
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
	"kresd/internal/wording"
	"kresd/internal/zonecut"
)

// published are the root servers as of the serial of 2024 in named.root, when
// b.root-servers.net had got its present addresses.
func published() [13][3]string {
	return [13][3]string{
		{"a.root-servers.net.", "198.41.0.4", "2001:503:ba3e::2:30"},
		{"b.root-servers.net.", "170.247.170.2", "2801:1b8:10::b"},
		{"c.root-servers.net.", "192.33.4.12", "2001:500:2::c"},
		{"d.root-servers.net.", "199.7.91.13", "2001:500:2d::d"},
		{"e.root-servers.net.", "192.203.230.10", "2001:500:a8::e"},
		{"f.root-servers.net.", "192.5.5.241", "2001:500:2f::f"},
		{"g.root-servers.net.", "192.112.36.4", "2001:500:12::d0d"},
		{"h.root-servers.net.", "198.97.190.53", "2001:500:1::53"},
		{"i.root-servers.net.", "192.36.148.17", "2001:7fe::53"},
		{"j.root-servers.net.", "192.58.128.30", "2001:503:c27::2:30"},
		{"k.root-servers.net.", "193.0.14.129", "2001:7fd::1"},
		{"l.root-servers.net.", "199.7.83.42", "2001:500:9f::42"},
		{"m.root-servers.net.", "202.12.27.33", "2001:dc3::35"},
	}
}

// Builtin is the root's delegation as published. The caller owns it.
func Builtin() *zonecut.Cut {
	cut := &zonecut.Cut{Name: dnsname.Root, Hints: true}
	for _, s := range published() {
		name, err := dnsname.Parse(s[0])
		if err != nil {
			panic(err) // the table above is wrong
		}
		cut.NS = append(cut.NS, zonecut.NameServer{
			Name: name, Addrs: []netip.Addr{netip.MustParseAddr(s[1]), netip.MustParseAddr(s[2])},
		})
	}
	return cut
}

// errNoRoot says that a file names no server of the root with an address.
var errNoRoot = errors.New("no root server with an address")

// Parse reads hints in zone file format: NS records of the root and addresses of
// their targets. name stands in error messages.
func Parse(r io.Reader, name string) (*zonecut.Cut, error) {
	cut := &zonecut.Cut{Name: dnsname.Root, Hints: true}
	addrs := map[dnsname.Name][]netip.Addr{}
	zp := dns.NewZoneParser(r, ".", name)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		if err := add(cut, addrs, rr); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := zp.Err(); err != nil {
		return nil, wording.Record(name, err)
	}
	found := false
	for i := range cut.NS {
		cut.NS[i].Addrs = addrs[cut.NS[i].Name]
		found = found || len(cut.NS[i].Addrs) > 0
	}
	if !found {
		return nil, fmt.Errorf("%s: %w", name, errNoRoot)
	}
	return cut, nil
}

func add(cut *zonecut.Cut, addrs map[dnsname.Name][]netip.Addr, rr dns.RR) error {
	owner, err := dnsname.Parse(rr.Header().Name)
	if err != nil {
		return err
	}
	switch rr := rr.(type) {
	case *dns.NS:
		target, err := dnsname.Parse(rr.Ns)
		if err != nil {
			return err
		}
		if owner.IsRoot() && cut.Find(target) == nil {
			cut.NS = append(cut.NS, zonecut.NameServer{Name: target})
		}
	case *dns.A:
		addAddr(addrs, owner, rr.A)
	case *dns.AAAA:
		addAddr(addrs, owner, rr.AAAA)
	}
	return nil
}

func addAddr(addrs map[dnsname.Name][]netip.Addr, owner dnsname.Name, ip []byte) {
	if a, ok := netip.AddrFromSlice(ip); ok {
		addrs[owner] = append(addrs[owner], a.Unmap())
	}
}
