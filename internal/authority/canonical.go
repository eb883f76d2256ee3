package authority

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// labels are the labels of a name in wire form and lower case, the topmost first:
// in this form names compare as RFC 4034, section 6.1, orders them.
func labels(name string) []string {
	buf := make([]byte, 256)
	end, err := dns.PackDomainName(dns.CanonicalName(name), buf, 0, nil, false)
	if err != nil {
		panic(err)
	}
	var out []string
	for at := 0; at < end && buf[at] != 0; at += 1 + int(buf[at]) {
		out = append(out, string(buf[at+1:at+1+int(buf[at])]))
	}
	slices.Reverse(out)
	return out
}

// canonical is a name in lower case and with octets escaped in one way only, as it
// comes out of messages.
func canonical(name string) string {
	if !strings.Contains(name, `\`) {
		return dns.CanonicalName(name)
	}
	out, _, err := dns.UnpackDomainName(wireName(name), 0)
	if err != nil {
		panic(err)
	}
	return out
}

// order compares two names canonically.
func order(a, b string) int { return slices.Compare(labels(a), labels(b)) }

// signedText is what a signature of set covers (RFC 4034, section 3.1.8.1): the
// signature's own fields and the records in canonical form and order.
func signedText(set []dns.RR, sig *dns.RRSIG) []byte {
	text := binary.BigEndian.AppendUint16(nil, sig.TypeCovered)
	text = append(text, sig.Algorithm, sig.Labels)
	for _, n := range []uint32{sig.OrigTtl, sig.Expiration, sig.Inception} {
		text = binary.BigEndian.AppendUint32(text, n)
	}
	text = binary.BigEndian.AppendUint16(text, sig.KeyTag)
	text = append(text, wireName(sig.SignerName)...)
	for _, rdata := range canonicalData(set) {
		text = append(text, wireName(signedOwner(set[0].Header().Name, int(sig.Labels)))...)
		text = binary.BigEndian.AppendUint16(text, set[0].Header().Rrtype)
		text = binary.BigEndian.AppendUint16(text, set[0].Header().Class)
		text = binary.BigEndian.AppendUint32(text, sig.OrigTtl)
		text = binary.BigEndian.AppendUint16(text, uint16(len(rdata)))
		text = append(text, rdata...)
	}
	return text
}

// signedOwner is the owner that was signed: the wildcard, where a signature counts
// fewer labels than the owner has (RFC 4035, section 5.3.2).
func signedOwner(owner string, count int) string {
	all := dns.SplitDomainName(owner)
	if count >= len(all) {
		return owner
	}
	return dns.Fqdn("*." + strings.Join(all[len(all)-count:], "."))
}

func wireName(name string) []byte {
	buf := make([]byte, 256)
	end, err := dns.PackDomainName(dns.CanonicalName(name), buf, 0, nil, false)
	if err != nil {
		panic(err)
	}
	return buf[:end]
}

// canonicalData are the RDATA of a set in canonical form and order, each once (RFC
// 4034, section 6.3).
func canonicalData(set []dns.RR) [][]byte {
	var out [][]byte
	for _, rr := range set {
		rr = dns.Copy(rr)
		lower(rr)
		rr.Header().Name = "."
		buf := make([]byte, dns.Len(rr)+1)
		end, err := dns.PackRR(rr, buf, 0, nil, false)
		if err != nil {
			panic(err)
		}
		const header = 11 // of a record of the root
		out = append(out, buf[header:end])
	}
	slices.SortFunc(out, bytes.Compare)
	return slices.CompactFunc(out, bytes.Equal)
}

// lower makes the names in RDATA lower case for the types that RFC 4034, section
// 6.2, lists; NSEC is not among them (RFC 6840, section 5.1).
func lower(rr dns.RR) {
	for _, name := range namesIn(rr) {
		*name = dns.CanonicalName(*name)
	}
}

func namesIn(rr dns.RR) []*string {
	switch rr := rr.(type) {
	case *dns.NS:
		return []*string{&rr.Ns}
	case *dns.CNAME:
		return []*string{&rr.Target}
	case *dns.DNAME:
		return []*string{&rr.Target}
	case *dns.PTR:
		return []*string{&rr.Ptr}
	case *dns.MX:
		return []*string{&rr.Mx}
	case *dns.SRV:
		return []*string{&rr.Target}
	case *dns.SOA:
		return []*string{&rr.Ns, &rr.Mbox}
	case *dns.NAPTR:
		return []*string{&rr.Replacement}
	case *dns.RP:
		return []*string{&rr.Mbox, &rr.Txt}
	case *dns.AFSDB:
		return []*string{&rr.Hostname}
	case *dns.KX:
		return []*string{&rr.Exchanger}
	case *dns.RRSIG:
		return []*string{&rr.SignerName}
	}
	return nil
}
