package authority

import (
	"strings"

	"github.com/miekg/dns"
)

// maxChain bounds the aliases that one answer follows inside one server.
const maxChain = 16

// serverPayload is the largest UDP message that the servers send, whatever the
// client says (DNS flag day 2020).
const serverPayload = 1232

// answer is the authoritative answer to q from these zones, by the algorithm of
// RFC 1034, section 4.3.2, with DNAME (RFC 6672, section 3.2) in its step 3.
func answer(zones []*Zone, q *dns.Msg) *dns.Msg {
	r := new(dns.Msg)
	r.SetReply(q)
	r.Compress = true
	if opt := q.IsEdns0(); opt != nil {
		r.SetEdns0(serverPayload, opt.Do())
		if opt.Version() != 0 {
			r.Rcode = dns.RcodeBadVers
			return r
		}
	}
	name, qtype := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	z := closest(zones, name, qtype)
	if z == nil || q.Question[0].Qclass != dns.ClassINET {
		r.Rcode = dns.RcodeRefused
		return r
	}
	follow(zones, z, r, name, qtype)
	return r
}

// follow goes through the zones from alias to alias until the answer is whole or
// leads away from this server.
func follow(zones []*Zone, z *Zone, r *dns.Msg, name string, qtype uint16) {
	seen := map[string]bool{}
	for z != nil && !seen[name] && len(seen) < maxChain {
		seen[name] = true
		next := z.step(r, name, qtype)
		if next == "" {
			return
		}
		name = dns.CanonicalName(next)
		z = closest(zones, name, qtype)
	}
}

// closest returns the zone that answers for name: the one with the longest
// origin, but the parent's for DS (RFC 4035, section 3.1.4.1).
func closest(zones []*Zone, name string, qtype uint16) *Zone {
	var best, child *Zone
	for _, z := range zones {
		switch {
		case !dns.IsSubDomain(z.origin, name):
		case qtype == dns.TypeDS && z.origin == name && name != ".":
			child = z
		case best == nil || dns.CountLabel(z.origin) > dns.CountLabel(best.origin):
			best = z
		}
	}
	if best == nil {
		return child
	}
	return best
}

// step adds to r what this zone knows of name, and returns the name to go on
// with where that is an alias.
func (z *Zone) step(r *dns.Msg, name string, qtype uint16) (next string) {
	encloser := z.origin
	for _, a := range path(z.origin, name) {
		n, ok := z.nodes[a]
		if !ok {
			break
		}
		encloser = a
		if len(n[dns.TypeNS]) > 0 && a != z.origin && (a != name || qtype != dns.TypeDS) {
			z.refer(r, n)
			return ""
		}
		if d := n[dns.TypeDNAME]; len(d) > 0 && a != name {
			return redirect(r, d[0].(*dns.DNAME), name)
		}
	}
	r.Authoritative = true
	n, ok := z.nodes[name]
	if encloser != name {
		n, ok = z.nodes[wildcard(encloser)]
	}
	if !ok {
		r.Rcode = dns.RcodeNameError
		r.Ns = append(r.Ns, z.negativeSOA())
		return ""
	}
	return z.found(r, n, name, qtype)
}

// found adds the RRset of an existing name, its alias, or the proof that there
// is none. The owner of what a wildcard made is the name asked for.
func (z *Zone) found(r *dns.Msg, n node, name string, qtype uint16) (next string) {
	if alias := n[dns.TypeCNAME]; len(alias) > 0 && qtype != dns.TypeCNAME && qtype != dns.TypeANY {
		r.Answer = append(r.Answer, owned(alias, name)...)
		return alias[0].(*dns.CNAME).Target
	}
	set := n[qtype]
	if qtype == dns.TypeANY {
		for _, rrs := range n {
			set = append(set, rrs...)
		}
	}
	if len(set) == 0 {
		r.Ns = append(r.Ns, z.negativeSOA())
		return ""
	}
	r.Answer = append(r.Answer, owned(set, name)...)
	extra(r, z.addresses(targets(set)))
	return ""
}

// refer makes r a referral to the zone cut at n, unless an alias led here: then
// the client finds the cut by itself.
func (z *Zone) refer(r *dns.Msg, n node) {
	if len(r.Answer) > 0 {
		return
	}
	r.Ns = append(r.Ns, n[dns.TypeNS]...)
	r.Ns = append(r.Ns, n[dns.TypeDS]...)
	extra(r, z.addresses(targets(n[dns.TypeNS])))
}

// redirect adds a DNAME and the CNAME made of it for name. A name that would
// grow too long is YXDOMAIN (RFC 6672, section 2.2).
func redirect(r *dns.Msg, d *dns.DNAME, name string) (next string) {
	r.Authoritative = true
	r.Answer = append(r.Answer, d)
	next = strings.TrimSuffix(name, dns.CanonicalName(d.Hdr.Name)) + strings.TrimPrefix(d.Target, ".")
	if _, ok := dns.IsDomainName(next); !ok {
		r.Rcode = dns.RcodeYXDomain
		return ""
	}
	hdr := dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: d.Hdr.Ttl}
	r.Answer = append(r.Answer, &dns.CNAME{Hdr: hdr, Target: next})
	return next
}

// extra puts records into the additional section, in front of the OPT record.
func extra(r *dns.Msg, rrs []dns.RR) { r.Extra = append(rrs, r.Extra...) }

// owned returns rrs with name as their owner.
func owned(rrs []dns.RR, name string) []dns.RR {
	out := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		if !strings.HasPrefix(rr.Header().Name, "*") {
			out[i] = rr
			continue
		}
		out[i] = dns.Copy(rr)
		out[i].Header().Name = name
	}
	return out
}

// path lists the names from origin down to name, both included.
func path(origin, name string) []string {
	var up []string
	for n := name; n != origin; n = parent(n) {
		up = append(up, n)
	}
	out := []string{origin}
	for i := len(up) - 1; i >= 0; i-- {
		out = append(out, up[i])
	}
	return out
}

func wildcard(encloser string) string {
	if encloser == "." {
		return "*."
	}
	return "*." + encloser
}
