package wire

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/dnsname"
)

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func query(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.Id = 0x1234
	return m
}

func TestQuestionReadsWhatAClientSends(t *testing.T) {
	m := query("WwW.Example.COM.", dns.TypeAAAA)
	m.CheckingDisabled = true
	m.SetEdns0(1400, true)
	pkt := pack(t, m)
	var q Question
	if p := q.Parse(pkt); p != Fine {
		t.Fatalf("Parse = %v", p)
	}
	if q.ID != 0x1234 || q.Type != TypeAAAA || q.Class != ClassIN || !q.RD() || !q.CD() || q.AD() || !q.DO || q.UDPSize != 1400 || !q.HasEDNS {
		t.Errorf("got %+v", q)
	}
	if string(q.Name) != "\x03WwW\x07Example\x03COM\x00" || !bytes.Equal(pkt[12:q.End-4], q.Name) {
		t.Errorf("name %q, end %d", q.Name, q.End)
	}
	if n := testing.AllocsPerRun(100, func() { q.Parse(pkt) }); n != 0 {
		t.Errorf("Parse allocates %v times", n)
	}
}

func TestQuestionRefuses(t *testing.T) {
	good := pack(t, query("a.example.", dns.TypeA))
	edit := func(fn func(b []byte) []byte) []byte { return fn(bytes.Clone(good)) }
	opt := AppendOPT(nil, 1232, 0, false, nil)
	cases := map[string]struct {
		pkt  []byte
		want Problem
	}{
		"eleven octets":           {good[:11], Silent},
		"a response":              {edit(func(b []byte) []byte { b[2] |= 0x80; return b }), Silent},
		"opcode NOTIFY":           {edit(func(b []byte) []byte { b[2] |= 4 << 3; return b }), NotImp},
		"header only":             {append(bytes.Clone(good[:4]), 0, 0, 0, 0, 0, 0, 0, 0), FormErr},
		"two questions":           {edit(func(b []byte) []byte { b[5] = 2; return b }), FormErr},
		"an answer record":        {edit(func(b []byte) []byte { b[7] = 1; return b }), FormErr},
		"trailing octet":          {edit(func(b []byte) []byte { return append(b, 0) }), FormErr},
		"question cut short":      {good[:len(good)-1], FormErr},
		"compressed question":     {edit(func(b []byte) []byte { b[12] = 0xc0; return b }), FormErr},
		"TYPE0":                   {edit(func(b []byte) []byte { b[len(b)-3] = 0; return b }), FormErr},
		"two OPT":                 {edit(func(b []byte) []byte { b[11] = 2; return append(append(b, opt...), opt...) }), FormErr},
		"OPT promised, not there": {edit(func(b []byte) []byte { b[11] = 1; return b }), FormErr},
		"OPT not at the root":     {edit(func(b []byte) []byte { b[11] = 1; return append(append(b, 1, 'x'), opt...) }), FormErr},
		"option longer than OPT": {edit(func(b []byte) []byte {
			b[11] = 1
			return append(b, AppendOPT(nil, 1232, 0, false, []byte{0, 3, 0, 9, 1})...)
		}), FormErr},
		"EDNS version 1":           {edit(func(b []byte) []byte { b[11] = 1; o := bytes.Clone(opt); o[6] = 1; return append(b, o...) }), BadVers},
		"five additional records":  {edit(func(b []byte) []byte { b[11] = 5; return b }), FormErr},
		"a record that is skipped": {edit(func(b []byte) []byte { b[11] = 1; return append(b, 0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 1, 7) }), Fine},
	}
	for what, c := range cases {
		var q Question
		if got := q.Parse(c.pkt); got != c.want {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}

func answer(t testing.TB, rrs ...string) *dns.Msg {
	m := query("www.example.com.", dns.TypeA)
	m.Response, m.Authoritative = true, true
	for _, s := range rrs {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

func TestParseMakesCanonicalRecords(t *testing.T) {
	m := answer(t, "WWW.Example.com. 300 IN CNAME Target.Example.COM.", "target.example.com. 60 IN MX 10 Mail.Example.com.",
		"target.example.com. 60 IN TXT \"Keep My Case\"", "target.example.com. 60 IN RRSIG A 13 3 60 20300101000000 20200101000000 1 Example.com. AAAA")
	m.Compress = true
	m.SetEdns0(1232, true)
	got, err := Parse(pack(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if got.Question.String() != "www.example.com." || !got.AA() || !got.HasEDNS || !got.DO || len(got.Additional) != 0 {
		t.Errorf("header, question or EDNS is wrong: %+v", got)
	}
	want := []string{"\x06target\x07example\x03com\x00", "\x00\x0a\x04mail\x07example\x03com\x00", "\x0cKeep My Case"}
	for i, w := range want {
		if string(got.Answer[i].RData) != w {
			t.Errorf("RDATA %d = %q, want %q", i, got.Answer[i].RData, w)
		}
	}
	if !bytes.Contains(got.Answer[3].RData, []byte("\x07example\x03com\x00")) {
		t.Errorf("the signer's name is not in lower case: %q", got.Answer[3].RData)
	}
}

func TestParseRefuses(t *testing.T) {
	good := pack(t, answer(t, "www.example.com. 300 IN A 192.0.2.1"))
	edit := func(fn func(b []byte) []byte) []byte { return fn(bytes.Clone(good)) }
	for what, pkt := range map[string][]byte{
		"header cut":                good[:11],
		"trailing octet":            edit(func(b []byte) []byte { return append(b, 0) }),
		"one record more promised":  edit(func(b []byte) []byte { b[7] = 2; return b }),
		"65535 records promised":    edit(func(b []byte) []byte { b[6], b[7] = 0xff, 0xff; return b }),
		"two questions":             edit(func(b []byte) []byte { b[5] = 2; return b }),
		"RDLENGTH 0 for A":          edit(func(b []byte) []byte { b = b[:len(b)-4]; b[len(b)-1] = 0; return b }),
		"RDLENGTH 5 for A":          edit(func(b []byte) []byte { b[len(b)-5] = 5; return append(b, 1) }),
		"owner points at itself":    edit(func(b []byte) []byte { return pointOwner(b, 33) }),
		"owner points forward":      edit(func(b []byte) []byte { return pointOwner(b, 40) }),
		"owner points into header":  edit(func(b []byte) []byte { return pointOwner(b, 4) }),
		"label type 0x40":           edit(func(b []byte) []byte { b[12] = 0x41; return b }),
		"name runs out of the data": good[:20],
	} {
		if _, err := Parse(pkt); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	for what, pkt := range map[string][]byte{
		"the unharmed message":  good,
		"the same, about types": pack(t, answer(t, "www.example.com. 300 IN NSEC Xx.example.com. A")),
	} {
		if _, err := Parse(pkt); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A pointer in NSEC's next name was passed on, and meant another name in the
// message for the client.
func TestParseRefusesAPointerInNSEC(t *testing.T) {
	pkt := pack(t, answer(t, "www.example.com. 300 IN NSEC x. A"))
	next := bytes.LastIndex(pkt, []byte("\x01x\x00"))
	for what, name := range map[string]string{"a pointer": "\xc0\x0c\x00", "cut": "\x3fx\x00"} {
		bad := append(append(bytes.Clone(pkt[:next]), name...), pkt[next+3:]...)
		if _, err := Parse(bad); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

// pointOwner replaces the answer's owner in the uncompressed message by a
// pointer.
func pointOwner(b []byte, to byte) []byte {
	q := 12 + 17 + 4
	return append(append(bytes.Clone(b[:q]), 0xc0, to), b[q+17:]...)
}

func TestGroupJoinsSignatures(t *testing.T) {
	m := answer(t, "a.example. 300 IN A 192.0.2.1", "a.example. 100 IN A 192.0.2.2", "a.example. 300 IN A 192.0.2.1",
		"a.example. 50 IN RRSIG A 13 2 300 20300101000000 20200101000000 1 example. AAAA", "a.example. 300 IN AAAA 2001:db8::1",
		"b.example. 300 IN RRSIG TXT 13 2 300 20300101000000 20200101000000 1 example. AAAA")
	msg, err := Parse(pack(t, m))
	if err != nil {
		t.Fatal(err)
	}
	sets := Group(msg.Answer)
	if len(sets) != 2 {
		t.Fatalf("%d sets", len(sets))
	}
	if a := sets[0]; len(a.Data) != 2 || len(a.Sigs) != 1 || a.TTL != 50 {
		t.Errorf("A set has %d records, %d signatures, TTL %d; want 2, 1, 50", len(a.Data), len(a.Sigs), a.TTL)
	}
}

func TestBuilderIsReadByTheLibrary(t *testing.T) {
	m, err := Parse(pack(t, answer(t, "www.example.com. 300 IN CNAME web.example.com.", "web.example.com. 60 IN A 192.0.2.1", "web.example.com. 60 IN A 192.0.2.2")))
	if err != nil {
		t.Fatal(err)
	}
	sets := Group(m.Answer)
	b := NewBuilder(nil, 4096, 7, FlagQR|FlagRA)
	b.Question([]byte("\x03WWW\x07Example\x03com\x00"), TypeA, ClassIN)
	for i := range sets {
		if !b.RRset(Answer, &sets[i], sets[i].TTL, true) {
			t.Fatal("does not fit")
		}
	}
	b.OPT(1232, 0, true, nil)
	var got dns.Msg
	if err := got.Unpack(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	if len(got.Answer) != 3 || got.Question[0].Name != "WWW.Example.com." || got.IsEdns0() == nil || !got.IsEdns0().Do() {
		t.Errorf("got %v", &got)
	}
	if got.Answer[1].String() != "web.Example.com.\t60\tIN\tA\t192.0.2.1" {
		t.Errorf("second record %q", got.Answer[1])
	}
	if len(b.TTLs()) != 3 {
		t.Errorf("%d TTL offsets, want 3", len(b.TTLs()))
	}
	for i, at := range b.TTLs() {
		if ttl := b.Bytes()[at+3]; uint32(ttl) != got.Answer[i].Header().Ttl&0xff {
			t.Errorf("TTL offset %d points at %d", i, ttl)
		}
	}
}

func TestBuilderLeavesOutWhatDoesNotFit(t *testing.T) {
	set := RRset{Owner: "\x01a\x00", Type: TypeTXT, Class: ClassIN, Data: [][]byte{bytes.Repeat([]byte{'x'}, 300), bytes.Repeat([]byte{'y'}, 300)}}
	b := NewBuilder(nil, 512, 1, FlagQR)
	b.Question([]byte("\x01a\x00"), TypeTXT, ClassIN)
	before := b.Len()
	if b.RRset(Answer, &set, 60, false) || b.Len() != before || len(b.TTLs()) != 0 || b.Bytes()[7] != 0 || !b.Truncated() {
		t.Errorf("half a set was left behind: %d octets, %d TTLs, ANCOUNT %d", b.Len(), len(b.TTLs()), b.Bytes()[7])
	}
}

func FuzzQuestion(f *testing.F) {
	f.Add(pack(f, query("a.example.", dns.TypeA)))
	m := query("a.example.", dns.TypeANY)
	m.SetEdns0(4096, true)
	f.Add(pack(f, m))
	f.Fuzz(func(t *testing.T, pkt []byte) {
		var q Question
		if q.Parse(pkt) != Fine {
			return
		}
		if _, err := dnsname.FromWire(q.Name); err != nil {
			t.Fatalf("name %x: %v", q.Name, err)
		}
		if err := new(dns.Msg).Unpack(pkt); err != nil && q.Class != 0 && !q.HasEDNS && pkt[11] == 0 {
			t.Fatalf("the library refuses what was taken: %v", err)
		}
	})
}

// What is accepted of a server must survive being built again: same records, and within
// the bounds that Parse promises. What Parse accepts is read alike.
func FuzzParse(f *testing.F) {
	f.Add(pack(f, answer(f, "www.example.com. 300 IN A 192.0.2.1")))
	m := answer(f, "www.example.com. 300 IN CNAME b.example.com.", "b.example.com. 1 IN MX 1 c.example.com.", "b.example.com. 1 IN SOA a. b. 1 2 3 4 5",
		"b.example.com. 1 IN SRV 1 2 3 t.example.com.", "b.example.com. 1 IN NAPTR 1 2 \"u\" \"s\" \"r\" .", "b.example.com. 1 IN NSEC c.example.com. A RRSIG")
	m.Compress = true
	m.SetEdns0(1232, true)
	f.Add(pack(f, m))
	f.Fuzz(func(t *testing.T, pkt []byte) {
		m, err := ParseReply(pkt)
		strict, refused := Parse(pkt)
		if err != nil && refused == nil || refused == nil && !reflect.DeepEqual(m, strict) {
			t.Fatalf("a server's message that is well formed: %+v, %v; otherwise %+v", m, err, strict)
		}
		if err != nil {
			return
		}
		b := NewBuilder(nil, 1<<20, m.ID, m.Flags)
		for i, section := range [][]RR{m.Answer, m.Authority, m.Additional} {
			for _, rr := range section {
				if !b.RR(Section(i), rr.Owner, rr.Type, rr.Class, rr.TTL, rr.RData) {
					return // over 64 KiB once uncompressed
				}
			}
		}
		again, err := Parse(b.Bytes())
		if err != nil {
			t.Fatalf("built again it does not parse: %v\n%x", err, b.Bytes())
		}
		for i, pair := range [][2][]RR{{m.Answer, again.Answer}, {m.Authority, again.Authority}, {m.Additional, again.Additional}} {
			if len(pair[0]) != len(pair[1]) {
				t.Fatalf("section %d: %d records became %d", i, len(pair[0]), len(pair[1]))
			}
			for j := range pair[0] {
				a, b := pair[0][j], pair[1][j]
				if a.Owner != b.Owner || a.Type != b.Type || a.TTL != b.TTL || !bytes.Equal(a.RData, b.RData) {
					t.Fatalf("record %v became %v", a, b)
				}
			}
		}
	})
}

func BenchmarkQuestionParse(b *testing.B) {
	m := query("www.example.com.", dns.TypeA)
	m.SetEdns0(1232, false)
	pkt := pack(b, m)
	var q Question
	b.ReportAllocs()
	for b.Loop() {
		q.Parse(pkt)
	}
}

func TestHasOption(t *testing.T) {
	q := Question{Options: []byte{0, 12, 0, 3, 1, 2, 3, 0, 11, 0, 0}}
	for code, want := range map[uint16]bool{OptionPadding: true, OptionKeepalive: true, OptionCookie: false} {
		if q.HasOption(code) != want {
			t.Errorf("option %d: %t", code, !want)
		}
	}
}
