package reply

import (
	"bytes"
	"strings"
	"testing"

	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// nsid is an option that a client asks for (RFC 5001), stale one that the body
// brings.
var (
	nsid  = wire.AppendOption(nil, 3, []byte("a.resolver"))
	stale = wire.AppendOption(nil, wire.OptionEDE, []byte("\x00\x03stale"))
)

// text is a body whose only record makes the message without OPT size octets
// long.
func text(t *testing.T, size int) *Body {
	t.Helper()
	for n := 1; n < 0xffff; n++ {
		data := strings.Repeat("\xff"+strings.Repeat("x", 255), n/256)
		if rest := n % 256; rest > 0 {
			data += string([]byte{byte(rest - 1)}) + strings.Repeat("y", rest-1)
		}
		b := new(Room).Make(resolve.Question{Name: lower, Type: wire.TypeTXT, Class: wire.ClassIN}, result(set(lower, wire.TypeTXT, 60, data)), false, 0)
		if d := size - len(b.Octets); d == 0 {
			return &b
		} else if d > 1 {
			n += d - 2
		}
	}
	t.Fatalf("no message of %d octets", size)
	return nil
}

func finish(t *testing.T, b *Body, size uint16, s Shape) (*wire.Msg, []byte) {
	t.Helper()
	q := query{lower, wire.TypeTXT, 0, size, false}.parse(t)
	pkt := b.Finish(nil, q, s)
	m, err := wire.Parse(pkt)
	if err != nil {
		t.Fatalf("%v: %x", err, pkt)
	}
	if most := b.MaxLen(q, &s); len(pkt) > most {
		t.Errorf("%d octets, at most %d promised", len(pkt), most)
	}
	return m, pkt
}

// What belongs to the client stands before what belongs to the answer; the body
// that others get too is left as it was.
func TestClientOptions(t *testing.T) {
	b := text(t, 200)
	b.Options = stale
	s := udp
	s.Options = nsid
	m, _ := finish(t, b, 1232, s)
	if want := string(nsid) + string(stale); string(m.Options) != want {
		t.Errorf("options %q, want %q", m.Options, want)
	}
	if m, _ := finish(t, b, 1232, udp); string(m.Options) != string(stale) {
		t.Errorf("the next client gets options %q, want %q", m.Options, stale)
	}
	if m, _ := finish(t, b, 0, s); m.HasEDNS || len(m.Answer) != 1 {
		t.Errorf("a client without EDNS: OPT %v, %d answers", m.HasEDNS, len(m.Answer))
	}
	q := query{lower, wire.TypeTXT, 0, 1232, false}.parse(t)
	if m, err := wire.Parse(Error(nil, q, wire.RcodeRefused, s)); err != nil || string(m.Options) != string(nsid) {
		t.Errorf("with an error: options %q, %v", m.Options, err)
	}
}

// Records give way to the client's options, the body's options give way to
// records, each at the octet where it must.
func TestOptionsAtTheSizeBound(t *testing.T) {
	s := udp
	s.Options = nsid
	full := limits.MinBufsize - wire.OPTLen - len(nsid)
	for _, c := range []struct {
		what    string
		size    int
		tc      bool
		options string
	}{
		{"all fits", full - len(stale), false, string(nsid) + string(stale)},
		{"one octet less room", full - len(stale) + 1, false, string(nsid)},
		{"no room for more", full, false, string(nsid)},
		{"one record too many", full + 1, true, string(nsid) + string(stale)},
	} {
		b := text(t, c.size)
		b.Options = stale
		m, pkt := finish(t, b, limits.MinBufsize, s)
		if m.TC() != c.tc || string(m.Options) != c.options || len(pkt) > limits.MinBufsize {
			t.Errorf("%s: %d octets, TC %v, options %q, want %q", c.what, len(pkt), m.TC(), m.Options, c.options)
		}
	}
	res := result(set(lower, wire.TypeTXT, 60, "\x00"))
	res.Additional = []resolve.Set{set(lower, wire.TypeTXT, 60, "\xff"+strings.Repeat("x", 255), "\xb2"+strings.Repeat("x", 0xb2))}
	b := new(Room).Make(resolve.Question{Name: lower, Type: wire.TypeTXT, Class: wire.ClassIN}, res, false, 0)
	if m, pkt := finish(t, &b, limits.MinBufsize, udp); len(m.Additional) != 2 || len(pkt) != limits.MinBufsize {
		t.Fatalf("%d additional records in %d octets without options, want 2 that just fit", len(m.Additional), len(pkt))
	}
	if m, _ := finish(t, &b, limits.MinBufsize, s); m.TC() || len(m.Answer) != 1 || len(m.Additional) != 0 || string(m.Options) != string(nsid) {
		t.Errorf("with options: TC %v, %d and %d records, options %q", m.TC(), len(m.Answer), len(m.Additional), m.Options)
	}
	s.Options = make([]byte, limits.MinBufsize)
	if m, _ := finish(t, text(t, 100), limits.MinBufsize, s); !m.TC() || len(m.Options) != 0 {
		t.Errorf("options that fit nowhere: TC %v, %d octets of them", m.TC(), len(m.Options))
	}
}

// Padded answers are as long as a whole number of blocks (RFC 8467, section
// 4.1), by one option of zeros behind all others (RFC 7830, section 3).
func TestPadding(t *testing.T) {
	const block = 468
	s := tls
	s.Block, s.Options = block, nsid
	others := string(nsid) + string(stale)
	bare := wire.OPTLen + len(others)
	for _, c := range []struct{ size, want int }{
		{100, block},
		{block - bare - 4, block},       // the option's head alone
		{block - bare - 3, 2 * block},   // no room for it
		{block - bare, 2 * block},       // as long as a block without it
		{2*block - bare - 5, 2 * block}, // one octet of padding
		{3 * block, 4 * block},
	} {
		b := text(t, c.size)
		b.Options = stale
		m, pkt := finish(t, b, 1232, s)
		rest, ok := strings.CutPrefix(string(m.Options), others)
		if len(pkt) != c.want || !ok || len(rest) < 4 || !strings.HasPrefix(rest, "\x00\x0c") {
			t.Errorf("%d octets and %d of OPT: %d in all, want %d; options %q", c.size, bare, len(pkt), c.want, m.Options)
			continue
		}
		if data := rest[4:]; int(rest[2])<<8|int(rest[3]) != len(data) || strings.Trim(data, "\x00") != "" {
			t.Errorf("%d octets: padding %q", c.size, rest)
		}
	}
}

func TestPaddingKeepsTheSizeBound(t *testing.T) {
	s := tls
	s.Block = 468
	for _, c := range []struct{ size, want int }{
		{0xffff - wire.OPTLen - 5, 0xffff}, // a block would end beyond
		{0xffff - wire.OPTLen - 4, 0xffff},
		{0xffff - wire.OPTLen - 3, 0xffff - 3}, // no room for the option's head
		{0xffff - wire.OPTLen, 0xffff},
	} {
		b := text(t, 100)
		b.Octets = append(b.Octets, make([]byte, c.size-len(b.Octets))...)
		b.Additional = len(b.Octets)
		q := query{lower, wire.TypeTXT, 0, 1232, false}.parse(t)
		if got := len(b.Finish(nil, q, s)); got != c.want {
			t.Errorf("%d octets: padded to %d, want %d", c.size, got, c.want)
		}
	}
}

func TestWhatIsNotPadded(t *testing.T) {
	b := text(t, 100)
	for _, kind := range []transport.Kind{transport.UDP, transport.TCP} {
		if _, pkt := finish(t, b, 1232, Shape{Kind: kind, Bufsize: 1232, Block: 468}); len(pkt) != 100+wire.OPTLen {
			t.Errorf("%v: %d octets", kind, len(pkt))
		}
	}
	odd := tls
	odd.Block = 2
	if _, pkt := finish(t, text(t, 101), 1232, odd); len(pkt) != 101+wire.OPTLen+4 {
		t.Errorf("an even length in blocks of 2: %d octets", len(pkt))
	}
	for _, block := range []uint16{0, 1} {
		s := tls
		s.Block = block
		if _, pkt := finish(t, b, 1232, s); len(pkt) != 100+wire.OPTLen {
			t.Errorf("block of %d: %d octets", block, len(pkt))
		}
	}
	s := tls
	s.Block = 468
	if _, pkt := finish(t, b, 0, s); len(pkt) != 100 {
		t.Errorf("without EDNS: %d octets", len(pkt))
	}
}

// Failures are as long as other answers.
func TestErrorsArePadded(t *testing.T) {
	s := tls
	s.Block = 468
	q := query{mixed, wire.TypeA, 0, 1232, false}.parse(t)
	if got := len(Error(nil, q, wire.RcodeServFail, s)); got != 468 {
		t.Errorf("SERVFAIL has %d octets, want 468", got)
	}
}

func TestOptionsAllocateNothing(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates on its own")
	}
	s := tls
	s.Block, s.Options = 468, nsid
	b := text(t, 700)
	b.Options = stale
	q := query{lower, wire.TypeTXT, 0, 1232, false}.parse(t)
	out := make([]byte, 4096)
	want := b.Finish(nil, q, s)
	copy(out, bytes.Repeat([]byte{0xff}, len(out)))
	if got := b.Finish(out, q, s); !bytes.Equal(got, want) {
		t.Error("in used memory the message is another one")
	}
	if n := testing.AllocsPerRun(100, func() { b.Finish(out, q, s) }); n != 0 {
		t.Errorf("Finish: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { Error(out, q, wire.RcodeServFail, s) }); n != 0 {
		t.Errorf("Error: %v allocations", n)
	}
}
