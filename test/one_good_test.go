package test

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// A death is what the bad name servers of a zone do.
type death struct {
	// udp makes the datagrams that answer a question; nil: nobody listens.
	udp func(q *dns.Msg) [][]byte
	// tcp serves a connection; nil: connections are refused.
	tcp func(c net.Conn, q func() *dns.Msg)
	// full: connections are neither accepted nor refused.
	full bool
	// away: no route leads to the addresses, or (unreachable) one that says so.
	away, unreachable bool
}

// packed is r as it is sent.
func packed(r *dns.Msg) [][]byte {
	b, err := r.Pack()
	if err != nil {
		panic(err)
	}
	return [][]byte{b}
}

// says answers with an RCODE, and may change the message.
func says(rcode int, change func(*dns.Msg)) func(*dns.Msg) [][]byte {
	return func(q *dns.Msg) [][]byte {
		r := new(dns.Msg).SetRcode(q, rcode)
		if change != nil {
			change(r)
		}
		return packed(r)
	}
}

// forged is a positive answer, changed.
func forged(change func(*dns.Msg)) func(*dns.Msg) [][]byte {
	return says(dns.RcodeSuccess, func(r *dns.Msg) {
		r.Authoritative = true
		r.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(203, 0, 113, 66)}}
		change(r)
	})
}

func mute(_ net.Conn, q func() *dns.Msg) {
	for q() != nil {
	}
}

// hangUp closes the connection with a reset, before or behind the question.
func hangUp(c net.Conn, q func() *dns.Msg) {
	q()
	_ = c.(*net.TCPConn).SetLinger(0)
}

// over answers over TCP as udp does, with half of the message if it is to be cut.
func over(udp func(*dns.Msg) [][]byte, part int) func(net.Conn, func() *dns.Msg) {
	return func(c net.Conn, next func() *dns.Msg) {
		for q := next(); q != nil; q = next() {
			for _, m := range udp(q) {
				framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)
				_, _ = c.Write(framed[:len(framed)/part])
			}
		}
	}
}

// deaths are the kinds of bad servers by name.
func deaths() map[string]death {
	silence := func(*dns.Msg) [][]byte { return nil }
	lame := says(dns.RcodeSuccess, func(r *dns.Msg) {
		r.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 3600}, Ns: "a.root.test."}}
	})
	all := map[string]death{
		"silent, and TCP is full":  {udp: silence, full: true},
		"silent, and TCP refuses":  {udp: silence},
		"silent, and TCP as well":  {udp: silence, tcp: mute},
		"nobody listens":           {},
		"no route":                 {away: true},
		"unreachable":              {away: true, unreachable: true},
		"lame, upwards":            {udp: lame},
		"REFUSED, authoritatively": {udp: says(dns.RcodeRefused, func(r *dns.Msg) { r.SetEdns0(1232, true) })},
	}
	for _, rcode := range []int{dns.RcodeRefused, dns.RcodeServerFailure, dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeNotAuth, dns.RcodeNXRrset} {
		all[dns.RcodeToString[rcode]] = death{udp: says(rcode, nil)}
		all[dns.RcodeToString[rcode]+" with EDNS"] = death{udp: says(rcode, func(r *dns.Msg) { r.SetEdns0(1232, true) })}
	}
	for _, more := range []map[string]death{truncations(), nonsense()} {
		maps.Copy(all, more)
	}
	return all
}

// truncations say that TCP has the answer, which it has not.
func truncations() map[string]death {
	return withTCP(map[string]func(*dns.Msg) [][]byte{
		"truncated": says(dns.RcodeSuccess, func(r *dns.Msg) { r.Truncated = true }),
	})
}

// nonsense is what is no answer, with all that TCP may do.
func nonsense() map[string]death {
	return withTCP(map[string]func(*dns.Msg) [][]byte{
		"garbage":                     func(*dns.Msg) [][]byte { return [][]byte{make([]byte, 100)} },
		"wrong ID":                    forged(func(r *dns.Msg) { r.Id ^= 0x5555 }),
		"another question":            forged(func(r *dns.Msg) { r.Question[0].Name = "other.test." }),
		"no question":                 forged(func(r *dns.Msg) { r.Question = nil }),
		"an error without a question": says(dns.RcodeServerFailure, func(r *dns.Msg) { r.Question = nil }),
		"half a message":              func(q *dns.Msg) [][]byte { m := forged(func(*dns.Msg) {})(q); return [][]byte{m[0][:len(m[0])-7]} },
	})
}

// withTCP are these ways to answer over UDP, each with all that TCP may do.
func withTCP(ways map[string]func(*dns.Msg) [][]byte) map[string]death {
	all := map[string]death{}
	for what, udp := range ways {
		all[what+", and TCP is full"] = death{udp: udp, full: true}
		all[what+", and TCP refuses"] = death{udp: udp}
		all[what+", and TCP is silent"] = death{udp: udp, tcp: mute}
		all[what+", and TCP hangs up"] = death{udp: udp, tcp: hangUp}
		all[what+", by TCP too"] = death{udp: udp, tcp: over(udp, 1)}
		all[what+", and half by TCP"] = death{udp: udp, tcp: over(udp, 2)}
	}
	return all
}

// A badZone has name servers of which the one that is asked last is good, if any is.
type badZone struct {
	name  string
	kind  string
	death death
	addrs [][]netip.Addr // of each name server

	mu    sync.Mutex
	asked map[int]bool
	good  int // unknown or none, or its index
}

const (
	unknown = -1
	none    = -2
)

// isGood tells whether server i is the good one, when it is asked.
func (z *badZone) isGood(i int) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.asked[i] = true; z.good == unknown && len(z.asked) == len(z.addrs) {
		z.good = i
	}
	return z.good == i
}

// again makes the zone look for its good server once more.
func (z *badZone) again() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked, z.good = map[int]bool{}, unknown
	if z.death.udp == nil { // nobody sees who is asked
		z.good = 0
	}
}

// zone is what the good server has.
func (z *badZone) zone() *authority.Zone {
	text := "$TTL 3600\n" + z.name + " SOA ns0 host. 1 2 3 4 300\n*." + z.name + " A 192.0.2.10\n"
	return authority.MustParse(z.name, text+z.delegation())
}

func (z *badZone) delegation() (text string) {
	for i, addrs := range z.addrs {
		text += fmt.Sprintf("%s NS ns%d.%s\n", z.name, i, z.name)
		for _, a := range addrs {
			t := "AAAA"
			if a.Is4() {
				t = "A"
			}
			text += fmt.Sprintf("ns%d.%s %s %s\n", i, z.name, t, a)
		}
	}
	return text
}

// serve starts the zone's servers on port.
func (z *badZone) serve(t *testing.T, port uint16) {
	own := []*authority.Zone{z.zone()}
	for i, addrs := range z.addrs {
		good := func(q *dns.Msg) [][]byte { return packed(authority.Answer(own, q)) }
		for _, a := range addrs {
			at := netip.AddrPortFrom(a, port)
			switch {
			case z.death.away && i > 0:
				continue
			case z.death.udp != nil || i == 0:
				z.serveUDP(t, i, at, good)
			}
			switch {
			case z.death.full:
				fullTCP(t, at)
			case z.death.tcp != nil:
				z.serveTCP(t, i, at, good)
			}
		}
	}
}

func (z *badZone) serveUDP(t *testing.T, i int, at netip.AddrPort, good func(*dns.Msg) [][]byte) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		for buf := make([]byte, 4096); ; {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			q := new(dns.Msg)
			if q.Unpack(buf[:n]) != nil {
				continue
			}
			answer := z.death.udp
			if z.isGood(i) {
				answer = good
			}
			for _, m := range answer(q) {
				_, _ = c.WriteToUDPAddrPort(m, from)
			}
		}
	}()
}

func (z *badZone) serveTCP(t *testing.T, i int, at netip.AddrPort, good func(*dns.Msg) [][]byte) {
	l, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				next := func() *dns.Msg {
					head := make([]byte, 2)
					if _, err := io.ReadFull(c, head); err != nil {
						return nil
					}
					pkt, q := make([]byte, binary.BigEndian.Uint16(head)), new(dns.Msg)
					if _, err := io.ReadFull(c, pkt); err != nil || q.Unpack(pkt) != nil {
						return nil
					}
					return q
				}
				if z.isGood(i) {
					over(good, 1)(c, next)
					return
				}
				z.death.tcp(c, next)
			}()
		}
	}()
}

// fullTCP listens at an address and accepts nobody: the kernel is silent to all who come
// after the first.
func fullTCP(t *testing.T, at netip.AddrPort) {
	t.Helper()
	family, sa := syscall.AF_INET6, syscall.Sockaddr(&syscall.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()})
	if at.Addr().Is4() {
		family, sa = syscall.AF_INET, &syscall.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, sa); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", at.String()) // the one that the queue has room for
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
}

// both stands for both families.
const both = 10

// badZones are zones of these kinds of deaths, with so many servers each, in each of the
// families.
func badZones(kinds map[string]death, servers int, families ...int) (zs []*badZone) {
	for k, kind := range slices.Sorted(maps.Keys(kinds)) {
		for _, family := range families {
			z := &badZone{name: fmt.Sprintf("k%d-%d.house.", k, family), kind: kind, death: kinds[kind]}
			for i := range servers {
				net6 := [16]byte{0xfd, 0x53, byte(k), byte(family), 15: byte(i + 1)}
				net4 := netip.AddrFrom4([4]byte{10, byte(family), byte(k), byte(i + 1)})
				if z.death.away && i > 0 {
					net6[0], net4 = 0xfc, netip.AddrFrom4([4]byte{172, 16, byte(k), byte(i + 1)})
				}
				z.addrs = append(z.addrs, nil)
				if family != 6 {
					z.addrs[i] = append(z.addrs[i], net4)
				}
				if family != 4 {
					z.addrs[i] = append(z.addrs[i], netip.AddrFrom16(net6))
				}
			}
			z.again()
			zs = append(zs, z)
		}
	}
	return zs
}

// delegated is a resolver in front of a root that delegates zs, whose servers are there.
func delegated(t *testing.T, zs []*badZone) *proctest.Group {
	proctest.Run(t, "ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo")
	const own = ". NS a.root.\na.root. A 127.66.0.1\n"
	text, addrs := "$TTL 3600\n. SOA ns. host. 1 2 3 4 300\n", ""
	n, err := authority.New(authority.MustParse(".", text+own))
	if err == nil {
		err = n.Start(53)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	for _, z := range zs {
		text += z.delegation()
		for _, of := range z.addrs {
			for _, a := range of {
				if a.Is6() {
					addrs += fmt.Sprintf("addr add %s/128 dev lo nodad\n", a)
				}
			}
		}
	}
	batch := filepath.Join(t.TempDir(), "addrs")
	if err := os.WriteFile(batch, []byte(addrs), 0o600); err != nil {
		t.Fatal(err)
	}
	proctest.Run(t, "ip", "-batch", batch)
	for _, z := range zs {
		z.serve(t, 53)
	}
	whole := []*authority.Zone{authority.MustParse(".", text+own)}
	n.Host("127.66.0.1").Play(func(x *authority.Exchange) { x.Reply = authority.Answer(whole, x.Query) })
	return proctest.Start(t, proctest.On(t, n, 1))
}

// A zone whose only server talks nonsense, whatever its TCP does, costs a client at most
// four seconds until SERVFAIL, and a client that asks for another name thereafter as well.
func TestNonsenseOfTheOnlyServerEndsSoon(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	zs := badZones(nonsense(), 1, 4)
	for _, z := range zs {
		z.good = none
	}
	g := delegated(t, zs)
	var all sync.WaitGroup
	for _, z := range zs {
		all.Go(func() {
			for _, name := range []string{"www.", "other.", "a.b.c."} {
				start := time.Now()
				r, _, err := (&dns.Client{Timeout: 15 * time.Second}).Exchange(proctest.Query(name+z.name, dns.TypeA, 1232), g.Addr.String())
				if took := time.Since(start); err != nil || r.Rcode != dns.RcodeServerFailure || took > 4500*time.Millisecond { // a busy machine's time is its own
					t.Errorf("the only server: %s. %s%s: %v %v after %v", z.kind, name, z.name, r, err, took)
				}
			}
		})
	}
	all.Wait()
}

// A client is answered within two seconds when one of a zone's 13 name servers is good
// and is asked last, whatever the others do, in each family and in both at once; so are
// those who ask for other names afterwards.
func TestOneGoodServerOfThirteen(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	zs := badZones(deaths(), 13, 4, 6, both)
	g := delegated(t, zs)
	// Who is slow because the machine is busy may try again, alone.
	var again []*badZone
	var mu sync.Mutex
	var all sync.WaitGroup
	turn := make(chan struct{}, 8)
	for _, z := range zs {
		if z.death.away { // that concerns the family as a whole
			again = append(again, z)
			continue
		}
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			if slow := z.slow(t, g); slow != "" {
				mu.Lock()
				defer mu.Unlock()
				again = append(again, z)
			}
		})
	}
	all.Wait()
	for _, z := range again {
		z.route(t)
		slow := ""
		for range 3 {
			g.Eval(t, "cache.clear()")
			z.again()
			if slow = z.slow(t, g); slow == "" {
				break
			}
		}
		if slow != "" {
			t.Errorf("12 of 13 servers are: %s. %s", z.kind, slow)
		}
	}
}

// slow asks for three names of z, one after the other, and is what was wrong.
func (z *badZone) slow(t *testing.T, g *proctest.Group) (wrong string) {
	first := []string{"www.", "a.b.c."}[len(z.kind)%2]
	for _, name := range []string{first, "other.", "x.y.z."} {
		start := time.Now()
		r, _, err := (&dns.Client{Timeout: 15 * time.Second}).Exchange(proctest.Query(name+z.name, dns.TypeA, 1232), g.Addr.String())
		took := time.Since(start)
		switch {
		case err != nil:
			return fmt.Sprintf("%s%s: %v", name, z.name, err)
		case r.Rcode != dns.RcodeSuccess || len(r.Answer) != 1 || took >= 2*time.Second:
			return fmt.Sprintf("%s%s: %s with %d records after %v", name, z.name, dns.RcodeToString[r.Rcode], len(r.Answer), took)
		}
	}
	return ""
}

// route makes the way to the zone's servers what it should be.
func (z *badZone) route(t *testing.T) {
	for _, prefix := range []string{"172.16.0.0/12", "fc00::/16"} {
		if z.death.away && z.death.unreachable {
			proctest.Run(t, "ip", "route", "replace", "unreachable", prefix)
		}
	}
}
