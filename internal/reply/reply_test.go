package reply

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// query is a client's message, parsed.
type query struct {
	name  string
	qtype uint16
	flags uint16
	udp   uint16 // 0: no OPT
	do    bool
}

func (c query) parse(t testing.TB) *wire.Question {
	t.Helper()
	pkt := wire.AppendQuery(nil, 0x1234, c.flags, []byte(c.name), c.qtype, wire.ClassIN, c.udp, c.do, nil)
	var q wire.Question
	if p := q.Parse(pkt); p != wire.Fine {
		t.Fatalf("query %+v: problem %d", c, p)
	}
	return &q
}

const (
	lower = "\x03www\x07example\x00"
	mixed = "\x03wWw\x07ExAmple\x00"
)

func set(owner string, t uint16, ttl uint32, data ...string) resolve.Set {
	s := resolve.Set{Rank: rank.Secure | rank.Auth}
	s.Owner, s.Type, s.Class, s.TTL = dnsname.Name(owner), t, wire.ClassIN, ttl
	for _, d := range data {
		s.Data = append(s.Data, []byte(d))
	}
	return s
}

func signed(s resolve.Set) resolve.Set {
	sig := binary.BigEndian.AppendUint16(nil, s.Type)
	s.Sigs = [][]byte{append(append(sig, make([]byte, 16)...), "\x00signature"...)}
	return s
}

func result(sets ...resolve.Set) *resolve.Result {
	return &resolve.Result{Answer: sets, Rank: rank.Secure | rank.Auth, EDE: ede.None}
}

func build(t *testing.T, c query, res *resolve.Result, s Shape) *wire.Msg {
	t.Helper()
	pkt := Build(nil, c.parse(t), res, s)
	m, err := wire.Parse(pkt)
	if err != nil {
		t.Fatalf("Build for %+v: %v: %x", c, err, pkt)
	}
	return m
}

var (
	udp = Shape{Bufsize: 4096}
	tcp = Shape{Kind: transport.TCP, Bufsize: 4096}
	tls = Shape{Kind: transport.TLS, Bufsize: 4096}
)

func TestHeaderBits(t *testing.T) {
	always := wire.FlagQR | wire.FlagRA
	for _, c := range []struct {
		what  string
		flags uint16
		do    bool
		rank  rank.Rank
		aa    bool
		want  uint16
	}{
		{"nothing asked", 0, false, rank.Secure, false, always},
		{"RD and CD are copied", wire.FlagRD | wire.FlagCD, false, rank.Insecure | rank.Auth, false, always | wire.FlagRD | wire.FlagCD},
		{"AD for AD", wire.FlagAD, false, rank.Secure | rank.Auth, false, always | wire.FlagAD},
		{"AD for DO", 0, true, rank.Secure, false, always | wire.FlagAD},
		{"no AD for insecure data", wire.FlagAD, true, rank.Insecure | rank.Auth, false, always},
		{"no AD for bogus data", wire.FlagAD | wire.FlagCD, true, rank.Bogus | rank.Auth, false, always | wire.FlagCD},
		{"AA from the result", 0, false, rank.Insecure, true, always | wire.FlagAA},
	} {
		q := query{lower, wire.TypeA, c.flags, 1232, c.do}
		res := result(set(lower, wire.TypeA, 60, "\x01\x02\x03\x04"))
		res.Rank, res.AA = c.rank, c.aa
		if m := build(t, q, res, udp); m.Flags != c.want || m.ID != 0x1234 {
			t.Errorf("%s: flags %04x, want %04x", c.what, m.Flags, c.want)
		}
	}
}

// What a script has made of the header counts, whatever it would be else.
func TestHeaderBitsOfAScript(t *testing.T) {
	res := result(set(lower, wire.TypeA, 60, "\x01\x02\x03\x04"))
	res.HeaderOn, res.HeaderOff = wire.FlagCD, wire.FlagRA|wire.FlagAD
	if m := build(t, query{lower, wire.TypeA, wire.FlagAD, 1232, true}, res, udp); m.Flags != wire.FlagQR|wire.FlagCD {
		t.Errorf("flags %04x", m.Flags)
	}
}

func TestProofsAreForDO(t *testing.T) {
	res := result(signed(set(lower, wire.TypeA, 60, "\x01\x02\x03\x04")))
	res.Authority = []resolve.Set{signed(set("\x07example\x00", wire.TypeNSEC, 60, "\x00\x00\x01\x40"))}
	for _, do := range []bool{false, true} {
		m := build(t, query{lower, wire.TypeA, 0, 1232, do}, res, udp)
		want := [2]int{1, 0}
		if do {
			want = [2]int{2, 2}
		}
		if got := [2]int{len(m.Answer), len(m.Authority)}; got != want {
			t.Errorf("DO %v: %v records in answer and authority, want %v", do, got, want)
		}
		if m.DO != do {
			t.Errorf("DO %v is not mirrored", do)
		}
	}
	nsec := result(set(lower, wire.TypeNSEC, 60, "\x00\x00\x01\x40"))
	if m := build(t, query{lower, wire.TypeNSEC, 0, 1232, false}, nsec, udp); len(m.Answer) != 1 {
		t.Errorf("NSEC that was asked for is hidden")
	}
}

func TestOPTOnlyForOPT(t *testing.T) {
	res := result(set(lower, wire.TypeA, 60, "\x01\x02\x03\x04"))
	res.EDE, res.EDEText = 3, "stale"
	m := build(t, query{lower, wire.TypeA, 0, 0, false}, res, udp)
	if m.HasEDNS {
		t.Error("OPT for a client without")
	}
	m = build(t, query{lower, wire.TypeA, 0, 1232, false}, res, udp)
	if want := "\x00\x0f\x00\x07\x00\x03stale"; !m.HasEDNS || m.UDPSize != 4096 || string(m.Options) != want {
		t.Errorf("OPT: size %d, options %q, want %q", m.UDPSize, m.Options, want)
	}
	res.Remembered = true
	m = build(t, query{lower, wire.TypeA, 0, 1232, false}, res, udp)
	if want := "\x00\x0f\x00\x07\x00\x03stale\x00\x0f\x00\x02\x00\x0d"; string(m.Options) != want {
		t.Errorf("a failure that is remembered: options %q, want %q", m.Options, want)
	}
}

// No smaller size than every client must take is offered (RFC 6891, section
// 6.2.3).
func TestOfferedSize(t *testing.T) {
	res := result(set(lower, wire.TypeA, 60, "\x01\x02\x03\x04"))
	for _, c := range []struct{ bufsize, want uint16 }{{0, 512}, {511, 512}, {512, 512}, {4096, 4096}} {
		msg := Build(nil, query{lower, wire.TypeA, 0, 1232, false}.parse(t), res, Shape{Bufsize: c.bufsize})
		opt := msg[len(msg)-wire.OPTLen:]
		if got := binary.BigEndian.Uint16(opt[3:]); got != c.want { // its CLASS, before a parser makes up for it
			t.Errorf("size %d offers %d, want %d", c.bufsize, got, c.want)
		}
	}
}

func TestTooLarge(t *testing.T) {
	var many []string
	for i := range 40 {
		many = append(many, string([]byte{10, 0, 0, byte(i)}))
	}
	few, lots := set(lower, wire.TypeA, 60, many[:20]...), set(lower, wire.TypeA, 60, many...)
	for _, c := range []struct {
		what               string
		answer, additional resolve.Set
		udp                uint16
		shape              Shape
		tc                 bool
		an, ar             int
	}{
		{"fits", few, few, 1232, udp, false, 20, 20},
		{"additional section goes silently", few, lots, 512, udp, false, 20, 0},
		{"client's size", lots, few, 512, udp, true, 0, 0},
		{"without EDNS 512", lots, few, 0, udp, true, 0, 0},
		{"our size", lots, few, 4096, Shape{Bufsize: 500}, true, 0, 0},
		{"TCP takes all", lots, lots, 512, tcp, false, 40, 40},
	} {
		res := result(c.answer)
		res.Additional = []resolve.Set{c.additional}
		res.EDE = 0
		m := build(t, query{lower, wire.TypeA, 0, c.udp, false}, res, c.shape)
		if m.TC() != c.tc || len(m.Answer) != c.an || len(m.Additional) != c.ar || m.HasEDNS != (c.udp > 0) {
			t.Errorf("%s: TC %v, %d answers, %d additional, EDNS %v", c.what, m.TC(), len(m.Answer), len(m.Additional), m.HasEDNS)
		}
	}
	res := result(few)
	res.TC = true
	if m := build(t, query{lower, wire.TypeA, wire.FlagAD, 1232, false}, res, udp); !m.TC() || len(m.Answer) != 0 || m.Flags&wire.FlagAD != 0 {
		t.Errorf("TC on demand: flags %04x, %d answers", m.Flags, len(m.Answer))
	}
}

func TestOptionIsDroppedBeforeRecords(t *testing.T) {
	res := result(set(lower, wire.TypeTXT, 60, "\xf0"+string(make([]byte, 240)), "\xaf"+string(make([]byte, 175))))
	res.EDE, res.EDEText = 3, "a text that does not fit any more"
	m := build(t, query{lower, wire.TypeTXT, 0, 512, false}, res, udp)
	if m.TC() || len(m.Answer) != 2 || len(m.Options) != 0 {
		t.Errorf("TC %v, %d answers, options %x", m.TC(), len(m.Answer), m.Options)
	}
}

func TestSpellingOfTheQuestion(t *testing.T) {
	res := result(set(lower, wire.TypeA, 60, "\x01\x02\x03\x04"))
	m := build(t, query{mixed, wire.TypeA, 0, 0, false}, res, udp)
	if string(m.RawName) != mixed {
		t.Errorf("question %q, want %q", m.RawName, mixed)
	}
	if m.Answer[0].Owner != lower {
		t.Errorf("owner %q", m.Answer[0].Owner)
	}
}

func TestDropIsNoAnswer(t *testing.T) {
	q := query{lower, wire.TypeA, 0, 0, false}.parse(t)
	if got := Build(nil, q, &resolve.Result{Drop: true}, udp); got != nil {
		t.Errorf("got %x", got)
	}
}

func TestRotation(t *testing.T) {
	cname := set("\x01a\x00", wire.TypeCNAME, 60, lower)
	a := signed(set(lower, wire.TypeA, 60, "\x01\x01\x01\x01", "\x02\x02\x02\x02", "\x03\x03\x03\x03"))
	res := result(cname, a)
	q := query{"\x01a\x00", wire.TypeA, 0, 1232, true}.parse(t)
	b := new(Room).Make(resolve.Question{Name: "\x01a\x00", Type: wire.TypeA, Class: wire.ClassIN}, res, true, 0)
	if b.Steady {
		t.Fatal("addresses cannot be rotated in place")
	}
	for by := range uint32(7) {
		want := Build(nil, q, res, Shape{Kind: transport.TCP, Bufsize: 4096, Rotate: by})
		got := b.Finish(nil, q, Shape{Kind: transport.TCP, Bufsize: 4096, Rotate: by})
		if !bytes.Equal(got, want) {
			t.Errorf("rotated by %d in place:\n%x\nmade so:\n%x", by, got, want)
		}
		m, err := wire.Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		if first := m.Answer[1].RData[0]; first != byte(by%3)+1 {
			t.Errorf("rotated by %d: first address %d", by, first)
		}
	}
}

func TestWhatCannotBeRotatedInPlace(t *testing.T) {
	question := func(n string, t uint16) resolve.Question {
		return resolve.Question{Name: dnsname.Name(n), Type: t, Class: wire.ClassIN}
	}
	mx := result(set(lower, wire.TypeMX, 60, "\x00\x01"+lower, "\x00\x02\x04mail\x07example\x00"))
	if b := new(Room).Make(question(lower, wire.TypeMX), mx, false, 0); !b.Steady || len(b.Runs) > 0 {
		t.Errorf("MX: steady %v, %d octets of runs", b.Steady, len(b.Runs))
	}
	root := result(set("\x00", wire.TypeA, 60, "\x01\x01\x01\x01", "\x02\x02\x02\x02"))
	b := new(Room).Make(question("\x00", wire.TypeA), root, false, 0)
	if !b.Steady || len(b.Runs) > 0 {
		t.Errorf("root, whose name is no pointer: steady %v, %d octets of runs", b.Steady, len(b.Runs))
	}
	q := query{"\x00", wire.TypeA, 0, 0, false}.parse(t)
	if got, err := wire.Parse(b.Finish(nil, q, Shape{Kind: transport.TCP, Rotate: 1})); err != nil || len(got.Answer) != 2 {
		t.Errorf("root's addresses: %v, %v", got, err)
	}
	one := result(set(lower, wire.TypeMX, 60, "\x00\x01"+lower))
	if b := new(Room).Make(question(lower, wire.TypeMX), one, false, 0); b.Steady {
		t.Error("a single record is called steady")
	}
}

// One set that only Make can rotate is enough, whatever stands behind it.
func TestASetThatCannotBeRotatedIsNotForgottenForTheNext(t *testing.T) {
	txt, a := set(lower, wire.TypeTXT, 60, "\x01a", "\x02bc"), set(lower, wire.TypeA, 60, "\x01\x01\x01\x01", "\x02\x02\x02\x02")
	for _, res := range []*resolve.Result{result(txt, a), result(a, txt)} {
		if b := new(Room).Make(resolve.Question{Name: lower, Type: wire.TypeANY, Class: wire.ClassIN}, res, false, 0); !b.Steady || len(b.Runs) != runLen {
			t.Errorf("steady %v, %d octets of runs", b.Steady, len(b.Runs))
		}
	}
}

func TestAge(t *testing.T) {
	res := result(set(lower, wire.TypeA, 60, "\x01\x01\x01\x01"), set(lower, wire.TypeTXT, 5, "\x00"))
	q := query{lower, wire.TypeA, 0, 1232, true}.parse(t)
	b := new(Room).Make(resolve.Question{Name: lower, Type: wire.TypeA, Class: wire.ClassIN}, res, true, 0)
	msg := b.Finish(nil, q, Shape{Kind: transport.TCP, Bufsize: 512, Age: 7})
	var got []uint32
	for at := b.TTLs; len(at) > 0; at = at[2:] {
		got = append(got, binary.BigEndian.Uint32(msg[binary.BigEndian.Uint16(at):]))
	}
	if !slices.Equal(got, []uint32{53, 0}) {
		t.Errorf("TTLs %v after 7 s, want 53 and 0", got)
	}
}

func TestError(t *testing.T) {
	good := wire.AppendQuery(nil, 7, wire.FlagRD|wire.FlagCD, []byte(mixed), wire.TypeA, wire.ClassIN, 1232, true, nil)
	badvers := slices.Clone(good)
	badvers[len(badvers)-5] = 1
	notify := slices.Clone(good)
	notify[2] |= 4 << 3
	junk := append(slices.Clone(good), 0)
	short := slices.Clone(good[:13])
	for _, c := range []struct {
		what     string
		pkt      []byte
		problem  wire.Problem
		rcode    int
		question bool
		edns     bool
	}{
		{"BADVERS", badvers, wire.BadVers, wire.RcodeBadVers, true, true},
		{"NOTIMP", notify, wire.NotImp, wire.RcodeNotImp, false, false},
		{"trailing octets", junk, wire.FormErr, wire.RcodeFormErr, true, true},
		{"cut off in the question", short, wire.FormErr, wire.RcodeFormErr, false, false},
		{"refused", good, wire.Fine, wire.RcodeRefused, true, true},
	} {
		var q wire.Question
		p := q.Parse(c.pkt)
		if p != c.problem {
			t.Fatalf("%s: problem %d", c.what, p)
		}
		rcode := Problem(p)
		if p == wire.Fine {
			rcode = c.rcode
		}
		out := Error(nil, &q, rcode, udp)
		m, err := wire.Parse(out)
		if err != nil {
			t.Errorf("%s: %v: %x", c.what, err, out)
			continue
		}
		if m.Rcode != c.rcode || m.ID != 7 || (m.RawName != nil) != c.question || m.HasEDNS != c.edns {
			t.Errorf("%s: rcode %d, ID %d, question %q, EDNS %v", c.what, m.Rcode, m.ID, m.RawName, m.HasEDNS)
		}
		if m.Opcode() != q.Opcode() || m.Flags&(wire.FlagRD|wire.FlagCD|wire.FlagQR) != wire.FlagRD|wire.FlagCD|wire.FlagQR {
			t.Errorf("%s: flags %04x for %04x", c.what, m.Flags, q.Flags)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	res := result(signed(set(lower, wire.TypeA, 60, "\x01\x01\x01\x01", "\x02\x02\x02\x02")))
	b := new(Room).Make(resolve.Question{Name: lower, Type: wire.TypeA, Class: wire.ClassIN}, res, true, 0)
	q := query{mixed, wire.TypeA, wire.FlagRD, 1232, true}.parse(t)
	out := make([]byte, 4096)
	if n := testing.AllocsPerRun(100, func() { b.Finish(out, q, Shape{Bufsize: 1232, Age: 3, Rotate: 1}) }); n != 0 {
		t.Errorf("Finish: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { Error(out, q, wire.RcodeRefused, udp) }); n != 0 {
		t.Errorf("Error: %v allocations", n)
	}
}

// FuzzFinish: whatever a damaged entry held, nothing panics, and the message is
// no longer than promised.
func FuzzFinish(f *testing.F) {
	res := result(set(lower, wire.TypeA, 60, "\x01\x01\x01\x01", "\x02\x02\x02\x02"))
	b := new(Room).Make(resolve.Question{Name: lower, Type: wire.TypeA, Class: wire.ClassIN}, res, true, 0)
	f.Add(b.Octets, b.TTLs, b.Runs, b.Options, b.Additional, uint32(1), uint32(1), true)
	f.Add([]byte{}, []byte{0, 1}, []byte{0, 0, 0, 0, 0, 0}, []byte{}, -1, uint32(0), uint32(3), false)
	f.Fuzz(func(t *testing.T, octets, ttls, runs, options []byte, additional int, age, rotate uint32, isUDP bool) {
		body := Body{Octets: octets, TTLs: ttls, Runs: runs, Options: options, Additional: additional}
		q := query{mixed, wire.TypeA, 0, 1232, true}.parse(t)
		s := Shape{Kind: transport.TLS, Bufsize: 1232, Age: age, Rotate: rotate, Options: options, Block: uint16(rotate)}
		if isUDP {
			s.Kind = transport.UDP
		}
		if got := body.Finish(nil, q, s); len(got) > max(body.MaxLen(q, &s), wire.HeaderLen+len(q.Name)+4+wire.OPTLen) {
			t.Errorf("%d octets, at most %d promised", len(got), body.MaxLen(q, &s))
		}
	})
}
