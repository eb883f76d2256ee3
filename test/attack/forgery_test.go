package attack

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// forged is an answer to q that says what the attacker wants, spoilt by spoil.
func forged(q *dns.Msg, spoil func(*dns.Msg)) []byte {
	r := new(dns.Msg)
	r.SetReply(q)
	r.Authoritative = true
	r.Answer = []dns.RR{&dns.A{
		Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 86400},
		A:   net.ParseIP(evil),
	}}
	if spoil != nil {
		spoil(r)
	}
	wire, err := r.Pack()
	if err != nil {
		panic(err)
	}
	return wire
}

// swapCase is a name whose letters all have the other case.
func swapCase(name string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c ^ 0x20
		}
		return c
	}, name)
}

// oneWrong are forgeries that have everything right but one thing.
func oneWrong() map[string]func(q *dns.Msg) []byte {
	spoilt := func(f func(*dns.Msg)) func(*dns.Msg) []byte {
		return func(q *dns.Msg) []byte { return forged(q, f) }
	}
	return map[string]func(q *dns.Msg) []byte{
		"ID":            spoilt(func(r *dns.Msg) { r.Id += uint16(1 + rand.IntN(65535)) }),
		"name":          spoilt(func(r *dns.Msg) { r.Question[0].Name = "x" + r.Question[0].Name }),
		"case":          spoilt(func(r *dns.Msg) { r.Question[0].Name = swapCase(r.Question[0].Name) }),
		"type":          spoilt(func(r *dns.Msg) { r.Question[0].Qtype = dns.TypeTXT }),
		"class":         spoilt(func(r *dns.Msg) { r.Question[0].Qclass = dns.ClassCHAOS }),
		"QR":            spoilt(func(r *dns.Msg) { r.Response = false }),
		"opcode":        spoilt(func(r *dns.Msg) { r.Opcode = dns.OpcodeNotify }),
		"no question":   spoilt(func(r *dns.Msg) { r.Question = nil }),
		"two questions": spoilt(func(r *dns.Msg) { r.Question = append(r.Question, r.Question[0]) }),
	}
}

// TestA3Forgeries sends forged answers ahead of the true one, from the right
// address and port, each with one field wrong.
func TestA3Forgeries(t *testing.T) {
	l := newLab(t, honest(), 1)
	h := l.net.Host("127.66.0.4")
	perQuestion, questions := 200, 40*scale()
	sent, accepted, failed := 0, 0, 0
	var slowest time.Duration
	for what, forge := range oneWrong() {
		h.Play(authority.Forge(func(q *dns.Msg) (out [][]byte) {
			for range perQuestion {
				out = append(out, forge(q))
			}
			return out
		}))
		var names []string
		for i := range questions {
			names = append(names, fmt.Sprintf("%s-%d.wild.example.com.", strings.ReplaceAll(what, " ", "-"), i))
		}
		for _, name := range names {
			r, err := exchange(l.g.Addr, newQuery(name), 12*time.Second)
			sent += perQuestion
			switch got := address(r); {
			case got == evil:
				accepted++
				t.Errorf("a forgery with another %s was accepted", what)
			case err != nil || got != "192.0.2.81":
				failed++
				t.Errorf("%s: %v %v", name, r, err)
			}
		}
		start := time.Now()
		_, _ = exchange(l.g.Addr, newQuery("last."+names[0]), 12*time.Second)
		slowest = max(slowest, time.Since(start))
	}
	tell(t, "A3", "forgeries ahead of the answer, one of 9 fields wrong", "0 accepted", "%d sent, %d accepted, %d of %d clients failed", sent, accepted, failed, questions*9)
}

// TestA3NearMisses looks at what the resolver does about one wrong datagram from
// the right address: it repeats the question over TCP, and what comes over UDP
// after it, be it right in everything, is not believed while TCP answers.
func TestA3NearMisses(t *testing.T) {
	l := newLab(t, honest(), 1)
	h := l.net.Host("127.66.0.4")
	asked, repeated, accepted := 0, 0, 0
	for what, forge := range oneWrong() {
		switch what {
		case "QR", "opcode": // these are no answers at all
			continue
		}
		var overTCP atomic.Int32
		h.Play(func(x *authority.Exchange) {
			if x.TCP {
				overTCP.Add(1)
				return
			}
			x.Ahead = append(x.Ahead, forge(x.Query), forged(x.Query, nil)) // a miss, then a hit
		})
		for i := range 5 * scale() {
			before := overTCP.Load()
			b := l.ask(fmt.Sprintf("m%d.%s.wild.example.com.", i, strings.ReplaceAll(what, " ", "-")), dns.TypeA)
			asked++
			if address(b.r) == evil {
				accepted++
			}
			if overTCP.Load() > before {
				repeated++
			}
		}
	}
	tell(t, "A3", "one forgery with a field wrong, then a perfect one", "all asked over TCP, 0 accepted", "%d of %d asked over TCP, %d accepted", repeated, asked, accepted)
	if repeated != asked || accepted > 0 {
		t.Errorf("%d of %d asked over TCP, %d accepted", repeated, asked, accepted)
	}
}

// TestA3Cookies forges answers of a server that knows cookies (RFC 7873): they are
// right in everything that a forger could guess.
func TestA3Cookies(t *testing.T) {
	l := newLab(t, honest(), 1)
	const sent, questions = 50, 40
	forging, accepted, overTCP := false, 0, 0
	var mu sync.Mutex
	l.net.Host("127.66.0.4").Play(func(x *authority.Exchange) {
		mu.Lock()
		defer mu.Unlock()
		if x.TCP && forging {
			overTCP++
		}
		if forging && !x.TCP {
			for range sent {
				x.Ahead = append(x.Ahead, forged(x.Query, func(r *dns.Msg) { r.SetEdns0(1232, true) }))
			}
		}
		giveCookie(x)
	})
	l.ask("warm.wild.example.com.", dns.TypeA)
	mu.Lock()
	forging = true
	mu.Unlock()
	for i := range questions {
		if b := l.ask(fmt.Sprintf("c%d.wild.example.com.", i), dns.TypeA); address(b.r) != "192.0.2.81" {
			accepted++
		}
	}
	mu.Lock()
	defer mu.Unlock()
	tell(t, "A3", "forgeries with all but the cookie right", "0 accepted", "%d sent, %d accepted, %d of %d questions asked over TCP", sent*questions, accepted, overTCP, questions)
	if accepted > 0 || overTCP < questions {
		t.Errorf("%d accepted, %d asked over TCP", accepted, overTCP)
	}
}

// giveCookie answers with the client's cookie and one of the server's.
func giveCookie(x *authority.Exchange) {
	opt := x.Query.IsEdns0()
	if opt == nil || x.Reply == nil {
		return
	}
	for _, o := range opt.Option {
		if c, ok := o.(*dns.EDNS0_COOKIE); ok {
			reply := x.Reply.IsEdns0()
			if reply == nil {
				reply = x.Reply.SetEdns0(1232, true).IsEdns0()
			}
			reply.Option = append(reply.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: c.Cookie[:16] + "0123456789abcdef"})
		}
	}
}

// TestA3OtherSources sends perfect forgeries, but not from the server's socket.
func TestA3OtherSources(t *testing.T) {
	l := newLab(t, honest(), 1)
	h := l.net.Host("127.66.0.4")
	port, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 66, 0, 4)})
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	addr, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 66, 0, 99), Port: int(l.net.Port())})
	if err != nil {
		t.Fatal(err)
	}
	defer addr.Close()
	h.Play(func(x *authority.Exchange) {
		wire := forged(x.Query, nil)
		for range 50 {
			_, _ = port.WriteToUDPAddrPort(wire, x.Client)
			_, _ = addr.WriteToUDPAddrPort(wire, x.Client)
		}
		x.Delay = 20 * time.Millisecond
	})
	accepted := 0
	const questions = 30
	for i := range questions {
		if b := l.ask(fmt.Sprintf("s%d.wild.example.com.", i), dns.TypeA); address(b.r) != "192.0.2.81" {
			accepted++
		}
	}
	tell(t, "A3", "perfect forgeries from another port and another address", "0 accepted", "%d sent, %d accepted", questions*100, accepted)
	if accepted > 0 {
		t.Errorf("%d accepted", accepted)
	}
}

// asked is what an observer at the server sees of one question.
type asked struct {
	port, id uint16
	name     string
}

// TestA3Entropy looks at what a forger has to guess, over four workers: source
// ports, one for each socket, and IDs are flat, from any worker alike, letters are
// of random case, and no socket is used for more than its few questions.
func TestA3Entropy(t *testing.T) {
	l := newLab(t, honest(), 4)
	var mu sync.Mutex
	var seen []asked
	l.net.Host("127.66.0.4").Play(func(x *authority.Exchange) {
		if q := x.Query.Question[0]; !x.TCP && q.Qtype == dns.TypeA {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, asked{x.Client.Port(), x.Query.Id, q.Name})
		}
	})
	// A client socket belongs to one worker, so sockets stand for workers.
	const sockets, each = 16, 250
	const rounds = 20 // a server is asked only so much at a time
	for round := range rounds {
		var names []string
		for i := range sockets * each / rounds {
			names = append(names, fmt.Sprintf("s%02d-abcdefghijklm-%d-%d.wild.example.com.", i%sockets, round, i))
		}
		burst(t, l.g.Addr, names, sockets, 3*time.Second)
	}
	mu.Lock()
	defer mu.Unlock()
	n := len(seen)
	if n < sockets*each*8/10 {
		t.Fatalf("only %d questions came", n)
	}
	const bins = 64
	var ports, ids, lowPorts, lowIDs [bins]int
	var byWorker [sockets][8]int
	upper, letters, repeated, uses := 0, 0, map[[2]uint16]bool{}, map[uint16]int{}
	lowest := uint16(65535)
	for _, a := range seen {
		var s int
		_, _ = fmt.Sscanf(strings.ToLower(a.name), "s%02d", &s)
		if uses[a.port]++; uses[a.port] == 1 {
			ports[(int(a.port)-1024)*bins/(65536-1024)]++
			lowPorts[a.port%bins]++
			byWorker[s][(int(a.port)-1024)*8/(65536-1024)]++
		}
		ids[int(a.id)*bins/65536]++
		lowIDs[a.id%bins]++
		repeated[[2]uint16{a.port, a.id}] = true
		lowest = min(lowest, a.port)
		for _, c := range a.name {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
				letters++
				if c <= 'Z' {
					upper++
				}
			}
		}
	}
	portsChi := max(flatness(ports[:], len(uses)), flatness(lowPorts[:], len(uses))) // high bits and low bits
	idsChi := max(flatness(ids[:], n), flatness(lowIDs[:], n))
	workers := independence(byWorker)
	bits := math.Log2(65536-1024) + 16
	most := 0
	for _, n := range uses {
		most = max(most, n)
	}
	tell(t, "A3", "source port and ID of "+fmt.Sprint(n)+" questions by 4 workers", ">= 31.9 bits; chi-squared/df < 2; at most 8 questions a socket", "%.1f bits + 0x20 on %d letters (%.1f %% upper); chi-squared/df: %d ports %.2f, IDs %.2f, ports by worker %.2f; %d pairs repeated; at most %d questions by one port",
		bits, letters/n, 100*float64(upper)/float64(letters), len(uses), portsChi, idsChi, workers, n-len(repeated), most)
	// 63 and 105 degrees of freedom: twice the mean is beyond one in 10^5. A pair is
	// drawn twice, or a port by two sockets, now and then.
	if portsChi > 2 || idsChi > 2 || workers > 2 || lowest < 1024 || n-len(repeated) > 4 || most > 2*8 || len(uses) < n/8 {
		t.Errorf("not flat: ports %.2f, IDs %.2f, by worker %.2f, lowest port %d, %d repeated", portsChi, idsChi, workers, lowest, n-len(repeated))
	}
	if share := float64(upper) / float64(letters); math.Abs(share-0.5) > 0.02 {
		t.Errorf("%.3f of the letters are upper case", share)
	}
}

// flatness is chi-squared over its degrees of freedom, against equal bins.
func flatness(bins []int, n int) (chi float64) {
	want := float64(n) / float64(len(bins))
	for _, b := range bins {
		chi += (float64(b) - want) * (float64(b) - want) / want
	}
	return chi / float64(len(bins)-1)
}

// independence is the same for a table whose rows should look alike.
func independence(table [16][8]int) (chi float64) {
	var rows [16]float64
	var cols [8]float64
	n := 0.0
	for i := range table {
		for j, v := range table[i] {
			rows[i] += float64(v)
			cols[j] += float64(v)
			n += float64(v)
		}
	}
	for i := range table {
		for j, v := range table[i] {
			if want := rows[i] * cols[j] / n; want > 0 {
				chi += (float64(v) - want) * (float64(v) - want) / want
			}
		}
	}
	return chi / float64(15*7)
}

// badPackets are twenty kinds of datagrams that must not end a wait (TuDoor).
func badPackets() map[string]func(q *dns.Msg) []byte {
	raw := func(change func(b []byte) []byte) func(*dns.Msg) []byte {
		return func(q *dns.Msg) []byte { return change(bytes.Clone(forged(q, nil))) }
	}
	spoilt := func(f func(*dns.Msg)) func(*dns.Msg) []byte {
		return func(q *dns.Msg) []byte { return forged(q, f) }
	}
	errorOf := func(rcode int, f func(*dns.Msg)) func(*dns.Msg) []byte {
		return spoilt(func(r *dns.Msg) { r.Answer, r.Rcode = nil, rcode; f(r) })
	}
	none := func(r *dns.Msg) { r.Question = nil }
	return map[string]func(q *dns.Msg) []byte{
		"one octet":     func(*dns.Msg) []byte { return []byte{0} },
		"eleven octets": raw(func(b []byte) []byte { return b[:11] }),
		"random octets": func(*dns.Msg) []byte {
			b := make([]byte, 80)
			for i := range b {
				b[i] = byte(rand.Uint32())
			}
			return b
		},
		"bare FORMERR":                  errorOf(dns.RcodeFormatError, none),
		"bare SERVFAIL":                 errorOf(dns.RcodeServerFailure, none),
		"bare NOTIMP of another ID":     errorOf(dns.RcodeNotImplemented, func(r *dns.Msg) { r.Question = nil; r.Id++ }),
		"empty, no error":               errorOf(dns.RcodeSuccess, none),
		"TC under another ID":           errorOf(dns.RcodeSuccess, func(r *dns.Msg) { r.Truncated = true; r.Id++ }),
		"TC without question":           errorOf(dns.RcodeSuccess, func(r *dns.Msg) { r.Truncated = true; r.Question = nil }),
		"the question itself":           spoilt(func(r *dns.Msg) { r.Response, r.Answer = false, nil }),
		"another opcode":                spoilt(func(r *dns.Msg) { r.Opcode = dns.OpcodeUpdate }),
		"NXDOMAIN for another name":     errorOf(dns.RcodeNameError, func(r *dns.Msg) { r.Question[0].Name = "no." + r.Question[0].Name }),
		"REFUSED for another type":      errorOf(dns.RcodeRefused, func(r *dns.Msg) { r.Question[0].Qtype = dns.TypeMX }),
		"REFUSED for another case":      errorOf(dns.RcodeRefused, func(r *dns.Msg) { r.Question[0].Name = swapCase(r.Question[0].Name) }),
		"counts that lie":               raw(func(b []byte) []byte { b[7] = 9; return b }),
		"trailing octets":               raw(func(b []byte) []byte { return append(b, 1, 2, 3) }),
		"cut off in the answer":         raw(func(b []byte) []byte { return b[:len(b)-5] }),
		"cut off in the question":       raw(func(b []byte) []byte { return b[:14] }),
		"a name that points to itself":  raw(func(b []byte) []byte { at := len(b) - 16; i := max(at, 12); b[i] = 0xc0; b[i+1] = byte(i); return b }),
		"a name that points to nowhere": raw(func(b []byte) []byte { return append(b[:12], 0xff, 0xff, 0, 1, 0, 1) }),
	}
}

// oddTCP are servers by what their TCP does to whoever tries it.
var oddTCP = map[string]func(*authority.Host){
	"works":  func(h *authority.Host) { h.WriteTCP(nil) },
	"closed": func(h *authority.Host) { h.WriteTCP(func(net.Conn, []byte) error { return errHangUp }) },
	"silent": func(h *authority.Host) { h.WriteTCP(func(net.Conn, []byte) error { return nil }) },
}

// TestA7BadPackets sends a thousand bad datagrams of each of twenty kinds ahead of
// each good answer from a server; two hundred, where its TCP is closed or silent: a
// system holds less than three hundred for a socket by default, and an answer that
// is dropped behind them can be had over TCP alone.
func TestA7BadPackets(t *testing.T) {
	kinds := badPackets()
	if len(kinds) != 20 {
		t.Fatalf("%d kinds, want 20", len(kinds))
	}
	for tcp, set := range oddTCP {
		t.Run("TCP "+tcp, func(t *testing.T) { badPacketsAhead(t, tcp, set, kinds) })
	}
}

func badPacketsAhead(t *testing.T, tcp string, set func(*authority.Host), kinds map[string]func(*dns.Msg) []byte) {
	l := newLab(t, honest(), 1)
	h := l.net.Host("127.66.0.4")
	plain := l.ask("warm.wild.example.com.", dns.TypeA).took
	set(h)
	each := 200
	if tcp == "works" {
		each = 1000
	}
	asked, answered := 0, 0
	var slowest time.Duration
	var worst string
	for kind, make := range kinds {
		h.Play(func(x *authority.Exchange) {
			if x.TCP {
				return
			}
			for range each {
				x.Ahead = append(x.Ahead, make(x.Query))
			}
		})
		for i := range 2 * scale() {
			b := l.ask(fmt.Sprintf("k%d.%s.wild.example.com.", i, strings.NewReplacer(" ", "-", ",", "").Replace(kind)), dns.TypeA)
			asked++
			if address(b.r) == "192.0.2.81" {
				answered++
			} else {
				t.Errorf("%s ahead of the answer: %s", kind, b.rcode)
			}
			if b.took > slowest {
				slowest, worst = b.took, kind
			}
		}
	}
	tell(t, "A7", fmt.Sprintf("%d bad packets of 20 kinds ahead of each answer, TCP %s", each, tcp), "100 % answered, within 8 s", "%.1f %% of %d answered; at most %v more than %v (%s)",
		100*float64(answered)/float64(asked), asked, (slowest - plain).Round(time.Millisecond), plain.Round(time.Millisecond), worst)
	if slowest > 8*time.Second {
		t.Errorf("%s: the slowest took %v", worst, slowest)
	}
}

// TestA8Birthday asks one cold question five thousand times at once, of ten
// workers: the more of it is in flight, the better a forger's chances. A machine
// that has no time for the workers gets three tries.
func TestA8Birthday(t *testing.T) {
	const workers, clients, most = 10, 5000, 4
	l := newLab(t, honest(), workers)
	for range 200 { // so that every worker knows the zone
		l.ask("www.example.com.", dns.TypeA)
	}
	h := l.net.Host("127.66.0.4")
	h.Play(authority.Delay(100 * time.Millisecond))
	upstream := 0
	for try := range 3 {
		name := fmt.Sprintf("cold%d.wild.example.com.", try)
		names := slices.Repeat([]string{name}, clients)
		o := burst(t, l.g.Addr, names, 100, 3*time.Second)
		upstream = 0
		for _, q := range h.Seen() {
			if strings.EqualFold(q.Name, name) && q.Qtype == dns.TypeA {
				upstream++
			}
		}
		again := burst(t, l.g.Addr, o.unheard, 100, 3*time.Second)
		if good := upstream > 0 && upstream <= most; !good && try < 2 {
			continue
		}
		tell(t, "A8", fmt.Sprintf("5,000 equal cold questions over %d workers", workers), "<= 4 upstream", "%d upstream; %d answered at once, %d of %d when asked again", upstream, o.answered, again.answered, len(o.unheard))
		if o.answered < 100 || again.answered < len(o.unheard) {
			t.Errorf("%d answered at once, %d of the %d others when they asked again", o.answered, again.answered, len(o.unheard))
		}
		break
	}
	if upstream == 0 || upstream > most {
		t.Errorf("%d questions upstream, want at most %d", upstream, most)
	}
}

// TestA12LargeUDP serves answers of 1,233 to 4,096 octets in one datagram, as it
// would arrive in fragments that anybody can forge.
func TestA12LargeUDP(t *testing.T) {
	zs := honest()
	var sizes []int
	for size := 1100; size <= 4096; size += 107 {
		sizes = append(sizes, size)
		owner := fmt.Sprintf("l%d.example.com.", size)
		for left := size - 60; left > 0; left -= 213 {
			zs["example.com."] += fmt.Sprintf("%s TXT \"%s\"\n", owner, strings.Repeat(string(rune('a'+left%26)), min(200, max(1, left-13))))
		}
	}
	l := newLab(t, zs, 1)
	var mu sync.Mutex
	offered := map[uint16]int{}
	large, tcp := 0, 0
	h := l.net.Host("127.66.0.4")
	h.Play(func(x *authority.Exchange) {
		mu.Lock()
		defer mu.Unlock()
		if opt := x.Query.IsEdns0(); opt != nil {
			offered[opt.UDPSize()]++
		}
		if x.Query.Question[0].Qtype != dns.TypeTXT {
			return
		}
		if x.TCP {
			tcp++
		} else if authority.Whole()(x); len(x.Raw) > 1232 {
			large++
		}
	})
	whole := 0
	for _, size := range sizes {
		r, err := dnsTCP(l.g.Addr, fmt.Sprintf("l%d.example.com.", size), dns.TypeTXT)
		if err == nil && r.Rcode == dns.RcodeSuccess && len(r.Answer) > 0 {
			whole++
		}
	}
	mu.Lock()
	defer mu.Unlock()
	tell(t, "A12", "UDP answers of 1,233 to 4,096 octets", "all asked again over TCP; 1232 offered", "%d sent too large, %d asked over TCP, %d of %d answered; offered sizes %v", large, tcp, whole, len(sizes), offered)
	if large < 20 || tcp != large || whole != len(sizes) || len(offered) != 1 || offered[1232] == 0 {
		t.Errorf("%d large, %d over TCP, %d of %d answered, offered %v", large, tcp, whole, len(sizes), offered)
	}
}

// TestA12SecondFragment plays somebody who replaces the second fragment of a large
// answer: what the first one holds, up to the offered 1232 octets, is a perfect
// message.
func TestA12SecondFragment(t *testing.T) {
	l := newLab(t, honest(), 1)
	udp, tcp, accepted := 0, 0, 0
	var mu sync.Mutex
	l.net.Host("127.66.0.4").Play(func(x *authority.Exchange) {
		mu.Lock()
		defer mu.Unlock()
		if x.Query.Question[0].Qtype != dns.TypeA {
			return
		}
		if x.TCP {
			tcp++
			return
		}
		udp++
		x.Raw = append(padded(x.Query, 1232), make([]byte, 700)...)
	})
	const questions = 20
	for i := range questions {
		if b := l.ask(fmt.Sprintf("f%d.wild.example.com.", i), dns.TypeA); address(b.r) != "192.0.2.81" {
			accepted++
		}
	}
	mu.Lock()
	defer mu.Unlock()
	tell(t, "A12", "answers of 1,932 octets whose first 1,232 are forged and whole", "0 accepted, all asked over TCP", "%d sent, %d accepted, %d asked over TCP", udp, accepted, tcp)
	if accepted > 0 || tcp < questions {
		t.Errorf("%d of %d accepted, %d asked over TCP", accepted, questions, tcp)
	}
}

// padded is a forgery of so many octets.
func padded(q *dns.Msg, size int) []byte {
	for fill := size; ; fill-- {
		wire := forged(q, func(r *dns.Msg) {
			pad := &dns.NULL{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeNULL, Class: dns.ClassINET}, Data: strings.Repeat("x", fill)}
			r.Extra = append(r.Extra, pad)
		})
		if len(wire) == size {
			return wire
		}
	}
}

// TestA12PathMTU looks at the IP headers of questions: "don't fragment" is never
// set, so that no forged path MTU is of any consequence (RFC 9715).
func TestA12PathMTU(t *testing.T) {
	if !proctest.InNamespace(t) { // to read IP headers
		tell(t, "A12", "questions with \"don't fragment\"", "0", "0 of at least 20")
		return
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_UDP)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 66, 0, 4}}); err != nil {
		t.Fatal(err)
	}
	l := newLab(t, honest(), 1)
	for i := range 20 {
		l.ask(fmt.Sprintf("d%d.wild.example.com.", i), dns.TypeA)
	}
	seen := 0
	for buf := make([]byte, 4096); ; seen++ {
		n, _, err := syscall.Recvfrom(fd, buf, syscall.MSG_DONTWAIT)
		if err != nil {
			break
		}
		if n > 20 && buf[6]&0x40 != 0 {
			t.Errorf("a datagram of %d octets must not be fragmented", n)
		}
	}
	if seen < 20 {
		t.Errorf("saw %d datagrams", seen)
	}
}

func dnsTCP(to netip.AddrPort, name string, qtype uint16) (*dns.Msg, error) {
	c := &dns.Client{Net: "tcp", Timeout: 12 * time.Second}
	q := newQuery(name)
	q.Question[0].Qtype = qtype
	r, _, err := c.Exchange(q, to.String())
	return r, err
}
