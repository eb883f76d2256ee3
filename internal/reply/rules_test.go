package reply

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

func questionOf(name string, t uint16) resolve.Question {
	return resolve.Question{Name: dnsname.Name(name), Type: t, Class: wire.ClassIN}
}

// An RCODE of more than four bits needs an OPT record (RFC 6891, section 6.1.3): a client
// without one is told SERVFAIL.
func TestExtendedRcodesAreForOPT(t *testing.T) {
	for _, c := range []struct {
		rcode int
		udp   uint16
		want  int
	}{{15, 0, 15}, {15, 1232, 15}, {16, 0, wire.RcodeServFail}, {16, 1232, 16}, {23, 0, wire.RcodeServFail}, {23, 1232, 23}} {
		res := result()
		res.Rcode = c.rcode
		if m := build(t, query{lower, wire.TypeA, 0, c.udp, false}, res, udp); m.Rcode != c.want {
			t.Errorf("RCODE %d in %d octets: got %d, want %d", c.rcode, c.udp, m.Rcode, c.want)
		}
	}
}

// Sets of addresses, of either family, are rotated where they stand, also as the last thing
// in the message; their signatures stay behind them, for those who want them.
func TestSetsOfAddressesAreRotatedInPlace(t *testing.T) {
	four := []string{"\x01\x01\x01\x01", "\x02\x02\x02\x02", "\x03\x03\x03\x03"}
	six := []string{"\x01" + strings.Repeat("\x00", 15), "\x02" + strings.Repeat("\x00", 15), "\x03" + strings.Repeat("\x00", 15)}
	for _, c := range []struct {
		qtype uint16
		data  []string
		do    bool
	}{{wire.TypeA, four, false}, {wire.TypeA, four, true}, {wire.TypeAAAA, six, false}, {wire.TypeAAAA, six, true}} {
		res := result(signed(set(lower, c.qtype, 60, c.data...)))
		b := new(Room).Make(questionOf(lower, c.qtype), res, c.do, 0)
		if b.Steady {
			t.Errorf("%+v cannot be rotated in place", c)
		}
		size := uint16(0)
		if c.do {
			size = 1232
		}
		q := query{lower, c.qtype, 0, size, c.do}.parse(t)
		m, err := wire.Parse(b.Finish(nil, q, Shape{Kind: transport.TCP, Bufsize: 1232, Rotate: 2}))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, rr := range m.Answer {
			got = append(got, fmt.Sprintf("%d:%d", rr.Type, rr.RData[0]))
		}
		want := []string{fmt.Sprintf("%d:3", c.qtype), fmt.Sprintf("%d:1", c.qtype), fmt.Sprintf("%d:2", c.qtype)}
		if c.do {
			want = append(want, "46:0")
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// What does not fit into any message is not sent, and the client is told so.
func TestMoreThanAMessageHolds(t *testing.T) {
	var many []string
	for i := range 300 {
		many = append(many, "\xff"+strings.Repeat("x", 253)+string([]byte{byte(i >> 8), byte(i)}))
	}
	if b := new(Room).Make(questionOf(lower, wire.TypeTXT), result(set(lower, wire.TypeTXT, 60, many...)), false, 0); !b.TC {
		t.Errorf("%d octets without TC", len(b.Octets))
	}
	if b := new(Room).Make(questionOf(lower, wire.TypeTXT), result(set(lower, wire.TypeTXT, 60, many[:200]...)), false, 0); b.TC {
		t.Errorf("%d octets with TC", len(b.Octets))
	}
}

// The text of an extended error is cut where it is too long for a client to be told.
func TestTheTextOfAnErrorIsBounded(t *testing.T) {
	for _, n := range []int{0, maxEDEText, maxEDEText + 1} {
		res := result()
		res.EDE, res.EDEText = ede.Blocked, strings.Repeat("x", n)
		m := build(t, query{lower, wire.TypeA, 0, 4096, false}, res, udp)
		if got, want := len(m.Options), optionHeader+2+min(n, maxEDEText); got != want {
			t.Errorf("a text of %d octets: an option of %d, want %d", n, got, want)
		}
	}
}

// Answers whose names were too costly to shorten are counted, others are not.
func TestCostlyNamesAreCounted(t *testing.T) {
	var counters limits.Counters
	s := Shape{Kind: transport.TCP, Bufsize: 4096, Counters: &counters}
	build(t, query{lower, wire.TypeA, 0, 0, false}, result(set(lower, wire.TypeA, 60, "\x01\x02\x03\x04")), s)
	if n := counters.Get(limits.CompressedNames); n != 0 {
		t.Errorf("a plain answer was counted %d times", n)
	}
}

// A client without EDNS has the whole size for records, to the octet.
func TestWithoutOPTThereIsRoomForMoreRecords(t *testing.T) {
	for size, tc := range map[int]bool{limits.MinBufsize: false, limits.MinBufsize + 1: true} {
		if m, _ := finish(t, text(t, size), 0, udp); m.TC() != tc {
			t.Errorf("%d octets without EDNS: TC %v", size, m.TC())
		}
	}
}

// An answer may have no records at all. An entry that ends within its question, or whose
// additional section begins there or behind its end, is damaged.
func TestWhatIsNoBody(t *testing.T) {
	q := query{lower, wire.TypeA, 0, 1232, false}.parse(t)
	none := new(Room).Make(questionOf(lower, wire.TypeA), result(), false, 0)
	if m, err := wire.Parse(none.Finish(nil, q, udp)); err != nil || len(m.Answer) != 0 || m.QType != wire.TypeA {
		t.Errorf("an answer without records: %+v, %v", m, err)
	}
	n := len(none.Octets)
	for what, b := range map[string]Body{
		"too short for its question":              {Octets: none.Octets[:n-1], Additional: n - 1},
		"too short, additional section behind it": {Octets: none.Octets[:n-1], Additional: n},
		"additional section in the question":      {Octets: none.Octets, Additional: n - 1},
		"additional section behind the end":       {Octets: none.Octets, Additional: n + 1},
	} {
		if got := b.Finish(nil, q, udp); got != nil {
			t.Errorf("%s: %x", what, got)
		}
	}
}

// Wherever a damaged entry says that a TTL stands, nothing but four octets behind the
// question is touched.
func TestOnlyTTLsBehindTheQuestionAge(t *testing.T) {
	const from, size = 20, 40
	for at := range size + 8 {
		msg := bytes.Repeat([]byte{0xee}, size)
		age(msg, from, binary.BigEndian.AppendUint16(nil, uint16(at)), 0xeeeeeeee)
		want := bytes.Repeat([]byte{0xee}, size)
		if at >= from && at+4 <= size {
			clear(want[at : at+4])
		}
		if !bytes.Equal(msg, want) {
			t.Errorf("a TTL at %d: %x", at, msg)
		}
	}
}

// No more memory is asked for than the longest padding can take.
func TestTheLongestPaddingIsWhatIsPromised(t *testing.T) {
	s := tls
	s.Block = 468
	b := text(t, 468-wire.OPTLen-optionHeader+1)
	q := query{lower, wire.TypeTXT, 0, 1232, false}.parse(t)
	if got, most := len(b.Finish(nil, q, s)), b.MaxLen(q, &s); got != 2*468 || most != got {
		t.Errorf("%d octets, %d promised", got, most)
	}
}

// A denial that many names share shortens names as much as one that is made by itself,
// but for those that only that one's question has in common with them.
func TestADenialForManyNamesIsShort(t *testing.T) {
	zone := dnsname.Name("\x07example\x00")
	authority := []resolve.Set{soaOf(zone), signed(set(string(zone), wire.TypeNSEC, 90, "\x01a"+string(zone)+"\x00\x01\x40"))}
	d, ok := MakeDenial(zone, authority)
	q := query{"\x01x" + string(zone), wire.TypeA, 0, 4096, true}.parse(t)
	b := room()
	if !ok || !d.Body(&b, q, len(zone)) {
		t.Fatal("no answer")
	}
	whole := new(Room).Make(questionOf(string(q.Name), q.Type), &resolve.Result{Authority: authority}, true, 0)
	if len(b.Octets) != len(whole.Octets) {
		t.Errorf("%d octets, by itself %d", len(b.Octets), len(whole.Octets))
	}
}

// A denial takes exactly the memory that it needs, and may have no signature and answer for
// the zone's own name.
func TestADenialInAsMuchMemoryAsItNeeds(t *testing.T) {
	zone := dnsname.Name("\x07example\x00")
	soa := soaOf(zone)
	soa.Sigs = nil
	d, ok := MakeDenial(zone, []resolve.Set{soa})
	if !ok || d.Plain != len(d.Octets) {
		t.Fatalf("no denial: %+v", d)
	}
	for _, name := range []string{string(zone), "\x01x" + string(zone)} {
		for _, do := range []bool{false, true} {
			q := query{name, wire.TypeA, 0, 4096, do}.parse(t)
			need := wire.HeaderLen + len(name) + 4 + len(d.Octets)
			for short := range 2 {
				b := Body{Octets: make([]byte, 0, need-short), TTLs: make([]byte, 0, len(d.TTLs))}
				if got := d.Body(&b, q, len(zone)); got != (short == 0) {
					t.Errorf("%q, DO %v, %d octets too few: %v", name, do, short, got)
				}
			}
		}
	}
}

// Records of other sections stay where they are when those of the answer change places.
func TestOnlyTheAnswerOfAPreparedOneRotates(t *testing.T) {
	res := about(Asked)
	res.Additional = []resolve.Set{set("\x02ns\x07invalid\x00", wire.TypeA, 60, "\x05\x05\x05\x05", "\x06\x06\x06\x06")}
	q := asking("\x03www\x07example\x00", 1232)
	m, err := wire.Parse(Prepare(res).Finish(make([]byte, 0, 4096), q, Shape{Bufsize: 1232, Rotate: 1}))
	if err != nil || len(m.Answer) != 3 || m.Answer[0].RData[3] != 2 || m.Answer[2].RData[3] != 1 || m.Additional[0].RData[0] != 5 {
		t.Errorf("got %+v, %v", m, err)
	}
}

// A prepared answer is for whoever asks: with its ID, its bits, and an OPT record only for
// one who has sent one.
func TestAPreparedAnswerHasTheClientsHeader(t *testing.T) {
	for _, size := range []uint16{0, 1232} {
		q := asking("\x03www\x07example\x00", size)
		s := Shape{Bufsize: 1232}
		got, err := wire.Parse(Prepare(about(Asked)).Finish(make([]byte, 0, 4096), q, s))
		if err != nil {
			t.Fatal(err)
		}
		want, _ := wire.Parse(Build(nil, q, about(dnsname.Name(q.Name)), s))
		if got.ID != want.ID || got.Flags != want.Flags || got.HasEDNS != want.HasEDNS || string(got.Options) != string(want.Options) {
			t.Errorf("got %04x %04x, OPT %v %q, want %04x %04x, OPT %v %q", got.ID, got.Flags, got.HasEDNS, got.Options, want.ID, want.Flags, want.HasEDNS, want.Options)
		}
	}
}

// A thread that fills an answer again forgets the one before.
func TestAPreparedAnswerIsFilledAnew(t *testing.T) {
	var p Prepared
	for n := 3; n > 0; n-- {
		p.Begin(wire.RcodeNoError, true, false, ede.None, "")
		for i := range n {
			p.Record(wire.Answer, Asked, wire.TypeA, 60, []byte{192, 0, 2, byte(i)})
		}
		m, err := wire.Parse(p.Finish(make([]byte, 0, 512), asking("\x01a\x00", 0), Shape{Rotate: 1}))
		if err != nil || len(m.Answer) != n || m.Answer[0].RData[3] != byte(1%n) {
			t.Errorf("%d records, turned by one: %+v, %v", n, m, err)
		}
	}
}

// Only where records have to change places, and cannot where they stand, is a prepared
// answer worded otherwise.
func TestAPreparedAnswerThatCannotBeTurned(t *testing.T) {
	for _, c := range []struct {
		texts  int
		rotate uint32
		given  bool
	}{{1, 0, true}, {1, 1, true}, {2, 0, true}, {2, 1, false}} {
		var p Prepared
		p.Begin(wire.RcodeNoError, true, false, ede.None, "")
		for range c.texts {
			p.Record(wire.Answer, Asked, wire.TypeTXT, 60, []byte("\x01x"))
		}
		if got := p.Finish(make([]byte, 0, 512), asking("\x01a\x00", 0), Shape{Rotate: c.rotate}); (got != nil) != c.given {
			t.Errorf("%+v: %x", c, got)
		}
	}
}

// A prepared answer is given in as much memory, and to as small a client, as it needs, and
// has to be worded otherwise for less.
func TestAPreparedAnswerAtItsBounds(t *testing.T) {
	p := Prepare(about(Asked))
	for _, c := range []struct {
		size  uint16
		block uint16
	}{{0, 0}, {1232, 0}, {1232, 32}} {
		q := asking("\x03www\x07example\x00", c.size)
		s := Shape{Kind: transport.TLS, Bufsize: 1232, Block: c.block}
		need := len(p.Finish(make([]byte, 0, 4096), q, Shape{Kind: transport.TLS, Bufsize: 1232})) + s.maxPadding()
		for short := range 2 {
			if got := p.Finish(make([]byte, 0, need-short), q, s); (got != nil) != (short == 0) {
				t.Errorf("%+v, in %d octets too few: %d octets", c, short, len(got))
			}
		}
	}
	fill := func(n int, size uint16) []byte {
		var p Prepared
		p.Begin(wire.RcodeNoError, true, false, ede.None, "")
		p.Record(wire.Answer, Asked, wire.TypeTXT, 60, make([]byte, n))
		return p.Finish(make([]byte, 0, 4096), asking("\x01a\x00", size), Shape{Bufsize: 1232})
	}
	for _, size := range []uint16{0, 700} {
		limit, other := limits.MinBufsize, wire.HeaderLen+3+4+12
		if size > 0 {
			limit, other = int(size), other+wire.OPTLen
		}
		if got := fill(limit-other, size); len(got) != limit {
			t.Errorf("%d octets for a client of %d", len(got), limit)
		}
		if got := fill(limit-other+1, size); got != nil {
			t.Errorf("%d octets for a client of %d", len(got), limit)
		}
	}
	var full Prepared
	full.Begin(wire.RcodeNoError, true, false, ede.None, "")
	room := maxPrepared - rootQuestion - len(Asked) - 10
	if full.Record(wire.Answer, Asked, wire.TypeTXT, 60, make([]byte, room+1)) {
		t.Error("a record that is too long by an octet was taken")
	}
	if !full.Record(wire.Answer, Asked, wire.TypeTXT, 60, make([]byte, room)) {
		t.Error("a record that just fits was refused")
	}
}
