package attack

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"kresd/internal/dnsname"
	"kresd/internal/proctest"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// A bomb is a message that costs more than its size.
type bomb struct {
	what string
	pkt  []byte
}

// header is a response with one question, www.example., and these counts.
func header(an, ns, ar int) []byte {
	b := []byte{0, 1, 0x84, 0, 0, 1, byte(an >> 8), byte(an), byte(ns >> 8), byte(ns), byte(ar >> 8), byte(ar)}
	return append(b, "\x03www\x07example\x00\x00\x01\x00\x01"...)
}

// record is a record of class IN; owner in wire form, which may be a pointer.
func record(owner string, qtype uint16, rdata string) []byte {
	b := append([]byte(owner), byte(qtype>>8), byte(qtype), 0, 1, 0, 0, 0, 60)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rdata)))
	return append(b, rdata...)
}

// filled is as many records as fit; make gets the number of the record and the
// offset at which it will stand.
func filled(max int, make func(i, at int) []byte) []byte {
	b := header(0, 0, 0)
	n := 0
	for n < max {
		r := make(n, len(b))
		if len(b)+len(r) > 0xffff {
			break
		}
		b = append(b, r...)
		n++
	}
	binary.BigEndian.PutUint16(b[6:], uint16(n))
	return b
}

func pointer(to int) string { return string([]byte{0xc0 | byte(to>>8), byte(to)}) }

// deep is a name of 126 labels.
func deep() string { return strings.Repeat("\x01a", 126) + "\x00" }

// bombs are thirty messages.
func bombs() (all []bomb) {
	add := func(what string, pkt []byte) { all = append(all, bomb{what, pkt}) }
	const question = 12
	for _, n := range []int{1000, 65535} { // as many as are read at all, and as fit
		add(fmt.Sprintf("at most %d A records of one owner", n), filled(n, func(i, _ int) []byte {
			return record(pointer(question), 1, string([]byte{1, 2, byte(i >> 8), byte(i)}))
		}))
		add(fmt.Sprintf("at most %d owners", n), filled(n, func(i, _ int) []byte {
			return record(fmt.Sprintf("\x04%04x%s", i, pointer(question)), 1, "abcd")
		}))
		add(fmt.Sprintf("at most %d empty TXT", n), filled(n, func(int, int) []byte { return record(pointer(question), 16, "\x00") }))
		add(fmt.Sprintf("at most %d opaque records without RDATA", n), filled(n, func(i, _ int) []byte { return record("\x00", uint16(300+i%1000), "") }))
		add(fmt.Sprintf("at most %d names of 126 labels by pointers", n), filled(n, func(i, _ int) []byte {
			if i == 0 {
				return record(deep(), 1, "abcd")
			}
			return record(pointer(29), 2, pointer(29))
		}))
		add(fmt.Sprintf("at most %d names one label longer each", n), chain(n))
		add(fmt.Sprintf("at most %d SOA of two deep names", n), filled(n, func(i, _ int) []byte {
			if i == 0 {
				return record(deep(), 1, "abcd")
			}
			return record(pointer(29), 6, pointer(29)+pointer(31)+strings.Repeat("x", 20))
		}))
		add(fmt.Sprintf("at most %d RRSIG of one owner", n), filled(n, func(i, _ int) []byte {
			return record(pointer(question), 46, "\x00\x01"+strings.Repeat("x", 16)+"\x00"+fmt.Sprint(i))
		}))
		add(fmt.Sprintf("at most %d equal records", n), filled(n, func(int, int) []byte { return record(pointer(question), 1, "abcd") }))
		add(fmt.Sprintf("at most %d types of one owner", n), filled(n, func(i, _ int) []byte { return record(pointer(question), uint16(1000+i), "x") }))
	}
	add("one record of 65,000 octets", filled(1, func(int, int) []byte { return record(pointer(question), 1234, strings.Repeat("x", 65000)) }))
	add("256 TXT of 240 octets", filled(256, func(i, _ int) []byte {
		return record(pointer(question), 16, "\xef"+fmt.Sprintf("%04d", i)+strings.Repeat("x", 235))
	}))
	add("counts of 65,535 and nothing", header(65535, 65535, 65535))
	add("a pointer to itself", append(header(1, 0, 0), record(pointer(29), 1, "abcd")...))
	add("two pointers to each other", append(header(2, 0, 0), append(record(pointer(45), 1, "abcd"), record(pointer(29), 1, "abcd")...)...))
	add("pointers forward", filled(4000, func(_, at int) []byte { return record(pointer((at+20)&0x3fff), 1, "abcd") }))
	add("an OPT of 60,000 octets of options", append(header(0, 0, 1), record("\x00", 41, strings.Repeat("\x00\x03\x00\x00", 15000))...))
	add("two OPT", append(header(0, 0, 2), append(record("\x00", 41, ""), record("\x00", 41, "")...)...))
	add("300 octets behind the message", append(header(0, 0, 0), strings.Repeat("x", 300)...))
	add("NSEC3 with 60,000 octets of bitmap", filled(1, func(int, int) []byte {
		return record(pointer(question), 50, "\x01\x00\xff\xff\x00\x00"+strings.Repeat("x", 60000))
	}))
	return all
}

// chain is records whose owners are each a label in front of the one before: the
// pointers must be followed through all of them.
func chain(n int) []byte {
	last := 12
	return filled(n, func(_, at int) []byte {
		owner := "\x01a" + pointer(last)
		if at < 0x3fff {
			last = at
		}
		return record(owner, 1, "abcd")
	})
}

// cost is the processor time that fn takes, the best of several tries, and the
// octets that it allocates. What else the machine does is not counted; what it
// does to caches and to the collector of garbage is, so tries go on, some, until
// one is within enough.
func cost(enough time.Duration, fn func()) (took time.Duration, octets uint64) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	took = time.Hour
	var before, after runtime.MemStats
	for try := 0; try < 5 || try < 50 && took > enough; try++ {
		runtime.ReadMemStats(&before)
		start := threadTime()
		fn()
		took = min(took, threadTime()-start)
		runtime.ReadMemStats(&after)
		octets = after.TotalAlloc - before.TotalAlloc
	}
	return took, octets
}

// threadTime is the processor time that this thread has used.
func threadTime() time.Duration {
	var now unix.Timespec // getrusage's is as old as the last tick
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		panic(err)
	}
	return time.Duration(now.Nano())
}

// onThisMachine is a bound of processor time, longer where the processor is slower than the
// one for which the bounds are written. That one unpacks the dearest of the bombs with the
// DNS library in 5 ms.
func onThisMachine(t *testing.T, bound time.Duration) time.Duration {
	t.Helper()
	const known = 5 * time.Millisecond
	all := bombs()
	dear := slices.IndexFunc(all, func(b bomb) bool { return b.what == "at most 65535 names of 126 labels by pointers" })
	took, _ := cost(known, func() {
		if err := new(dns.Msg).Unpack(all[dear].pkt); err != nil {
			t.Fatal(err)
		}
	})
	return max(bound, bound*took/known)
}

// TestB3MessageBombs takes thirty messages apart and into sets, as an answer from
// upstream is, and looks at them as at a client's query. The most memory is that of
// 5,950 sets, a fifth of a KiB each: a message may hold them (RFC 2181, section 5).
func TestB3MessageBombs(t *testing.T) {
	all := bombs()
	if len(all) != 30 {
		t.Fatalf("%d bombs, want 30", len(all))
	}
	most := onThisMachine(t, 3*time.Millisecond)
	var slowest time.Duration
	var largest uint64
	slow, large, refused := "", "", 0
	for _, b := range all {
		taken := false
		took, octets := cost(most, func() {
			var q wire.Question
			q.Parse(b.pkt)
			m, err := wire.Parse(b.pkt)
			if taken = err == nil; !taken {
				return
			}
			for _, section := range [][]wire.RR{m.Answer, m.Authority, m.Additional} {
				wire.Group(section)
			}
		})
		if !taken {
			refused++
		}
		if took > slowest {
			slowest, slow = took, b.what
		}
		if octets > largest {
			largest, large = octets, b.what
		}
	}
	tell(t, "B3", "30 message bombs through the decoder", fmt.Sprintf("<= %.1f ms, <= 1.25 MB", float64(most)/1e6), "at most %.2f ms (%s), %.2f MB (%s); %d refused", float64(slowest)/1e6, slow, float64(largest)/1e6, large, refused)
	if slowest > most || largest > 1_250_000 {
		t.Errorf("%v for %s, %d octets for %s", slowest, slow, largest, large)
	}
}

// deepAnswer is an answer of 500 sets whose 750 records hold deep names.
func deepAnswer(name func(i int) dnsname.Name) *resolve.Result {
	res := &resolve.Result{EDE: 3, EDEText: strings.Repeat("x", 255)}
	for i := range 500 {
		set := wire.RRset{Owner: name(i), Type: wire.TypeMX, Class: wire.ClassIN, TTL: 60}
		for j := range 1 + i%2 {
			set.Data = append(set.Data, append([]byte{0, byte(j)}, name(i+j+1)...))
		}
		res.Answer = append(res.Answer, resolve.Set{RRset: set})
	}
	return res
}

// deepNames are kinds of names that make compression search: what it compares
// is equal for long, or there is much of it and nothing is equal.
var deepNames = []struct {
	what string
	name func(i int) dnsname.Name
}{
	{"names of up to 120 labels with a common end", func(i int) dnsname.Name {
		return dnsname.Name(fmt.Sprintf("\x05%05d", i) + strings.Repeat("\x01a", 60+i%60) + "\x04evil\x00")
	}},
	{"names of up to 117 labels without a common end", func(i int) dnsname.Name {
		return dnsname.Name(strings.Repeat("\x01a", 60+i%57) + fmt.Sprintf("\x05%05d\x00", i))
	}},
	{"names of 10 labels, which all fit", func(i int) dnsname.Name {
		return dnsname.Name(fmt.Sprintf("\x05%05d", i) + strings.Repeat("\x01a", 8) + "\x04evil\x00")
	}},
	{"names of long labels that differ at their ends", func(i int) dnsname.Name {
		label := fmt.Sprintf("\x3f%s%05d", strings.Repeat("a", 58), i)
		return dnsname.Name(strings.Repeat(label, 3) + "\x00")
	}},
}

// TestB9ReplyBuilding words answers of 500 deep names, for a small client and a
// large one (CVE-2024-8508).
func TestB9ReplyBuilding(t *testing.T) {
	var worst time.Duration
	var octets uint64
	slow, names := "", 0
	for _, kind := range deepNames {
		took, n, shortened := replyCost(t, deepAnswer(kind.name), kind.name(0))
		names = max(names, shortened)
		if octets = max(octets, n); took > worst {
			worst, slow = took, kind.what
		}
	}
	tell(t, "B9", "750 records of deep names, clients of 512 to 65,535 octets", "<= 3 ms a reply", "at most %.2f ms (%s) and %.2f MB a reply; %d names compressed", float64(worst)/1e6, slow, float64(octets)/1e6, names)
	if worst > mostReply || octets > 2<<20 {
		t.Errorf("%v for %s, %d octets", worst, slow, octets)
	}
}

// mostReply is the processor time that one reply may take.
const mostReply = 3 * time.Millisecond

// compressed counts the names of a message of MX records that end in a pointer.
func compressed(msg []byte) (n int) {
	at := 12
	name := func() {
		for msg[at] != 0 {
			if msg[at] >= 0xc0 {
				n++
				at += 2
				return
			}
			at += 1 + int(msg[at])
		}
		at++
	}
	name()
	at += 4
	for range binary.BigEndian.Uint16(msg[6:]) {
		name()
		at += 10 + 2 // the preference too
		name()
	}
	return n
}

// replyCost is the most that res costs any client, and how many names of it are
// compressed.
func replyCost(t *testing.T, res *resolve.Result, qname dnsname.Name) (worst time.Duration, octets uint64, names int) {
	for _, size := range []uint16{512, 1232, 65535} {
		pkt := wire.AppendQuery(nil, 7, 0, []byte(qname), wire.TypeMX, wire.ClassIN, size, true, nil)
		var q wire.Question
		if p := q.Parse(pkt); p != wire.Fine {
			t.Fatalf("problem %d", p)
		}
		for _, kind := range []transport.Kind{transport.UDP, transport.TCP} {
			var msg []byte
			took, n := cost(mostReply, func() { msg = reply.Build(nil, &q, res, reply.Shape{Kind: kind, Bufsize: size}) })
			worst, octets, names = max(worst, took), max(octets, n), max(names, compressed(msg))
			if kind == transport.UDP && len(msg) > int(size) || len(msg) < 12 {
				t.Errorf("%d octets for a client of %d", len(msg), size)
			}
			if err := new(dns.Msg).Unpack(slices.Clone(msg)); err != nil {
				t.Errorf("size %d, by %v: %v", size, kind, err)
			}
		}
	}
	return worst, octets, names
}

// TestB9DeepAnswer is the same through the daemon: a set of many deep names that
// a client with 512 octets asks for again and again.
func TestB9DeepAnswer(t *testing.T) {
	zs := honest()
	text := strings.Builder{}
	for i := range 256 {
		fmt.Fprintf(&text, "deep.evil.com. MX %d m%d.%sevil.com.\n", i, i, strings.Repeat("a.", 100))
	}
	evilZone(zs, "evil.com.", "127.66.1.1", text.String())
	l := newLab(t, zs, 1)
	worst := time.Duration(0)
	for range 50 {
		start := time.Now()
		r, err := exchange(l.g.Addr, proctest.Query("deep.evil.com.", dns.TypeMX, 512), 12*time.Second)
		if err != nil || !r.Truncated || r.Len() > 512 {
			t.Fatalf("%v %v", err, r)
		}
		worst = max(worst, time.Since(start))
	}
	r, err := dnsTCP(l.g.Addr, "deep.evil.com.", dns.TypeMX)
	if err != nil || len(r.Answer) != 256 {
		t.Errorf("over TCP: %v, %d records", err, len(r.Answer))
	}
	tell(t, "B9", "256 MX of 100 labels to a client of 512 octets, 50 times", "truncated, at once", "at most %.1f ms", float64(worst)/1e6)
}
