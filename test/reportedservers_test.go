package test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// A reportedServer is the only server of a zone, and does what servers have been reported to
// do at which resolvers failed, or should have.
type reportedServer struct {
	what string
	text string // of the zone, beside www, which has the address right
	rule authority.Rule
	// tcp writes answers to a connection; nil: as usual.
	tcp authority.Writer
	ask string // "" for "www A", names are below the zone
	// want is what comes of it: RCODE and data. A message with something malformed in it, but
	// for signatures, is none, whatever others make of it.
	want string
}

const (
	right = "NOERROR 192.0.2.1"
	fails = "SERVFAIL"
	evil  = "203.0.113.66" // is what nobody may be told
)

// altered changes the message.
func altered(fn func(q, r *dns.Msg)) authority.Rule {
	return func(x *authority.Exchange) {
		if x.Reply != nil {
			fn(x.Query, x.Reply)
		}
	}
}

// octets changes the message as it is sent.
func octets(fn func(q *dns.Msg, b []byte) []byte) authority.Rule {
	return func(x *authority.Exchange) {
		if x.Reply == nil {
			return
		}
		b, err := x.Reply.Pack()
		if err != nil {
			panic(err)
		}
		x.Raw = fn(x.Query, b)
	}
}

// edns is a rule for questions with EDNS.
func edns(fn func(q, r *dns.Msg)) authority.Rule {
	return altered(func(q, r *dns.Msg) {
		if q.IsEdns0() != nil {
			fn(q, r)
		}
	})
}

// overUDP is a rule for UDP alone.
func overUDP(rule authority.Rule) authority.Rule {
	return func(x *authority.Exchange) {
		if !x.TCP {
			rule(x)
		}
	}
}

func bare(r *dns.Msg, rcode int) {
	r.Rcode, r.Answer, r.Ns, r.Extra, r.Authoritative = rcode, nil, nil, nil, false
}

func withOPT(r *dns.Msg) *dns.OPT {
	r.Extra = slices.DeleteFunc(r.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	opt.SetUDPSize(1232)
	r.Extra = append(r.Extra, opt)
	return opt
}

// cookied tells whether a question has a cookie.
func cookied(q *dns.Msg) bool {
	opt := q.IsEdns0()
	return opt != nil && slices.ContainsFunc(opt.Option, func(o dns.EDNS0) bool { return o.Option() == dns.EDNS0COOKIE })
}

func rr(format string, args ...any) dns.RR {
	out, err := dns.NewRR(fmt.Sprintf(format, args...))
	if err != nil {
		panic(err)
	}
	return out
}

// counted changes one of the four counts behind the flags, which says how many records follow.
func counted(b []byte, at int, by int) []byte {
	binary.BigEndian.PutUint16(b[4+2*at:], uint16(int(binary.BigEndian.Uint16(b[4+2*at:]))+by))
	return b
}

func ednsServers() []reportedServer {
	rcode := func(n int, opt bool) authority.Rule {
		return edns(func(_, r *dns.Msg) {
			if bare(r, n); opt {
				withOPT(r)
			}
		})
	}
	return []reportedServer{
		{what: "BADVERS to EDNS", rule: edns(func(_, r *dns.Msg) { bare(r, dns.RcodeBadVers); withOPT(r) }), want: right},
		{what: "FORMERR to EDNS", rule: rcode(dns.RcodeFormatError, false), want: right},
		{what: "FORMERR to EDNS with OPT", rule: rcode(dns.RcodeFormatError, true), want: right},
		{what: "FORMERR to EDNS with our own OPT", rule: edns(func(q, r *dns.Msg) { bare(r, dns.RcodeFormatError); r.Extra = append(r.Extra, q.IsEdns0()) }), want: right},
		{what: "FORMERR to EDNS of a header alone", rule: func(x *authority.Exchange) {
			if x.Query.IsEdns0() != nil {
				r := new(dns.Msg)
				r.Id, r.Response, r.Rcode = x.Query.Id, true, dns.RcodeFormatError
				x.Reply = r
			}
		}, want: right},
		{what: "NOTIMP to EDNS", rule: rcode(dns.RcodeNotImplemented, false), want: right},
		{what: "NOTIMP to EDNS with OPT", rule: rcode(dns.RcodeNotImplemented, true), want: fails},
		{what: "SERVFAIL to EDNS", rule: rcode(dns.RcodeServerFailure, false), want: right},
		{what: "SERVFAIL to EDNS with OPT", rule: rcode(dns.RcodeServerFailure, true), want: fails},
		{what: "REFUSED to EDNS", rule: rcode(dns.RcodeRefused, false), want: fails},
		{what: "silence to cookies", rule: func(x *authority.Exchange) {
			if cookied(x.Query) {
				x.Reply = nil
			}
		}, want: right},
		{what: "FORMERR to cookies", rule: altered(func(q, r *dns.Msg) {
			if cookied(q) {
				bare(r, dns.RcodeFormatError)
			}
		}), want: right},
		{what: "BADCOOKIE without a cookie", rule: altered(func(q, r *dns.Msg) {
			if cookied(q) {
				bare(r, dns.RcodeBadCookie)
				withOPT(r)
			}
		}), want: right},
		{what: "our OPT as it was", rule: edns(func(q, r *dns.Msg) { withOPT(r); r.Extra[len(r.Extra)-1] = dns.Copy(q.IsEdns0()) }), want: right},
		{what: "OPT twice", rule: edns(func(_, r *dns.Msg) { withOPT(r); r.Extra = append(r.Extra, dns.Copy(r.IsEdns0())) }), want: fails},
		{what: "OPT in the answer section", rule: edns(func(_, r *dns.Msg) { opt := withOPT(r); r.Extra = nil; r.Answer = append(r.Answer, opt) }), want: fails},
		{what: "OPT in front of other additional records", rule: edns(func(_, r *dns.Msg) {
			opt := withOPT(r)
			r.Extra = append([]dns.RR{opt}, slices.DeleteFunc(r.Extra, func(rr dns.RR) bool { return rr == dns.RR(opt) })...)
			r.Extra = append(r.Extra, rr("ns.sh. 60 A 192.0.2.77"))
		}), want: right},
		{what: "EDNS of version 1", rule: edns(func(_, r *dns.Msg) { withOPT(r).SetVersion(1) }), want: right},
		{what: "an OPT whose owner is not the root", rule: edns(func(q, r *dns.Msg) { withOPT(r).Hdr.Name = q.Question[0].Name }), want: fails},
		{what: "an OPT with a damaged option", rule: octets(func(q *dns.Msg, b []byte) []byte {
			if q.IsEdns0() == nil {
				return b
			}
			r := new(dns.Msg)
			_ = r.Unpack(b)
			r.Extra = nil
			b, _ = r.Pack()
			return append(counted(b, 3, 1), 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 5, 0, 10, 0, 200, 1)
		}), want: fails},
		{what: "OPT to a question without EDNS", rule: altered(func(_, r *dns.Msg) { withOPT(r) }), want: right},
		{what: "an extended RCODE", rule: edns(func(_, r *dns.Msg) { r.Rcode = 0x230; withOPT(r) }), want: fails},
		{what: "a size of 0 in its OPT", rule: edns(func(_, r *dns.Msg) { withOPT(r).SetUDPSize(0) }), want: right},
		{what: "unknown options", rule: edns(func(_, r *dns.Msg) {
			withOPT(r).Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: 65001, Data: []byte("x")}, &dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: "6e73"}, &dns.EDNS0_EDE{InfoCode: 18, ExtraText: "x"}}
		}), want: right},
	}
}

func tcpServers() []reportedServer {
	cut := overUDP(altered(func(_, r *dns.Msg) { r.Truncated = true }))
	empty := overUDP(authority.Truncate())
	writer := func(fn func(c net.Conn, framed []byte) error) authority.Writer { return fn }
	large := ""
	for i := range 120 {
		large += fmt.Sprintf("many TXT %s%d\n", strings.Repeat("x", 200), i)
	}
	return []reportedServer{
		{what: "truncated with the data", rule: cut, want: right},
		{what: "truncated without", rule: empty, want: right},
		{what: "truncated, and TCP comes in single octets", rule: empty, want: right, tcp: writer(func(c net.Conn, framed []byte) error {
			for i := range framed {
				if _, err := c.Write(framed[i : i+1]); err != nil {
					return err
				}
				time.Sleep(200 * time.Microsecond)
			}
			return nil
		})},
		{what: "truncated, and TCP ends behind the answer", rule: empty, want: right, tcp: writer(func(c net.Conn, framed []byte) error {
			_, err := c.Write(framed)
			c.Close()
			return err
		})},
		{what: "truncated, and TCP ends ahead of it", rule: empty, tcp: writer(func(c net.Conn, _ []byte) error { return c.Close() }), want: fails},
		{what: "truncated, and another message comes first by TCP", rule: empty, want: right, tcp: writer(func(c net.Conn, framed []byte) error {
			other := slices.Clone(framed)
			other[2] ^= 0x55
			if _, err := c.Write(other); err != nil {
				return err
			}
			_, err := c.Write(framed)
			return err
		})},
		{what: "truncated, and TCP has garbage behind the answer", rule: empty, want: right, tcp: writer(func(c net.Conn, framed []byte) error {
			_, err := c.Write(append(slices.Clone(framed), 0, 3, 1, 2, 3, 0, 0))
			return err
		})},
		{what: "truncated over TCP, too", rule: altered(func(_, r *dns.Msg) { r.Truncated = true }), want: fails},
		{what: "a large set", text: large, ask: "many TXT", want: "NOERROR TXT"},
		{what: "a large set in one datagram", text: large[:len(large)/4/210*210], ask: "www A", rule: authority.Whole(), want: right},
	}
}

func messageServers() []reportedServer {
	forge := func(q *dns.Msg) dns.RR { return rr("%s 60 A %s", q.Question[0].Name, evil) }
	return []reportedServer{
		{what: "the question twice", rule: octets(func(q *dns.Msg, b []byte) []byte {
			r := new(dns.Msg)
			_ = r.Unpack(b)
			r.Question = append(r.Question, r.Question[0])
			b, _ = r.Pack()
			return b
		}), want: fails},
		{what: "octets behind the message", rule: octets(func(_ *dns.Msg, b []byte) []byte { return append(b, 1, 2, 3, 4, 5) }), want: fails},
		{what: "more records counted than there are", rule: octets(func(_ *dns.Msg, b []byte) []byte { return counted(b, 3, 1) }), want: fails},
		{what: "no additional records counted", rule: octets(func(_ *dns.Msg, b []byte) []byte { return counted(b, 3, -int(binary.BigEndian.Uint16(b[10:]))) }), want: fails},
		{what: "all flags", rule: octets(func(_ *dns.Msg, b []byte) []byte { b[2] |= 0x01 | 0x04; b[3] |= 0xf0; return b }), want: right},
		{what: "Z set", rule: octets(func(_ *dns.Msg, b []byte) []byte { b[3] |= 0x40; return b }), want: right},
		{what: "an address of 16 octets", rule: altered(func(q, r *dns.Msg) {
			r.Answer = []dns.RR{&dns.RFC3597{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: 1, Ttl: 60}, Rdata: strings.Repeat("cb", 16)}}
		}), want: fails},
		{what: "an address of no octets", rule: altered(func(q, r *dns.Msg) {
			r.Answer = []dns.RR{&dns.RFC3597{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: 1, Ttl: 60}}}
		}), want: fails},
		{what: "a TTL with its highest bit", rule: altered(func(_, r *dns.Msg) {
			for _, a := range r.Answer {
				a.Header().Ttl = 1<<31 + 5
			}
		}), want: right},
		{what: "a TTL of 0", rule: altered(func(_, r *dns.Msg) {
			for _, a := range r.Answer {
				a.Header().Ttl = 0
			}
		}), want: right},
		{what: "the answer in the authority section", rule: altered(func(_, r *dns.Msg) { r.Ns, r.Answer = r.Answer, nil }), want: "NOERROR"},
		{what: "the SOA of NODATA in the answer section", ask: "www TXT", rule: altered(func(_, r *dns.Msg) { r.Answer, r.Ns = r.Ns, nil }), want: "NOERROR"},
		{what: "the SOA of NXDOMAIN in the answer section", ask: "nope A", rule: altered(func(_, r *dns.Msg) { r.Answer, r.Ns = r.Ns, nil }), want: "NXDOMAIN"},
		{what: "a signature alone", rule: altered(func(q, r *dns.Msg) {
			if q.Question[0].Qtype == dns.TypeA {
				r.Answer = []dns.RR{rr("%s 60 RRSIG A 13 3 60 20400101000000 20200101000000 1 sh. AAAA", q.Question[0].Name)}
			}
		}), want: "NOERROR"},
		{what: "a signature of two octets beside the data", rule: altered(func(q, r *dns.Msg) {
			short := &dns.RFC3597{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeRRSIG, Class: 1, Ttl: 60}, Rdata: "0001"}
			r.Answer = append([]dns.RR{short}, r.Answer...)
		}), want: right},
		{what: "records of other names first", rule: altered(func(q, r *dns.Msg) {
			r.Answer = append([]dns.RR{rr("other.%s 60 A %s", q.Question[0].Name, evil), rr("sh. 60 A %s", evil)}, r.Answer...)
		}), want: right},
		{what: "the record in another class beside", rule: altered(func(q, r *dns.Msg) {
			more := forge(q)
			more.Header().Class = dns.ClassHESIOD
			r.Answer = append(r.Answer, more)
		}), want: right},
		{what: "an address for each other type", ask: "www TXT", rule: altered(func(q, r *dns.Msg) {
			if q.Question[0].Qtype == dns.TypeTXT {
				r.Answer, r.Ns = []dns.RR{forge(q)}, nil
			}
		}), want: "NOERROR"},
		{what: "an alias to the name itself beside its address", rule: altered(func(q, r *dns.Msg) {
			if q.Question[0].Qtype == dns.TypeA {
				r.Answer = append(r.Answer, rr("%s 60 CNAME %[1]s", q.Question[0].Name))
			}
		}), want: right},
		{what: "aliases in the wrong order", text: "a CNAME b\nb CNAME c\nc CNAME www\n", ask: "a A", rule: altered(func(_, r *dns.Msg) { slices.Reverse(r.Answer) }), want: right},
		{what: "an alias twice", text: "a CNAME www\n", ask: "a A", rule: altered(func(_, r *dns.Msg) { r.Answer = append(r.Answer, r.Answer...) }), want: right},
		{what: "two aliases", text: "a CNAME www\n", ask: "a A", rule: altered(func(q, r *dns.Msg) {
			if len(r.Answer) > 1 {
				r.Answer = append(r.Answer, rr("%s 60 CNAME other.sh.", q.Question[0].Name))
			}
		}), want: fails},
		{what: "an alias and NXDOMAIN though the target is there", text: "a CNAME www\n", ask: "a A", rule: altered(func(q, r *dns.Msg) {
			if strings.HasPrefix(strings.ToLower(q.Question[0].Name), "a.") {
				r.Rcode, r.Answer = dns.RcodeNameError, r.Answer[:1]
			}
		}), want: right},
		{what: "a DNAME whose CNAME is another", text: "d DNAME e\nwww.e A 192.0.2.1\n", ask: "www.d A", rule: altered(func(_, r *dns.Msg) {
			for _, a := range r.Answer {
				if c, ok := a.(*dns.CNAME); ok {
					c.Target = "bad.sh."
				}
			}
		}), want: right},
		{what: "a DNAME to its own parent", text: "d DNAME @\n", ask: "www.d A", want: right},
		{what: "a DNAME to the root", text: "d DNAME .\n", ask: "sh.d NS", want: "NOERROR NS"},
		{what: "a DNAME to itself", text: "d DNAME d\n", ask: "www.d A", want: fails},
		{what: "an alias to itself", text: "a CNAME a\n", ask: "a A", want: fails},
		{what: "NXDOMAIN for what is above names", text: "x.y A 192.0.2.1\n", ask: "x.y A", rule: altered(func(q, r *dns.Msg) {
			if strings.HasPrefix(strings.ToLower(q.Question[0].Name), "y.") {
				r.Rcode = dns.RcodeNameError
			}
		}), want: right},
		{what: "SERVFAIL for NS", text: "x.y A 192.0.2.1\n", ask: "x.y A", rule: authority.Only(dns.TypeNS, authority.Rcode(dns.RcodeServerFailure)), want: right},
		{what: "silence for NS", text: "x.y A 192.0.2.1\n", ask: "x.y A", rule: authority.Only(dns.TypeNS, authority.Drop()), want: right},
		{what: "a referral to itself", rule: altered(func(q, r *dns.Msg) {
			if q.Question[0].Qtype == dns.TypeA {
				r.Answer, r.Authoritative = nil, false
				r.Ns = []dns.RR{rr("%s 60 NS ns.%[1]s", q.Question[0].Name[4:])}
			}
		}), want: fails},
		{what: "a referral below the name", rule: altered(func(q, r *dns.Msg) {
			if q.Question[0].Qtype == dns.TypeA {
				r.Answer, r.Authoritative = nil, false
				r.Ns = []dns.RR{rr("x.%s 60 NS ns.%[1]s", q.Question[0].Name)}
			}
		}), want: fails},
		{what: "another answer comes ahead under another ID", rule: authority.Forge(func(q *dns.Msg) [][]byte {
			r := new(dns.Msg).SetReply(q)
			r.Id ^= 1
			r.Answer = []dns.RR{forge(q)}
			return packed(r)
		}), want: right},
		{what: "the answer twice", rule: func(x *authority.Exchange) {
			if b, err := x.Reply.Pack(); err == nil && !x.TCP {
				x.Ahead = append(x.Ahead, b)
			}
		}, want: right},
		{what: "the question itself comes back first", rule: authority.Forge(func(q *dns.Msg) [][]byte { return packed(q) }), want: right},
		{what: "pointers in the data of SRV", ask: "_s SRV", rule: octets(func(q *dns.Msg, b []byte) []byte {
			if q.Question[0].Qtype != dns.TypeSRV {
				return b
			}
			r := new(dns.Msg).SetReply(q)
			r.Authoritative = true
			b, _ = r.Pack()
			data := []byte{0, 1, 0, 2, 0, 3, 3, 'w', 'w', 'w', 0xc0, 15} // behind the first label of the question
			return append(counted(b, 1, 1), append([]byte{0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, byte(len(data))}, data...)...)
		}), want: "NOERROR SRV"},
		{what: "an unknown type", text: "u TYPE65400 \\# 4 01020304\n", ask: "u TYPE65400", want: "NOERROR TYPE65400"},
		{what: "ANY is refused", ask: "www ANY", rule: authority.Only(dns.TypeANY, authority.Rcode(dns.RcodeRefused)), want: "NOERROR HINFO"},
		{what: "a name of most labels", text: strings.Repeat("a.", 100) + "b A 192.0.2.1\n", ask: strings.Repeat("a.", 100) + "b A", want: right},
		{what: "only AAAA refused", ask: "www AAAA", rule: authority.Only(dns.TypeAAAA, authority.Rcode(dns.RcodeRefused)), want: fails},
		{what: "NXDOMAIN for AAAA", rule: authority.Only(dns.TypeAAAA, authority.Rcode(dns.RcodeNameError)), want: right},
		{what: "the zone's NS beside another's", rule: altered(func(q, r *dns.Msg) {
			r.Ns = append(r.Ns, rr("sh. 60 NS bad.sh."), rr(". 60 NS bad.sh."))
			r.Extra = append(r.Extra, rr("bad.sh. 60 A %s", evil))
		}), want: right},
	}
}

// strangers are other resolvers as they come, without DNSSEC.
var strangers = []peer{
	{"unbound", "/usr/sbin/unbound", "-d -c config", `server:
 interface: %[1]s@%[2]d
 module-config: "iterator"
 do-not-query-localhost: no
 root-hints: "hints"
 directory: "."
 chroot: ""
 username: ""
 pidfile: ""
 use-syslog: no
remote-control:
 control-enable: no
`, 1},
	{"knot", "/usr/sbin/kresd", "-n -c config .", "net.listen('%[1]s', %[2]d)\ntrust_anchors.remove('.')\noption('ALLOW_LOCAL', true)\ncache.size = 50*MB\nmodules = { 'hints' }\nhints.root_file('hints')\n", 1},
	{"bind", "/usr/sbin/named", "-g -c config", `options { directory "."; listen-on port %[2]d { %[1]s; }; listen-on-v6 { none; }; recursion yes; dnssec-validation no; pid-file none; session-keyfile none; empty-zones-enable no; };
zone "." { type hint; file "hints"; };
controls { };
`, 1},
	{"powerdns", "/usr/sbin/pdns_recursor", "--config-dir=. --socket-dir=. --local-address=%[1]s --local-port=%[2]d --hint-file=hints --dnssec=off --dont-query= --threads=1 --daemon=no --disable-syslog --setuid= --setgid=", "", 1},
}

// toldBy is what a resolver says: RCODE and data.
func toldBy(r *dns.Msg) string {
	if r == nil {
		return "no answer"
	}
	var data []string
	for _, rr := range r.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			data = append(data, rr.A.String())
		case *dns.CNAME, *dns.DNAME:
		default:
			data = append(data, dns.Type(rr.Header().Rrtype).String())
		}
	}
	slices.Sort(data)
	return strings.TrimSpace(dns.RcodeToString[r.Rcode] + " " + strings.Join(slices.Compact(data), " "))
}

// reportedInternet has a zone for each server, and a question about it.
func reportedInternet(t *testing.T, servers []reportedServer) (n *authority.Internet, questions []*dns.Msg) {
	const soa = "$TTL 3600\n@ SOA ns host 1 2 3 4 300\n"
	root := soa + "@ NS a.root.\na.root. A 127.66.0.1\nsh. NS ns.sh.\nns.sh. A 127.66.0.2\n"
	sh := soa + "@ NS ns\nns A 127.66.0.2\nbad A " + evil + "\n"
	var zones []*authority.Zone
	addr := func(i int) string { return fmt.Sprintf("127.66.1.%d", i+1) }
	for i, s := range servers {
		sh += fmt.Sprintf("k%[1]d NS ns.k%[1]d\nns.k%[1]d A %[2]s\n", i, addr(i))
		origin := fmt.Sprintf("k%d.sh.", i)
		zones = append(zones, authority.MustParse(origin, soa+"@ NS ns\nns A "+addr(i)+"\nwww A 192.0.2.1\n"+s.text))
		label, qtype, _ := strings.Cut(cmp.Or(s.ask, "www A"), " ")
		number, known := dns.StringToType[qtype]
		if !known {
			_, _ = fmt.Sscanf(qtype, "TYPE%d", &number)
		}
		questions = append(questions, proctest.Query(label+"."+origin, number, 1232))
	}
	n, err := authority.New(append(zones, authority.MustParse(".", root), authority.MustParse("sh.", sh))...)
	if err == nil {
		err = n.Start(53)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	for i, s := range servers {
		h := n.Host(addr(i))
		if s.rule != nil {
			h.Play(s.rule)
		}
		if s.tcp != nil {
			h.WriteTCP(s.tcp)
		}
	}
	return n, questions
}

// Servers that do what has been reported of servers are understood as far as they can be.
// KRESD_PEERS=1 also tells what other resolvers make of them.
func TestReportedServers(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	servers := slices.Concat(ednsServers(), tcpServers(), messageServers())
	n, questions := reportedInternet(t, servers)
	lines := make([]string, len(servers))
	g := proctest.Start(t, proctest.On(t, n, 1))
	said := make([]string, len(servers))
	for i, r := range proctest.ExchangeAll(g.Addr, questions, 12) {
		said[i] = toldBy(r)
	}
	if os.Getenv("KRESD_PEERS") != "" {
		for i, p := range strangers {
			for j, r := range proctest.ExchangeAll(startStranger(t, p, uint16(5301+i)), questions, 12) {
				lines[j] += fmt.Sprintf(", %s says %s", p.name, toldBy(r))
			}
		}
	}
	for i, s := range servers {
		line := fmt.Sprintf("%s: %s, want %s%s", s.what, said[i], s.want, lines[i])
		if t.Log(line); said[i] != s.want {
			t.Error(line)
		}
	}
	if len(servers) < 60 {
		t.Errorf("%d servers", len(servers))
	}
}

// startStranger starts another resolver below the root of reportedInternet.
func startStranger(t *testing.T, p peer, port uint16) netip.AddrPort {
	t.Helper()
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
	dir := proctest.RunDir(t)
	if err := os.Chmod(dir, 0o755); err != nil { // some give up being root
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "hints"), []byte(". 3600 NS a.root.\na.root. 3600 A 127.66.0.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if p.config == "" {
		p.args = fmt.Sprintf(p.args, at.Addr(), at.Port())
	} else {
		p.config = fmt.Sprintf(p.config, at.Addr(), at.Port())
	}
	t.Cleanup(p.run(t, dir, at))
	return at
}
