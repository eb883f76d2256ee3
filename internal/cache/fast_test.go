package cache

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/rank"
	"kresd/internal/reply"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// gen makes up results as resolutions could come to them.
type gen struct {
	*testing.T
	*rand.Rand
}

func (g gen) name() string {
	labels := []string{"www", "a", "mail", "example", strings.Repeat("x", 63), `\000\001`, "net"}
	out := ""
	for range 1 + g.IntN(3) {
		out += labels[g.IntN(len(labels))] + "."
	}
	return out
}

func (g gen) ttl() uint32 { return 10 + g.Uint32N(5000) }

func (g gen) data(qtype uint16) (data []string) {
	for i := range 1 + g.IntN(1+g.IntN(30)) {
		switch qtype {
		case wire.TypeA:
			data = append(data, string([]byte{10, 0, 0, byte(i)}))
		case wire.TypeAAAA:
			data = append(data, string([]byte{15: byte(i)}))
		case wire.TypeMX:
			data = append(data, "\x00"+string(rune(i))+string(name(g, g.name())))
		default:
			s := strings.Repeat("t", g.IntN(200))
			data = append(data, string([]byte{byte(len(s) + 1), byte(i)})+s)
		}
	}
	return data
}

func (g gen) maybeSigned(s resolve.Set) resolve.Set {
	if g.IntN(2) == 0 {
		return s
	}
	return sign(s, s.Owner.Labels())
}

func (g gen) rank() rank.Rank {
	return []rank.Rank{insecure, secure, rank.Secure, rank.Indet | rank.Auth}[g.IntN(4)]
}

// result is a question and what it came to.
func (g gen) result() (resolve.Question, resolve.Result) {
	r := g.rank()
	types := []uint16{wire.TypeA, wire.TypeAAAA, wire.TypeMX, wire.TypeTXT}
	at := g.name()
	q := question(g, at, types[g.IntN(len(types))])
	res := resolve.Result{Rank: r, EDE: ede.None, AA: g.IntN(9) == 0}
	for range g.IntN(4) {
		to := g.name()
		res.Answer = append(res.Answer, g.maybeSigned(rrset(g, r, at, wire.TypeCNAME, g.ttl(), string(name(g, to)))))
		at = to
	}
	switch g.IntN(4) {
	case 0:
		res.Rcode = wire.RcodeNXDomain
		fallthrough
	case 1:
		res.Authority = append(res.Authority, g.maybeSigned(soa(g, r, "example.", g.ttl(), 300)))
		for range g.IntN(3) {
			res.Authority = append(res.Authority, g.maybeSigned(rrset(g, r, g.name(), wire.TypeNSEC, g.ttl(), "\x00\x00\x01\x40")))
		}
	default:
		res.Answer = append(res.Answer, g.maybeSigned(rrset(g, r, at, q.Type, g.ttl(), g.data(q.Type)...)))
	}
	if g.IntN(3) == 0 {
		res.Additional = append(res.Additional, rrset(g, r, g.name(), wire.TypeA, g.ttl(), g.data(wire.TypeA)...))
	}
	if g.IntN(3) == 0 {
		res.EDE, res.EDEText = ede.Code(g.IntN(30)), strings.Repeat("e", g.IntN(60))
	}
	return q, res
}

func (g gen) client() client {
	return client{
		flags: []uint16{0, wire.FlagRD, wire.FlagRD | wire.FlagAD, wire.FlagRD | wire.FlagCD, wire.FlagAD | wire.FlagCD}[g.IntN(5)],
		size:  []uint16{0, 512, 1232, 4096, 65535}[g.IntN(5)], tcp: g.IntN(3) == 0,
	}
}

// spelling changes the case of letters.
func (g gen) spelling(n dnsname.Name) string {
	b := []byte(n)
	for i := range b {
		if b[i] >= 'a' && b[i] <= 'z' && g.IntN(2) == 0 {
			b[i] ^= 0x20
		}
	}
	return string(b)
}

func aged(res resolve.Result, age uint32) *resolve.Result {
	for _, sets := range []*[]resolve.Set{&res.Answer, &res.Authority, &res.Additional} {
		*sets = slices.Clone(*sets)
		for i := range *sets {
			(*sets)[i].TTL -= age
		}
	}
	return &res
}

// Both ways give one answer: what the driver's way would say for a Result now is
// what the cached answer's way says later, octet for octet, but for the time
// that has passed.
func TestBothWaysSayTheSame(t *testing.T) {
	for seed := range uint64(4000) {
		g := gen{t, rand.New(rand.NewPCG(seed, 1))}
		w := newWorld(t)
		q, res := g.result()
		c := g.client()
		c.do = c.size > 0 && g.IntN(2) == 0
		w.answered(q, res, func(r *resolve.Request) { r.DO, r.CD = c.do, c.flags&wire.FlagCD != 0 })
		asked := c.parse(t, g.spelling(q.Name), q.Type)
		age := g.Uint32N(10)
		w.pass(int(age))
		want := reply.Build(nil, asked, aged(res, age), reply.Shape{Kind: c.kind(), Bufsize: 4096})
		got, ok := w.fast(asked, c.kind())
		if !ok {
			t.Fatalf("seed %d: not in the cache", seed)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("seed %d:\n%x\nfrom the cache, and by the driver\n%x", seed, got, want)
		}
		if _, err := wire.Parse(got); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// A cold cache and a warm one give the same Result.
func TestColdAndWarm(t *testing.T) {
	for seed := range uint64(2000) {
		g := gen{t, rand.New(rand.NewPCG(seed, 2))}
		w := newWorld(t)
		q := question(t, g.name(), wire.TypeA)
		r := g.rank()
		var o resolve.Outcome
		switch g.IntN(4) {
		case 0:
			o = denial(resolve.NXDomain, g.maybeSigned(soa(t, r, ".", g.ttl(), g.ttl())))
		case 1:
			o = denial(resolve.NoData, g.maybeSigned(soa(t, r, ".", g.ttl(), g.ttl())), g.maybeSigned(rrset(t, r, "b.", wire.TypeNSEC, g.ttl(), "\x00\x00\x01\x40")))
		case 2:
			to := name(t, g.name())
			s := rrset(t, r, "x.", wire.TypeCNAME, g.ttl(), string(to))
			s.Owner = q.Name
			o = resolve.Outcome{Kind: resolve.Alias, Answer: []resolve.Set{g.maybeSigned(s)}, Target: to}
		default:
			s := rrset(t, r, "x.", wire.TypeA, g.ttl(), g.data(wire.TypeA)...)
			s.Owner = q.Name
			o = positive(g.maybeSigned(s))
		}
		cold := w.learn(q, o).Outcome
		warm := w.peek(q)
		if warm.Kind != cold.Kind || warm.Rcode != cold.Rcode || warm.Target != cold.Target {
			t.Fatalf("seed %d: %+v, cold %+v", seed, warm, cold)
		}
		asked := client{size: 4096, do: true, tcp: true}.parse(t, string(q.Name), q.Type)
		build := func(o resolve.Outcome) []byte {
			res := resolve.Result{Rcode: o.Rcode, Answer: o.Answer, Authority: o.Authority, Rank: r, EDE: ede.None}
			return reply.Build(nil, asked, &res, reply.Shape{Kind: transport.TCP, Bufsize: 4096})
		}
		if a, b := build(warm), build(cold); !bytes.Equal(a, b) {
			t.Fatalf("seed %d:\n%x warm\n%x cold", seed, a, b)
		}
	}
}

func TestReorder(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	mx := question(t, "www.example.", wire.TypeMX)
	w.answered(q, resultOf(insecure, rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x01\x01\x01", "\x02\x02\x02\x02", "\x03\x03\x03\x03")))
	w.answered(mx, resultOf(insecure, rrset(t, insecure, "www.example.", wire.TypeMX, 60, "\x00\x01\x01a\x00", "\x00\x02\x01b\x00")))
	f := w.NewFast()
	defer f.Close()
	firsts := func() string {
		out := ""
		f.Begin(w.now())
		defer f.End()
		for range 4 {
			msg, ok := f.Answer(0, client{}.parse(t, string(q.Name), q.Type), make([]byte, 512), reply.Shape{Bufsize: 1232})
			if !ok {
				t.Fatal("no answer")
			}
			m, err := wire.Parse(msg)
			if err != nil {
				t.Fatal(err)
			}
			out += string('0' + m.Answer[0].RData[0])
		}
		return out
	}
	if got := firsts(); got != "1111" {
		t.Errorf("in order: %s", got)
	}
	w.SetReorder(true)
	if got := firsts(); got != "2312" {
		t.Errorf("rotated: %s", got)
	}
	if _, ok := w.ask(mx, client{}); ok {
		t.Error("a set that cannot be rotated in place was answered")
	}
	if a, b := w.Rotation(), w.Rotation(); a == b {
		t.Error("the driver's way stands still")
	}
	w.SetReorder(false)
	if _, ok := w.ask(mx, client{}); !ok || w.Rotation() != 0 {
		t.Error("switching off")
	}
}

func TestAnswersKnowTheirPartition(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	res := resultOf(insecure, rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04"))
	for _, own := range []resolve.Partition{0, 1, 1 << 40} {
		w.Swap(newMemStore())
		w.in = own
		w.answered(q, res)
		for _, in := range []resolve.Partition{0, 1, 2, 1 << 32, 1 << 40, 1<<40 | 1} {
			w.in = in
			if _, ok := w.ask(q, client{}); ok != (in == own) {
				t.Errorf("kept in %x, asked in %x: answered %v", own, in, ok)
			}
		}
	}
	// Two groups do not take each other's answers away.
	w.in = 2
	w.answered(q, res)
	w.in = 1 << 40
	if _, ok := w.ask(q, client{}); !ok {
		t.Error("overwritten in another partition")
	}
}

func TestClearEndsAnswersElsewhere(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	res := resultOf(insecure,
		rrset(t, insecure, "www.example.", wire.TypeCNAME, 60, "\x03cdn\x03net\x00"),
		rrset(t, insecure, "cdn.net.", wire.TypeA, 60, "\x01\x02\x03\x04"))
	w.answered(q, res)
	if _, ok := w.ask(q, client{}); !ok {
		t.Fatal("no answer")
	}
	if _, err := w.Remove(name(t, "net."), false, 100); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.ask(q, client{}); ok {
		t.Error("an answer with a cleared name in it")
	}
	req := w.request(q)
	w.looked(req)
	if _, err := w.Remove(name(t, "net."), false, 100); err != nil {
		t.Fatal(err)
	}
	req.Result = res
	w.layer.Finalize(req)
	if _, ok := w.ask(q, client{}); ok {
		t.Error("an answer from before the clear was kept after it")
	}
	w.answered(q, res)
	if _, ok := w.ask(q, client{}); !ok {
		t.Error("no new answer after the clear")
	}
}

func TestAnswersAreNotWrittenTwice(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	res := resultOf(insecure, rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04"))
	w.answered(q, res)
	w.pass(5)
	w.answered(q, *aged(res, 5))
	if n := w.Stats().Answers; w.mem.writes != 1 || n != 1 {
		t.Errorf("%d writes, %d queued", w.mem.writes, n)
	}
	w.answered(q, res) // a fresh one lives longer
	if w.mem.writes != 2 {
		t.Errorf("%d writes", w.mem.writes)
	}
}

func TestLongNamesAreKeptWhereTheirKeysFit(t *testing.T) {
	w := newWorld(t)
	n := dnsname.Root
	for n.Len() < dnsname.MaxLen {
		next, err := n.Prepend(string(make([]byte, min(63, 254-n.Len()))))
		if err != nil {
			t.Fatal(err)
		}
		n = next
	}
	q := resolve.Question{Name: n, Type: wire.TypeA, Class: wire.ClassIN}
	a := rrset(t, insecure, "x.", wire.TypeA, 60, "\x01\x02\x03\x04")
	a.Owner = n
	for in, want := range map[resolve.Partition]bool{0: true, 1: false} {
		w.in = in
		w.learn(q, positive(a))
		w.answered(q, resultOf(insecure, a))
		if o := w.peek(q); (o.Kind == resolve.Positive) != want {
			t.Errorf("partition %d: found %v, want %v: the key is just short enough without a partition", in, !want, want)
		}
		if _, ok := w.ask(q, client{}); ok != want {
			t.Errorf("partition %d: answered %v, want %v", in, ok, want)
		}
	}
	for _, k := range w.mem.keys() {
		if len(k) > maxKey {
			t.Errorf("key of %d octets", len(k))
		}
	}
}

func TestAnswerStaysInItsBuffer(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	w.answered(q, resultOf(insecure, rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")))
	f := w.NewFast()
	defer f.Close()
	f.Begin(w.now())
	defer f.End()
	asked := client{}.parse(t, string(q.Name), q.Type)
	for size := range 100 {
		out := make([]byte, size)
		msg, ok := f.Answer(0, asked, out[:0], reply.Shape{Bufsize: 1232})
		if ok && &msg[0] != &out[0] {
			t.Errorf("room for %d octets: answer is elsewhere", size)
		}
	}
}

func TestStats(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	w.ask(q, client{})
	a := rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04")
	w.learn(q, positive(a))
	w.answered(q, resultOf(insecure, a))
	w.ask(q, client{})
	got, want := w.Stats(), Stats{AnswerHit: 1, AnswerMiss: 1, Hit: 1, Miss: 1, Stashed: 1, Answers: 1}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSwapLeavesNoReaderBehind(t *testing.T) {
	w := newWorld(t)
	f := w.NewFast()
	defer f.Close()
	f.Begin(w.now())
	f.End()
	if w.mem.open != 1 {
		t.Fatalf("%d readers", w.mem.open)
	}
	if old := w.Swap(nil); old != Store(w.mem) || w.mem.open != 0 {
		t.Errorf("%d readers of the old store", w.mem.open)
	}
}

// A module's record may live longer than the operator allows.
func TestAnswersLiveNoLongerThanMaxTTL(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	w.answered(q, resultOf(insecure, rrset(t, insecure, "www.example.", wire.TypeA, 1<<30, "\x01\x02\x03\x04")))
	w.pass(int(w.MaxTTL()) - 1)
	if _, ok := w.ask(q, client{}); !ok {
		t.Error("gone too early")
	}
	w.pass(1)
	if _, ok := w.ask(q, client{}); ok {
		t.Error("still there")
	}
}

// The store is swapped and closed under running listeners, and nobody reads from
// a reader that was closed (memReader panics).
func TestSwapUnderLoad(t *testing.T) {
	w := newWorld(t)
	q := question(t, "www.example.", wire.TypeA)
	res := resultOf(insecure, rrset(t, insecure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04"))
	w.answered(q, res)
	asked := client{}.parse(t, string(q.Name), q.Type)
	stop := make(chan struct{})
	var ran, wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		ran.Add(1)
		f := w.NewFast()
		go func() {
			defer wg.Done()
			defer f.Close()
			out := make([]byte, 512)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				f.Begin(w.now())
				f.Answer(0, asked, out, reply.Shape{Bufsize: 1232})
				f.End()
				if n == 0 {
					ran.Done()
				}
			}
		}()
	}
	ran.Wait()
	for i := range 200 {
		var next Store
		if i%3 != 0 {
			next = newMemStore()
		}
		w.Swap(next)
		w.answered(q, res)
		w.peek(q)
		w.Stats()
	}
	close(stop)
	wg.Wait()
}

func TestFastAllocatesNothing(t *testing.T) {
	w, asked := hitAndMiss(t)
	f := w.NewFast()
	defer f.Close()
	out := make([]byte, 4096)
	for what, q := range asked {
		f.Begin(w.now())
		if n := testing.AllocsPerRun(100, func() { f.Answer(0, q, out, reply.Shape{Bufsize: 1232}) }); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
		f.End()
	}
	if n := testing.AllocsPerRun(100, func() { f.Begin(w.now()); f.End() }); n != 0 {
		t.Errorf("a batch: %v allocations", n)
	}
}

// hitAndMiss is a cache on disk that knows one of two questions.
func hitAndMiss(t testing.TB) (*onDisk, map[string]*wire.Question) {
	w := openDisk(t, t.TempDir())
	q := question(t, "www.example.", wire.TypeA)
	w.answer(q, resultOf(secure, sign(rrset(t, secure, "www.example.", wire.TypeA, 60, "\x01\x02\x03\x04", "\x05\x06\x07\x08"), 2)))
	w.flush()
	c := client{flags: wire.FlagRD, size: 1232}
	return w, map[string]*wire.Question{
		"hit":  c.parse(t, "\x03wWw\x07eXample\x00", wire.TypeA),
		"miss": c.parse(t, "\x03wWw\x07eXample\x00", wire.TypeAAAA),
	}
}

func BenchmarkFast(b *testing.B) {
	w, asked := hitAndMiss(b)
	f := w.NewFast()
	defer f.Close()
	out := make([]byte, 4096)
	for what, q := range asked {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			f.Begin(w.now())
			defer f.End()
			for b.Loop() {
				f.Answer(0, q, out, reply.Shape{Bufsize: 1232})
			}
		})
	}
}
