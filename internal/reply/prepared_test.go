package reply

import (
	"bytes"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// about is a made-up answer about a name: data, a denial's SOA and a text.
func about(n dnsname.Name) *resolve.Result {
	set := func(owner dnsname.Name, t uint16, data ...string) resolve.Set {
		s := resolve.Set{RRset: wire.RRset{Owner: owner, Type: t, Class: wire.ClassIN, TTL: 60}, Rank: rank.Auth | rank.Insecure}
		for _, d := range data {
			s.Data = append(s.Data, []byte(d))
		}
		return s
	}
	return &resolve.Result{
		AA: true, EDE: ede.Blocked, EDEText: "no",
		Answer:     []resolve.Set{set(n, wire.TypeA, "\xc0\x00\x02\x01", "\xc0\x00\x02\x02", "\xc0\x00\x02\x03")},
		Authority:  []resolve.Set{set(n, wire.TypeSOA, string(n)+"\x06nobody\x07invalid\x00"+strings.Repeat("\x00\x00\x00\x01", 5))},
		Additional: []resolve.Set{set("\x0bexplanation\x07invalid\x00", wire.TypeTXT, "\x02no")},
	}
}

func asking(n dnsname.Name, size uint16) *wire.Question {
	q := &wire.Question{ID: 0x1234, Flags: wire.FlagRD, Name: []byte(n), Type: wire.TypeA, Class: wire.ClassIN, UDPSize: wire.HeaderLen}
	if size > 0 {
		q.HasEDNS, q.UDPSize = true, size
	}
	return q
}

// What was prepared for any name is what is worded for this one, apart from
// compression.
func TestAPreparedAnswerFitsAnyName(t *testing.T) {
	p := Prepare(about(Asked))
	for _, n := range []dnsname.Name{dnsname.Root, "\x01a\x00", "\x03www\x07example\x03com\x00", dnsname.Name(strings.Repeat("\x09abcdefghi", 25) + "\x00")} {
		for _, size := range []uint16{0, 1232} {
			q := asking(n, size)
			s := Shape{Bufsize: 1232}
			got, err := wire.Parse(p.Finish(make([]byte, 0, 4096), q, s))
			if err != nil {
				t.Fatalf("%s: %v", n, err)
			}
			want, err := wire.Parse(Build(nil, q, about(n), s))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Answer) != 3 || len(got.Authority) != 1 || len(got.Additional) != len(want.Additional) {
				t.Fatalf("%s: %d, %d and %d records", n, len(got.Answer), len(got.Authority), len(got.Additional))
			}
			for i, section := range [][2][]wire.RR{{got.Answer, want.Answer}, {got.Authority, want.Authority}, {got.Additional, want.Additional}} {
				for k, rr := range section[0] {
					if w := section[1][k]; rr.Owner != w.Owner || rr.Type != w.Type || rr.TTL != w.TTL || !bytes.Equal(rr.RData, w.RData) {
						t.Errorf("%s: section %d: %+v, want %+v", n, i, rr, w)
					}
				}
			}
		}
	}
}

// Where not all of it fits, or where records have to change places that cannot,
// it is left to Make.
func TestWhatDoesNotFitIsLeftToMake(t *testing.T) {
	p := Prepare(about(Asked))
	q := asking("\x03www\x07example\x00", 4096)
	room := make([]byte, 0, 4096)
	whole := len(p.Finish(room, q, Shape{Bufsize: 4096}))
	for _, c := range []struct {
		what  string
		out   int
		shape Shape
		fits  bool
	}{
		{"exactly", whole, Shape{Bufsize: 4096}, true},
		{"no memory", whole - 1, Shape{Bufsize: 4096}, false},
		{"options of the client's", whole + 8, Shape{Bufsize: 4096, Options: make([]byte, 8)}, true},
		{"no memory for options", whole + 7, Shape{Bufsize: 4096, Options: make([]byte, 8)}, false},
		{"no memory for padding", whole + 4, Shape{Kind: transport.TLS, Bufsize: 4096, Block: 468}, false},
	} {
		if got := p.Finish(make([]byte, 0, c.out), q, c.shape); (got != nil) != c.fits {
			t.Errorf("%s: %d octets of %d", c.what, len(got), whole)
		}
	}
	long := about(Asked)
	long.Additional[0].Data[0] = []byte("\xff" + strings.Repeat("x", 255))
	if got := Prepare(long).Finish(room, asking("\x03www\x07example\x00", 512), Shape{Bufsize: 4096}); got == nil || len(got) > 512 {
		t.Errorf("%d octets for a client that takes 512", len(got))
	}
	if got := Prepare(long).Finish(room, asking(dnsname.Name(strings.Repeat("\x09abcdefghi", 20)+"\x00"), 512), Shape{Bufsize: 4096}); got != nil {
		t.Errorf("%d octets, and there were more", len(got))
	}
	text := about(Asked)
	text.Answer[0].Type = wire.TypeTXT
	if Prepare(text).Finish(room, q, Shape{Bufsize: 4096, Rotate: 1}) != nil {
		t.Error("texts were rotated in place")
	}
}

func TestWhatIsNotTheSameForAllIsNotPrepared(t *testing.T) {
	for what, change := range map[string]func(*resolve.Result){
		"nothing to say":  func(r *resolve.Result) { r.Drop = true },
		"secure":          func(r *resolve.Result) { r.Rank = rank.Auth | rank.Secure },
		"remembered":      func(r *resolve.Result) { r.Remembered = true },
		"signatures":      func(r *resolve.Result) { r.Answer[0].Sigs = [][]byte{{1}} },
		"proofs":          func(r *resolve.Result) { r.Authority[0].Type = wire.TypeNSEC },
		"an alias":        func(r *resolve.Result) { r.Answer = append(r.Answer, r.Answer[0]) },
		"too many octets": func(r *resolve.Result) { r.Answer[0].Data = [][]byte{make([]byte, 40000), make([]byte, 30000)} },
	} {
		r := about(Asked)
		if change(r); Prepare(r) != nil {
			t.Errorf("%s is prepared", what)
		}
	}
}

func TestPreparedAnswersRotate(t *testing.T) {
	p := Prepare(about(Asked))
	q := asking("\x03www\x07example\x00", 1232)
	for by, want := range []byte{1, 2, 3, 1} {
		msg, err := wire.Parse(p.Finish(make([]byte, 0, 4096), q, Shape{Bufsize: 1232, Rotate: uint32(by)}))
		if err != nil || msg.Answer[0].RData[3] != want {
			t.Errorf("by %d: %v %v", by, msg, err)
		}
	}
}
