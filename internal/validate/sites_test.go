package validate_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/authority/inmemory"
)

// site is one zone of an Internet whose signing a test may alter. Its server is ns below
// it, and its parent delegates it there.
type site struct {
	origin string
	addr   string // of its server; "": that of its parent
	seed   string // of its keys and its denial, as in zone; "": it is not signed
	text   string // beside SOA, NS and the server's address
	island bool   // the parent has no DS set of it
	absent bool   // its server does not have it
	hidden bool   // its parent does not delegate it
	// sign may alter how it is signed, ds what the parent has for DS set.
	sign func(*authority.Signing)
	ds   func(ds *dns.DS) []dns.RR
	// rules change what all servers say of it.
	rules []authority.Rule
}

const (
	rootAddr    = "198.51.100.1"
	comAddr     = "198.51.100.2"
	exampleAddr = "192.0.2.1"
	plainAddr   = "192.0.2.3"
)

// above are the root and com., signed, and with denials of a kind in com.
func above(seed string, more ...site) []site {
	return append([]site{{origin: ".", addr: rootAddr, seed: "root"}, {origin: "com.", addr: comAddr, seed: seed}}, more...)
}

// newWorldOf is a resolver in front of sites. The first one is the root.
func newWorldOf(t testing.TB, sites ...site) *world {
	t.Helper()
	w := newWorld(t)
	w.net = internet(t, sites)
	return w
}

// turn makes the Internet one of other sites.
func (w *world) turn(sites ...site) {
	n := internet(w.t, sites)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.net = n
}

// internet makes the zones of sites, those below first, which their parents sign for.
func internet(t testing.TB, sites []site) *authority.Internet {
	t.Helper()
	sites = slices.Clone(sites)
	for i := range sites {
		if s := &sites[i]; s.addr == "" {
			s.addr = sites[parentOf(sites, i)].addr
		}
	}
	delegations := make([][]dns.RR, len(sites))
	var zones []*authority.Zone
	order := make([]int, len(sites))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(dns.CountLabel(sites[b].origin), dns.CountLabel(sites[a].origin))
	})
	for _, i := range order {
		s := &sites[i]
		z := inmemory.Zone(s.origin, s.servers()+s.text)
		z.Add(delegations[i]...)
		if p := parentOf(sites, i); p >= 0 && !s.hidden {
			delegations[p] = append(delegations[p], s.delegation()...)
		}
		if s.seed != "" {
			z.Sign(s.signing())
		}
		z.Play(s.rules...)
		if !s.absent {
			zones = append(zones, z)
		}
	}
	n, err := authority.New(zones...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// parentOf is the closest zone above a site; -1 for the root.
func parentOf(sites []site, i int) (p int) {
	p = -1
	for j := range sites {
		if j != i && dns.IsSubDomain(sites[j].origin, sites[i].origin) && (p < 0 || dns.IsSubDomain(sites[p].origin, sites[j].origin)) {
			p = j
		}
	}
	return p
}

// server is the name of the site's server. That of the root is the one of the hints.
func (s *site) server() string {
	if s.origin == "." {
		return "a.root."
	}
	return "ns." + s.origin
}

func (s *site) servers() string {
	return s.origin + " NS " + s.server() + "\n" + s.server() + " A " + s.addr + "\n"
}

// delegation is what the parent has of the site.
func (s *site) delegation() []dns.RR {
	var out []dns.RR
	for line := range strings.Lines(s.servers()) {
		rr, err := dns.NewRR("$TTL 3600\n" + line)
		if err != nil {
			panic(err)
		}
		out = append(out, rr)
	}
	if s.seed == "" && s.ds == nil || s.island {
		return out
	}
	ds := key(s.origin, cmp.Or(s.seed, "nobody's")).DS(dns.SHA256)
	if s.ds != nil {
		return append(out, s.ds(ds)...)
	}
	return append(out, ds)
}

func (s *site) signing() authority.Signing {
	k := []*authority.Key{key(s.origin, s.seed)}
	out := authority.Signing{KSK: k, ZSK: k, From: begin - 86400, Until: begin + 30*86400, Denial: denial(s.seed)}
	if s.sign != nil {
		s.sign(&out)
	}
	return out
}
