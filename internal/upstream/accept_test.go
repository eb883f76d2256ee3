package upstream

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// A forgery is an answer that is wrong in one way.
type forgery struct {
	name string
	make func(q []byte) []byte
	want match
}

// patched is a wrong answer with some octets changed.
func patched(fn func(r []byte, end int)) func(q []byte) []byte {
	return func(q []byte) []byte {
		r := reply(q, evil)
		fn(r, questionEnd(q))
		return r
	}
}

// recase changes the letters of a wire name.
func recase(name []byte, fold func(byte) byte) {
	for i, c := range name {
		if c|0x20 >= 'a' && c|0x20 <= 'z' {
			name[i] = fold(c)
		}
	}
}

// forgeries are wrong in one field each. Those that are truncated or without a
// question carry the right ID, so they may only move the question to TCP.
var forgeries = []forgery{
	{"empty", func([]byte) []byte { return nil }, ignored},
	{"one octet", func(q []byte) []byte { return q[:1] }, ignored},
	{"eleven octets", func(q []byte) []byte { return reply(q, evil)[:11] }, ignored},
	{"our own question", func(q []byte) []byte { return q }, ignored},
	{"QR not set", patched(func(r []byte, _ int) { r[2] &^= 0x80 }), ignored},
	{"opcode 1", patched(func(r []byte, _ int) { r[2] |= 1 << 3 }), ignored},
	{"opcode NOTIFY", patched(func(r []byte, _ int) { r[2] |= 4 << 3 }), ignored},
	{"opcode 15", patched(func(r []byte, _ int) { r[2] |= 15 << 3 }), ignored},
	{"question cut in the name", func(q []byte) []byte { return reply(q, evil)[:questionEnd(q)-6] }, ignored},
	{"question cut in the class", func(q []byte) []byte { return reply(q, evil)[:questionEnd(q)-1] }, ignored},
	{"name is a pointer", patched(func(r []byte, _ int) { r[12], r[13] = 0xc0, 0x0c }), ignored},
	{"name never ends", patched(func(r []byte, end int) {
		for i := 12; i < len(r); i++ {
			r[i] = 1
		}
	}), ignored},
	{"ID plus one", patched(func(r []byte, _ int) { r[1]++ }), nearMiss},
	{"ID high octet", patched(func(r []byte, _ int) { r[0] ^= 0x80 }), nearMiss},
	{"ID swapped or inverted", patched(func(r []byte, _ int) { r[0], r[1] = ^r[0], ^r[1] }), nearMiss},
	{"other name", patched(func(r []byte, _ int) { r[13] ^= 1 }), nearMiss},
	{"other last label", patched(func(r []byte, end int) { r[end-6] ^= 1 }), nearMiss},
	{"shorter name", func(q []byte) []byte {
		return reply(slices.Concat(q[:12], q[13+int(q[12]):]), evil)
	}, nearMiss},
	{"longer name", func(q []byte) []byte { return reply(slices.Concat(q[:12], []byte("\x01x"), q[12:]), evil) }, nearMiss},
	{"type AAAA", patched(func(r []byte, end int) { r[end-3] = 28 }), nearMiss},
	{"type high octet", patched(func(r []byte, end int) { r[end-4] = 1 }), nearMiss},
	{"class CH", patched(func(r []byte, end int) { r[end-1] = 3 }), nearMiss},
	{"class high octet", patched(func(r []byte, end int) { r[end-2] = 1 }), nearMiss},
	{"no question, NOERROR", patched(func(r []byte, _ int) { r[5] = 0 }), nearMiss},
	{"no question, NXDOMAIN", patched(func(r []byte, _ int) { r[5], r[3] = 0, r[3]|3 }), nearMiss},
	{"two questions", patched(func(r []byte, _ int) { r[5] = 2 }), nearMiss},
	{"256 questions", patched(func(r []byte, _ int) { r[4], r[5] = 1, 0 }), nearMiss},
	{"TC of another question", patched(func(r []byte, _ int) { r[2] |= 2; r[13] ^= 1 }), nearMiss},
	{"FORMERR of another question", patched(func(r []byte, end int) { r[3] |= 1; r[end-3] = 28 }), nearMiss},
	{"FORMERR of another ID", func(q []byte) []byte {
		r := append(slices.Clone(q[:2]), 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0)
		r[1] ^= 4
		return r
	}, nearMiss},
	{"bare FORMERR", func(q []byte) []byte { return append(slices.Clone(q[:2]), 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0) }, bareError},
	{"bare NOTIMP", func(q []byte) []byte { return append(slices.Clone(q[:2]), 0x80, 4, 0, 0, 0, 0, 0, 0, 0, 0) }, bareError},
	{"letter case", patched(func(r []byte, _ int) { r[13] ^= 0x20 }), caseLost},
	{"every letter's case", patched(func(r []byte, end int) { recase(r[12:end-4], func(c byte) byte { return c ^ 0x20 }) }), caseLost},
	{"truncated", patched(func(r []byte, _ int) { r[2] |= 2 }), truncated},
	{"too large", func(q []byte) []byte { return append(reply(q, evil), make([]byte, limits.UDPPayload)...) }, truncated},
}

// malformed match in the header and the question and cannot be read behind it.
var malformed = []forgery{
	{"nothing behind the question", func(q []byte) []byte { return reply(q, evil)[:questionEnd(q)] }, answer},
	{"record cut", func(q []byte) []byte { r := reply(q, evil); return r[:len(r)-1] }, answer},
	{"octets behind the end", func(q []byte) []byte { return append(reply(q, evil), 0) }, answer},
	{"owner points forward", patched(func(r []byte, end int) { r[end+1] = byte(end + 4) }), answer},
	{"owner points at itself", patched(func(r []byte, end int) { r[end+1] = byte(end) }), answer},
	{"A of three octets", func(q []byte) []byte {
		r := reply(q, evil)
		r[len(r)-5] = 3
		return r[:len(r)-1]
	}, answer},
	{"more records than there are", patched(func(r []byte, _ int) { r[7] = 9 }), answer},
	{"65535 records", patched(func(r []byte, _ int) { r[8], r[9] = 0xff, 0xff }), answer},
}

// aQuestion is a query with letters in mixed case and what its answer must echo.
func aQuestion() ([]byte, *expectation) {
	q := wire.AppendQuery(nil, 0x1234, 0, []byte("\x03wWw\x07eXAMPle\x00"), wire.TypeA, wire.ClassIN, 1232, true, nil)
	return q, &expectation{id: 0x1234, question: q[wire.HeaderLen:questionEnd(q)], size: limits.UDPPayload}
}

func TestJudge(t *testing.T) {
	q, want := aQuestion()
	if got := want.judge(reply(q, truth), len(reply(q, truth))); got != answer {
		t.Fatalf("true answer: %d, want %d", got, answer)
	}
	for _, f := range slices.Concat(forgeries, malformed) {
		pkt := f.make(q)
		if got := want.judge(pkt, len(pkt)); got != f.want {
			t.Errorf("%s: match %d, want %d", f.name, got, f.want)
		}
		if _, err := wire.Parse(pkt); f.want == answer && err == nil {
			t.Errorf("%s: is a message, and should not be", f.name)
		}
	}
}

func TestJudgeWithoutCase(t *testing.T) {
	q, want := aQuestion()
	want.anyCase = true
	for _, fold := range []func(byte) byte{
		func(c byte) byte { return c | 0x20 },
		func(c byte) byte { return c &^ 0x20 },
		func(c byte) byte { return c ^ 0x20 },
	} {
		r := reply(q, truth)
		recase(r[12:questionEnd(q)-4], fold)
		if got := want.judge(r, len(r)); got != answer {
			t.Errorf("% x: match %d, want %d", r, got, answer)
		}
	}
}

// Each octet of the header and the question matters: none can be changed to
// anything else in an accepted answer, but for the flags that an answer carries.
func TestEveryOctetCounts(t *testing.T) {
	q, want := aQuestion()
	good := reply(q, truth)
	for at := range questionEnd(q) {
		for bit := range 8 {
			r := slices.Clone(good)
			r[at] ^= 1 << bit
			free := at == 2 && bit <= 2 && bit != 1 || at == 3 || at >= 6 && at < 12 // RD AA, RA Z AD CD RCODE, counts
			if got := want.judge(r, len(r)); (got == answer) != free {
				t.Errorf("octet %d bit %d changed: match %d", at, bit, got)
			}
		}
	}
}

// FuzzJudge holds the acceptance check against its definition, octet by octet.
func FuzzJudge(f *testing.F) {
	q, want := aQuestion()
	for _, g := range slices.Concat(forgeries, malformed, []forgery{{make: func(q []byte) []byte { return reply(q, truth) }}}) {
		f.Add(g.make(q))
	}
	f.Fuzz(func(t *testing.T, pkt []byte) {
		got := want.judge(pkt, len(pkt))
		end := len(want.question) + 12
		matches := len(pkt) >= end && string(pkt[:2]) == "\x12\x34" && pkt[2]&0xf8 == 0x80 && string(pkt[4:6]) == "\x00\x01" &&
			string(pkt[12:end]) == string(q[12:end])
		if want := matches && pkt[2]&2 == 0 && len(pkt) <= limits.UDPPayload; (got == answer) != want {
			t.Errorf("% x: match %d, accepted should be %v", pkt, got, want)
		}
		if (got == truncated) != (matches && got != answer) {
			t.Errorf("% x: match %d, matches %v", pkt, got, matches)
		}
	})
}

// A hostile server sends 10^5 forgeries, each wrong in one way, ahead of the
// true answer: none is accepted and every question gets the truth (HARDENING
// A3, A7).
func TestForgeriesAheadOfTheTruth(t *testing.T) {
	total, each := 100_000, 50
	if testing.Short() {
		total = 10_000
	}
	all := slices.Concat(forgeries, malformed)
	var kind, sent atomic.Int64
	s := (&testServer{onTCP: truthTCP, onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
		f := all[kind.Load()]
		for range each {
			s.send(from, f.make(q))
		}
		sent.Add(int64(each))
		truthUDP(s, from, q)
	}}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	for i := 0; sent.Load() < int64(total); i++ {
		f := all[i%len(all)]
		kind.Store(int64(i % len(all)))
		x := question(t, s.addr, "www.example.")
		r, err := e.Exchange(background, x)
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		if got := address(t, r, err); got != truth {
			t.Fatalf("%s: forgery was accepted: %x", f.name, got)
		}
		if overTCP := f.want != ignored && f.want != answer; r.TCP != overTCP {
			t.Errorf("%s: answered over TCP %v, want %v", f.name, r.TCP, overTCP)
		}
		if x.Budget.Sent() > 2 {
			t.Errorf("%s: %d sends, want at most 2", f.name, x.Budget.Sent())
		}
	}
	t.Logf("%d forgeries, accepted 0, %+v", sent.Load(), e.Stats())
}

// A thousand datagrams that cannot be read end no wait, at any speed of ours
// (HARDENING A7). The truth follows when they were seen, because a queue of the
// kernel holds less than a thousand.
func TestUnreadableDatagramsEndNoWait(t *testing.T) {
	for _, f := range slices.Concat(forgeries, malformed) {
		if f.want != ignored && f.want != answer {
			continue
		}
		e := newExchanger(t, Config{})
		s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
			for i := range 1000 {
				s.send(from, f.make(q))
				for end := time.Now().Add(time.Second); i%50 == 49 && e.Stats().Ignored < uint64(i-25) && time.Now().Before(end); {
					time.Sleep(50 * time.Microsecond)
				}
			}
			truthUDP(s, from, q)
		}}).start(t, "127.0.0.1")
		r, err := e.Exchange(background, question(t, s.addr, "www.example."))
		if err != nil || r.TCP || string(r.Msg.Answer[0].RData) != truth {
			t.Errorf("%s: reply %+v, error %v; want the truth over UDP", f.name, r, err)
		}
		if got := e.Stats().Ignored; got < 500 {
			t.Errorf("%s: %d datagrams seen, want most of 1000", f.name, got)
		}
	}
}

// A bare FORMERR is what servers without EDNS send; it counts over TCP only.
func TestBareErrorCountsOverTCPOnly(t *testing.T) {
	bare := func(q []byte) []byte { return append(slices.Clone(q[:2]), 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0) }
	onUDP := func(s *testServer, from netip.AddrPort, q []byte) { s.send(from, bare(q)) }
	s := (&testServer{onUDP: onUDP}).start(t, "127.0.0.1")
	e := newExchanger(t, Config{})
	x := question(t, s.addr, "www.example.")
	x.Timeout = 100 * time.Millisecond
	_, err := e.Exchange(background, x)
	wantErr(t, err, resolve.ErrTimeout)

	both := &testServer{onUDP: onUDP}
	both.onTCP = func(s *testServer, c net.Conn) {
		for q := s.readFrame(c); q != nil; q = s.readFrame(c) {
			writeFrame(c, bare(q))
		}
	}
	both.start(t, "127.0.0.1")
	r, err := e.Exchange(background, question(t, both.addr, "www.example."))
	if err != nil || !r.TCP || r.Msg.Rcode != wire.RcodeFormErr || r.CaseLost {
		t.Errorf("reply %+v, error %v; want FORMERR over TCP", r, err)
	}
}

// A matched FORMERR counts over UDP too.
func TestMatchedRcodeCounts(t *testing.T) {
	for _, rcode := range []int{wire.RcodeFormErr, wire.RcodeServFail, wire.RcodeNXDomain, wire.RcodeNotImp, wire.RcodeRefused} {
		s := (&testServer{onUDP: func(s *testServer, from netip.AddrPort, q []byte) {
			r := slices.Clone(q[:questionEnd(q)])
			r[2], r[3], r[11] = 0x80, byte(rcode), 0
			s.send(from, r)
		}}).start(t, "127.0.0.1")
		e := newExchanger(t, Config{})
		r, err := e.Exchange(background, question(t, s.addr, "www.example."))
		if err != nil || r.TCP || r.Msg.Rcode != rcode {
			t.Errorf("RCODE %d: %s", rcode, fmt.Sprint(r, err))
		}
	}
}
