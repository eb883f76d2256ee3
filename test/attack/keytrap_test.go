package attack

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// checksFigure is how many signatures and digests a worker has checked.
const checksFigure = "worker.stats().checks"

// What one hostile answer may cost (HARDENING, section 10, figure 4).
const (
	mostChecks = 16
	mostCPU    = 10 * time.Millisecond
)

// A trap is a signed zone that makes the proof of its answers dear.
type trap struct {
	attack    string
	algorithm uint8
	denial    authority.Denial
	// arm makes the signing hostile, and changes the DS set of the parent.
	arm func(s *authority.Signing, ds *[]dns.RR)
	// text is what the zone has beside www A.
	text string
	// ask is the name below the zone that is asked, "www" without.
	ask string
}

// A signedLab is a lab whose zones are signed, with a worker that has their trust
// anchor.
type signedLab struct {
	*lab
	hostile atomic.Int64 // answers of traps, without those that only said TC
}

// key is a key of these labs.
func key(zone string, flags uint16, algorithm uint8) *authority.Key {
	return authority.NewKey(zone, flags, algorithm, "lab")
}

// signing is that of an honest zone.
func signing(zone string, algorithm uint8, d authority.Denial) authority.Signing {
	now := uint32(time.Now().Unix())
	return authority.Signing{KSK: []*authority.Key{key(zone, authority.KSK, algorithm)}, ZSK: []*authority.Key{key(zone, authority.ZSK, algorithm)},
		From: now - 3600, Until: now + 86400, Denial: d}
}

// newSignedLab has the honest zones and so many copies of a trap: t0.com., t1.com.,
// each of which a validator sees for the first time when it is asked.
func newSignedLab(t *testing.T, tr trap, copies, workers int) *signedLab {
	t.Helper()
	l := &signedLab{}
	zs := honest()
	ds := map[string][]dns.RR{}
	var traps []*authority.Zone
	for i := range copies {
		name := fmt.Sprintf("t%d.com.", i)
		ns := server(name, "ns."+name, fmt.Sprintf("127.66.7.%d", i+1))
		zs["com."] += ns
		z := authority.MustParse(name, "$TTL 3600\n"+name+" SOA ns. host. 1 2 3 4 300\n"+ns+"www."+name+" A 192.0.2.1\n"+tr.text)
		s := signing(name, tr.algorithm, tr.denial)
		ds["com."] = append(ds["com."], arm(tr, &s)...)
		z.Sign(s)
		z.Play(func(x *authority.Exchange) {
			if x.TCP || x.Reply != nil && x.Reply.Len() <= 1232 {
				l.hostile.Add(1)
			}
		})
		traps = append(traps, z)
	}
	for name := range zs {
		if name == "." {
			continue
		}
		_, above, _ := strings.Cut(name, ".")
		if above == "" {
			above = "."
		}
		ds[above] = append(ds[above], key(name, authority.KSK, dns.ECDSAP256SHA256).DS(dns.SHA256))
	}
	for name, text := range zs {
		z := authority.MustParse(name, "$TTL 3600\n"+name+" SOA ns. host. 1 2 3 4 300\n"+text)
		z.Add(ds[name]...)
		z.Sign(signing(name, dns.ECDSAP256SHA256, authority.Denial{}))
		traps = append(traps, z)
	}
	n, err := authority.New(traps...)
	if err == nil {
		err = n.Start(0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	anchor := strings.ReplaceAll(key(".", authority.KSK, dns.ECDSAP256SHA256).DS(dns.SHA256).String(), "\t", " ")
	l.lab = &lab{t: t, net: n, g: proctest.Start(t, proctest.On(t, n, workers, "trust_anchors.remove('.')", "trust_anchors.add('"+anchor+"')"))}
	q := proctest.Query("www.example.com.", dns.TypeA, 1232)
	q.AuthenticatedData = true
	if r, err := exchange(l.g.Addr, q, 5*time.Second); err != nil || address(r) != "192.0.2.80" || !r.AuthenticatedData {
		t.Fatalf("a benign name is not answered, or not as secure: %v, %v", r, err)
	}
	l.settle()
	return l
}

// arm is the DS set of a trap that is set up.
func arm(tr trap, s *authority.Signing) []dns.RR {
	ds := []dns.RR{s.KSK[0].DS(dns.SHA256)}
	if tr.arm != nil {
		tr.arm(s, &ds)
	}
	return ds
}

// isSet tells whether a set is one of a name's.
func isSet(set []dns.RR, label string, rrtype uint16) bool {
	return len(set) > 0 && set[0].Header().Rrtype == rrtype && strings.HasPrefix(set[0].Header().Name, label)
}

// jam replaces the signatures of some sets by many wrong ones.
func jam(s *authority.Signing, n int, match func([]dns.RR) bool) {
	s.After = func(set, sigs []dns.RR) ([]dns.RR, []dns.RR) {
		if !match(set) {
			return set, sigs
		}
		k := s.ZSK[0]
		if set[0].Header().Rrtype == dns.TypeDNSKEY {
			k = s.KSK[0]
		}
		return set, k.WrongSignatures(set, n, s.From, s.Until)
	}
}

// crowd publishes many keys that look like the one that signs.
func crowd(s *authority.Signing, k *authority.Key, n int) {
	s.Published = slices.Concat(s.KSK, k.Collisions(n), s.ZSK)
}

func www(set []dns.RR) bool { return isSet(set, "www.", dns.TypeA) }

// traps are those of CVE-2023-50387 and what came after it.
func traps() []trap {
	return []trap{
		{attack: "KeyTrap: 500 keys of one tag, 350 signatures", algorithm: dns.ED448, arm: func(s *authority.Signing, _ *[]dns.RR) {
			crowd(s, s.ZSK[0], 500)
			jam(s, 350, www)
		}},
		{attack: "SigJam: one key of P-384, 400 signatures", algorithm: dns.ECDSAP384SHA384, arm: func(s *authority.Signing, _ *[]dns.RR) { jam(s, 400, www) }},
		{attack: "LockCram: 500 keys of one tag, one signature", algorithm: dns.ED448, arm: func(s *authority.Signing, _ *[]dns.RR) {
			crowd(s, s.ZSK[0], 500)
			jam(s, 1, www)
		}},
		{attack: "HashTrap: 500 keys of one tag, 400 DS", algorithm: dns.ED448, arm: func(s *authority.Signing, ds *[]dns.RR) {
			crowd(s, s.KSK[0], 500)
			*ds = s.KSK[0].WrongDigests(400, dns.SHA384)
		}},
		{attack: "400 signatures of the DNSKEY set", algorithm: dns.ECDSAP384SHA384, arm: func(s *authority.Signing, _ *[]dns.RR) {
			jam(s, 400, func(set []dns.RR) bool { return isSet(set, "", dns.TypeDNSKEY) })
		}},
		{attack: "500 keys of one tag and 100 signatures of each NSEC3 record", algorithm: dns.ED448, denial: authority.Denial{Kind: authority.NSEC3}, ask: "no.such", arm: func(s *authority.Signing, _ *[]dns.RR) {
			crowd(s, s.ZSK[0], 500)
			jam(s, 100, func(set []dns.RR) bool { return isSet(set, "", dns.TypeNSEC3) })
		}},
		{attack: "a chain of 11 aliases with 30 signatures each", algorithm: dns.ECDSAP384SHA384, ask: "c0", text: aliases(11), arm: func(s *authority.Signing, _ *[]dns.RR) {
			jam(s, 30, func(set []dns.RR) bool { return isSet(set, "c", dns.TypeCNAME) })
		}},
		{attack: "100 signatures by RSA of 4,096 bits and the greatest exponent", algorithm: dns.RSASHA512, arm: func(s *authority.Signing, _ *[]dns.RR) {
			s.ZSK[0] = s.ZSK[0].With(func(k *dns.DNSKEY) {
				modulus := strings.Repeat("\xc5", 512)
				k.PublicKey = base64.StdEncoding.EncodeToString([]byte("\x05\x01\x00\x00\x00\x01" + modulus))
			})
			s.After = func(set, sigs []dns.RR) ([]dns.RR, []dns.RR) {
				if !www(set) {
					return set, sigs
				}
				sigs = s.ZSK[0].WrongSignatures(set, 100, s.From, s.Until)
				for i, rr := range sigs {
					rr.(*dns.RRSIG).Signature = base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune('A'+i%50)), 512)))
				}
				return set, sigs
			}
		}},
	}
}

func aliases(n int) (text string) {
	for i := range n {
		text += fmt.Sprintf("c%d CNAME c%d\n", i, i+1)
	}
	return text + fmt.Sprintf("c%d CNAME www\n", n)
}

// checks is how many signatures and digests all workers have checked.
func (l *signedLab) checks() int {
	l.t.Helper()
	return l.sum(checksFigure)
}

// cpu is the processor time that the workers have used.
func (l *signedLab) cpu() time.Duration {
	l.t.Helper()
	var all float64
	for _, w := range l.g.Workers() {
		text := proctest.Eval(l.t, w.Socket, "worker.stats().usertime + worker.stats().systime")
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil {
			l.t.Fatalf("%q", text)
		}
		all += n
	}
	return time.Duration(all * float64(time.Second))
}

// TestB1KeyTrap asks for names whose proof would take hours, or minutes at least,
// and counts what it takes.
func TestB1KeyTrap(t *testing.T) {
	const copies = 12
	for _, tr := range traps() {
		t.Run(tr.attack, func(t *testing.T) {
			l := newSignedLab(t, tr, copies, 1)
			checks, cpu := l.checks(), l.cpu()
			var slowest time.Duration
			label := tr.ask
			if label == "" {
				label = "www"
			}
			rcodes := map[string]int{}
			for i := range copies {
				b := l.ask(fmt.Sprintf("%s.t%d.com.", label, i), dns.TypeA)
				slowest = max(slowest, b.took)
				rcodes[b.rcode]++
			}
			hostile := int(l.hostile.Load())
			checks, cpu = l.checks()-checks, l.cpu()-cpu
			if hostile < copies {
				t.Fatalf("%d hostile answers of %d", hostile, copies)
			}
			if rcodes["SERVFAIL"] != copies {
				t.Errorf("answers without a proof that holds: %v", rcodes)
			}
			each := cpu / time.Duration(hostile)
			tell(t, "B1", tr.attack, "<= 10 ms and <= 16 checks an answer", "%.2f ms and %.1f checks an answer, %v for %d questions, slowest %v", float64(each)/1e6, float64(checks)/float64(hostile), rcodes, copies, slowest.Round(time.Millisecond))
			if each > mostCPU || checks > mostChecks*hostile {
				t.Errorf("%v and %d checks for %d answers", each, checks, hostile)
			}
		})
	}
}
