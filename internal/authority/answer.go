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
		if n.delegates() && a != z.origin && (a != name || qtype != dns.TypeDS) {
			z.refer(r, n, a)
			return ""
		}
		if n.redirects() && a != name {
			return z.redirect(r, n, name)
		}
	}
	r.Authoritative = true
	f := finding{z: z, name: name, encloser: encloser, node: z.nodes[name]}
	if f.made() {
		n, ok := z.nodes[wildcard(encloser)]
		if !ok {
			f.nothing(r)
			return ""
		}
		f.node = n
	}
	return f.tell(r, qtype)
}

// A finding is where the search for a name ended in a zone.
type finding struct {
	z              *Zone
	name, encloser string // which is the name itself, if the zone has it
	node           node
}

// made tells whether a wildcard stands for the name, or would.
func (f *finding) made() bool { return f.encloser != f.name }

// nothing says that the name does not exist. In compact denial it has no types.
func (f *finding) nothing(r *dns.Msg) {
	r.Ns = append(r.Ns, f.z.negativeSOA(r)...)
	f.z.prove(r, func(d denier) []dns.RR { return d.noName(f.name, f.encloser) })
	if _, ok := f.z.denier.(compact); !ok || !secure(r) {
		r.Rcode = dns.RcodeNameError
	}
}

// tell adds the RRset of an existing name, its alias, or the proof that there is
// none. The owner of what a wildcard made is the name asked for.
func (f *finding) tell(r *dns.Msg, qtype uint16) (next string) {
	types := []uint16{qtype}
	switch alias := f.node[dns.TypeCNAME]; {
	case len(alias) > 0 && qtype != dns.TypeCNAME && qtype != dns.TypeANY && qtype != dns.TypeNSEC && qtype != dns.TypeRRSIG:
		types, next = []uint16{dns.TypeCNAME}, alias[0].(*dns.CNAME).Target
	case qtype == dns.TypeANY:
		types = f.node.types()
	}
	before := len(r.Answer)
	for _, rrtype := range types {
		r.Answer = append(r.Answer, f.set(r, rrtype)...)
		extra(r, f.z.addresses(r, targets(f.node[rrtype])))
	}
	switch {
	case len(r.Answer) == before:
		f.lacking(r)
	case f.made():
		f.z.prove(r, func(d denier) []dns.RR { return d.expanded(f.name, f.encloser) })
	}
	return next
}

// set is an RRset of the node with its signatures, owned by the name. No wildcard
// makes an NSEC record (RFC 4035, section 2.3).
func (f *finding) set(r *dns.Msg, rrtype uint16) []dns.RR {
	set := f.node[rrtype]
	switch {
	case !f.made():
		return f.z.with(r, f.node, rrtype)
	case rrtype == dns.TypeNSEC:
		return nil
	}
	if _, ok := f.z.denier.(compact); ok && secure(r) && len(set) > 0 {
		return f.z.together(owned(set, f.name)...)
	}
	return owned(f.z.with(r, f.node, rrtype), f.name)
}

func (f *finding) lacking(r *dns.Msg) {
	r.Ns = append(r.Ns, f.z.negativeSOA(r)...)
	f.z.prove(r, func(d denier) []dns.RR {
		if f.made() {
			return d.noTypeExpanded(f.name, f.encloser)
		}
		return d.noType(f.name)
	})
}

// secure tells whether the client of r asked for signatures and proofs (RFC 3225).
func secure(r *dns.Msg) bool {
	opt := r.IsEdns0()
	return opt != nil && opt.Do()
}

// with is an RRset of a node, and its signatures where the client asked for them.
func (z *Zone) with(r *dns.Msg, n node, rrtype uint16) []dns.RR {
	set := n[rrtype]
	if secure(r) && rrtype != dns.TypeRRSIG {
		set = append(set[:len(set):len(set)], covering(n, rrtype)...)
	}
	return set
}

// covering are the signatures of one type at a node.
func covering(n node, rrtype uint16) (out []dns.RR) {
	for _, rr := range n[dns.TypeRRSIG] {
		if sig, ok := rr.(*dns.RRSIG); ok && sig.TypeCovered == rrtype {
			out = append(out, sig)
		}
	}
	return out
}

// prove adds what proof says, where the zone is signed and the client asked for it,
// but no set that the message has.
func (z *Zone) prove(r *dns.Msg, proof func(denier) []dns.RR) {
	if z.denier != nil && secure(r) {
		r.Ns = once(r.Ns, proof(z.denier))
	}
}

// refer makes r a referral to the zone cut at n, unless an alias led here: then
// the client finds the cut by itself.
func (z *Zone) refer(r *dns.Msg, n node, cut string) {
	if len(r.Answer) > 0 {
		return
	}
	r.Ns = append(r.Ns, n[dns.TypeNS]...)
	r.Ns = append(r.Ns, z.with(r, n, dns.TypeDS)...)
	if len(n[dns.TypeDS]) == 0 {
		z.prove(r, func(d denier) []dns.RR { return d.noType(cut) })
	}
	extra(r, z.addresses(r, targets(n[dns.TypeNS])))
}

// redirect adds the DNAME of a node and the CNAME made of it for name. A name that
// would grow too long is YXDOMAIN (RFC 6672, section 2.2).
func (z *Zone) redirect(r *dns.Msg, n node, name string) (next string) {
	d := n[dns.TypeDNAME][0].(*dns.DNAME)
	r.Authoritative = true
	r.Answer = append(r.Answer, z.with(r, n, dns.TypeDNAME)...)
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
