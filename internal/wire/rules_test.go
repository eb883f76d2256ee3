package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
)

const example = "\x07example\x00"

// known are RDATA of all types whose RDATA has a form, with example. as the name; whether the
// name may be shortened on the way out (RFC 3597, section 4), and where it begins, -1 where
// there is none.
var known = []struct {
	rrtype   uint16
	rdata    string
	compress bool
	name     int
}{
	{TypeA, "1234", false, -1}, {TypeAAAA, "1234567890123456", false, -1},
	{TypeNS, example, true, 0}, {TypeCNAME, example, true, 0}, {TypePTR, example, true, 0},
	{3, example, true, 0}, {4, example, true, 0}, {7, example, true, 0}, {8, example, true, 0}, {9, example, true, 0},
	{TypeDNAME, example, false, 0}, {TypeSOA, example + "\x00" + strings.Repeat("x", 20), true, 0},
	{14, example + "\x00", true, 0}, {TypeMX, "\x00\x01" + example, true, 2},
	{18, "\x00\x01" + example, false, 2}, {21, "\x00\x01" + example, false, 2}, {36, "\x00\x01" + example, false, 2},
	{17, example + "\x00", false, 0}, {26, "\x00\x01" + example + "\x00", false, 2}, {TypeSRV, "\x00\x01\x00\x01\x00\x01" + example, false, 6},
	{35, "\x00\x01\x00\x01\x01a\x01b\x01c" + example, false, 10},
	{TypeSIG, strings.Repeat("x", 18) + example, false, 18}, {TypeRRSIG, strings.Repeat("x", 18) + example, false, 18},
	{TypeNSEC, example, false, 0}, {TypeHINFO, "\x01a\x01b", false, -1}, {TypeTXT, "\x01a", false, -1}, {99, "\x01a", false, -1},
	{TypeDS, "1234", false, -1}, {59, "1234", false, -1}, {32769, "1234", false, -1}, {TypeDNSKEY, "1234", false, -1}, {60, "1234", false, -1},
	{TypeNSEC3PARAM, "1234\x01a", false, -1}, {TypeNSEC3, "1234\x01a\x01b", false, -1},
}

// response is a message with the question example. A and one record of the root behind it,
// whose RDATA is said to have that many octets, and then further octets.
func response(rrtype uint16, length int, octets string) []byte {
	msg := append([]byte{0, 1, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0}, example+"\x00\x01\x00\x01\x00"...)
	msg = binary.BigEndian.AppendUint16(msg, rrtype)
	msg = append(msg, 0, 1, 0, 0, 0, 60)
	msg = binary.BigEndian.AppendUint16(msg, uint16(length))
	return append(msg, octets...)
}

// The RDATA of each type that is known is read by its form: as long as it is, no shorter, and
// a name in it ends where it ends.
func TestRDATAHasTheFormOfItsType(t *testing.T) {
	for _, k := range known {
		n := len(k.rdata)
		if m, err := Parse(response(k.rrtype, n, k.rdata)); err != nil || string(m.Answer[0].RData) != k.rdata {
			t.Errorf("type %d: %+v, %v", k.rrtype, m, err)
		}
		if _, err := Parse(response(k.rrtype, n-1, k.rdata[:n-1])); !errors.Is(err, ErrRData) && !errors.Is(err, ErrName) {
			t.Errorf("type %d without its last octet: %v", k.rrtype, err)
		}
		if k.name < 0 {
			continue
		}
		for short := k.name; short < k.name+len(example); short++ { // the message goes on behind the RDATA
			if _, err := Parse(response(k.rrtype, short, k.rdata)); err == nil {
				t.Errorf("type %d: RDATA of %d octets ends within its name", k.rrtype, short)
			}
		}
	}
	if _, err := Parse(response(65280, 3, "abc")); err != nil {
		t.Errorf("a type that is not known: %v", err)
	}
}

// Names in RDATA are shortened in the types of RFC 1035 alone.
func TestWhoseNamesAreShortened(t *testing.T) {
	for _, k := range known {
		b := NewBuilder(nil, 512, 1, FlagQR)
		b.Question([]byte(example), k.rrtype, ClassIN)
		from := b.Len()
		b.RR(Answer, example, k.rrtype, ClassIN, 60, []byte(k.rdata))
		want := 12 + len(k.rdata)
		if k.compress {
			want += 2 - len(example)
		}
		if got := b.Len() - from; got != want {
			t.Errorf("type %d: a record of %d octets, want %d", k.rrtype, got, want)
		}
		if m, err := Parse(b.Bytes()); err != nil || string(m.Answer[0].RData) != k.rdata {
			t.Errorf("type %d: %+v, %v", k.rrtype, m, err)
		}
	}
}

// RDATA that has not the form of its type is written as it is.
func TestRDATAOfAnotherFormIsWrittenAsItIs(t *testing.T) {
	for _, rdata := range []string{"", "\x3fshort", "\x00\x01\x3fshort", "\xc0\x0c", "\x00"} {
		for _, rrtype := range []uint16{TypeMX, TypeNS, TypeSOA} {
			b := NewBuilder(nil, 512, 1, FlagQR)
			b.RR(Answer, dnsname.Root, rrtype, ClassIN, 60, []byte(rdata))
			if got := b.Bytes()[HeaderLen+11:]; string(got) != rdata {
				t.Errorf("type %d: %q became %q", rrtype, rdata, got)
			}
		}
	}
}

// A name is shortened by all that was written, also by what is itself written short.
func TestNamesAreShortenedByShortOnes(t *testing.T) {
	b := NewBuilder(nil, 512, 1, FlagQR)
	b.Question([]byte(example), TypeA, ClassIN)
	for _, c := range []struct {
		name   dnsname.Name
		octets int
	}{{"\x03www" + example, 4 + 2}, {"\x01a\x03www" + example, 2 + 2}, {"\x01b\x01a\x03www" + example, 2 + 2}, {"\x01a\x03www" + example, 2}, {"\x03www" + example, 2}, {dnsname.Root, 1}, {"\x03www" + example, 2}} {
		from := b.Len()
		if b.RR(Answer, c.name, TypeA, ClassIN, 60, []byte("1234")); b.Len()-from != c.octets+14 {
			t.Errorf("%s: %d octets, want %d", c.name, b.Len()-from-14, c.octets)
		}
	}
	m, err := Parse(b.Bytes())
	if err != nil || len(m.Answer) != 7 || m.Answer[2].Owner != "\x01b\x01a\x03www"+example || m.Answer[6].Owner != "\x03www"+example {
		t.Errorf("%+v, %v", m, err)
	}
}

// A message takes records to its last octet. What does not fit leaves no trace, and its owner
// is written anew by the next record that has it.
func TestWhatDoesNotFitLeavesNoTrace(t *testing.T) {
	long := "\xff" + strings.Repeat("x", 255)
	full := HeaderLen + len(example) + 10 + len(long)
	for _, most := range []int{full, full - 1} {
		b := NewBuilder(nil, most, 1, FlagQR)
		fits := b.RR(Answer, example, TypeTXT, ClassIN, 60, []byte(long))
		if fits != (most == full) || b.Truncated() == fits || len(b.TTLs()) != map[bool]int{true: 1}[fits] {
			t.Errorf("%d octets in %d: %v, truncated %v, %d TTLs", full, most, fits, b.Truncated(), len(b.TTLs()))
		}
		if !fits {
			b.RR(Answer, example, TypeTXT, ClassIN, 60, []byte("\x01x"))
			b.RR(Answer, example, TypeTXT, ClassIN, 60, []byte("\x01y"))
			if m, err := Parse(b.Bytes()); err != nil || len(m.Answer) != 2 || m.Answer[0].Owner != example || m.Answer[1].Owner != example {
				t.Errorf("behind it: %+v, %v", m, err)
			}
		}
	}
}

// Signatures are written with their set where they are wanted, and all of it or nothing.
func TestSetsAreWrittenWithTheirSignatures(t *testing.T) {
	set := RRset{Owner: example, Type: TypeA, Class: ClassIN, Data: [][]byte{[]byte("1234"), []byte("5678")}, Sigs: [][]byte{[]byte(strings.Repeat("x", 18) + example)}}
	size := map[bool]int{}
	for _, sigs := range []bool{false, true} {
		b := NewBuilder(nil, 512, 1, FlagQR)
		b.RRset(Answer, &set, 60, sigs)
		size[sigs] = b.Len()
		if m, err := Parse(b.Bytes()); err != nil || len(m.Answer) != 2+map[bool]int{true: 1}[sigs] {
			t.Errorf("signatures %v: %+v, %v", sigs, m, err)
		}
		b = NewBuilder(nil, size[sigs]-1, 1, FlagQR)
		if b.RRset(Answer, &set, 60, sigs) || b.Len() != HeaderLen || len(b.TTLs()) != 0 || binary.BigEndian.Uint16(b.Bytes()[6:]) != 0 {
			t.Errorf("signatures %v, an octet too few: %x", sigs, b.Bytes())
		}
	}
}

// An OPT record goes without its options where these do not fit, and is left out where it
// does not fit itself.
func TestAnOPTRecordAtTheBoundOfAMessage(t *testing.T) {
	options := AppendOption(nil, 3, []byte("nsid"))
	for most, want := range map[int]string{HeaderLen + OPTLen + len(options): "all", HeaderLen + OPTLen + len(options) - 1: "no options", HeaderLen + OPTLen: "no options", HeaderLen + OPTLen - 1: "none"} {
		b := NewBuilder(nil, most, 1, FlagQR)
		ok := b.OPT(1232, 0x17, true, options)
		m, err := Parse(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		got := "none"
		switch {
		case m.HasEDNS && bytes.Equal(m.Options, options):
			got = "all"
		case m.HasEDNS:
			got = "no options"
		}
		if got != want || ok != m.HasEDNS || m.HasEDNS && (m.Rcode != 0x17 || !m.DO || m.UDPSize != 1232) {
			t.Errorf("in %d octets: %s (%v), want %s; %+v", most, got, ok, want, m)
		}
	}
}

// RCODE, question and EDNS of an answer are read as they stand.
func TestTheHeadOfAnAnswer(t *testing.T) {
	b := NewBuilder(nil, 512, 7, FlagQR|RcodeRefused)
	b.Question([]byte("\x07ExAmple\x00"), TypeTXT, ClassIN)
	plain := bytes.Clone(b.Bytes())
	if m, err := Parse(plain); err != nil || m.ID != 7 || m.Rcode != RcodeRefused || m.Question != example || string(m.RawName) != "\x07ExAmple\x00" ||
		m.QType != TypeTXT || m.QClass != ClassIN || m.HasEDNS || m.UDPSize != limits.MinBufsize {
		t.Errorf("%+v, %v", m, err)
	}
	b.OPT(4096, 0xab5, false, nil)
	if m, err := Parse(b.Bytes()); err != nil || m.Rcode != 0xab5 || !m.HasEDNS || m.UDPSize != 4096 || m.DO || m.Version != 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

// There is one OPT record, of the root, in the additional section (RFC 6891, section 6.1.1).
func TestWhereAnOPTRecordMayStand(t *testing.T) {
	opt := AppendOPT(nil, 1232, 0, false, nil)
	of := func(section, n int, rr []byte) []byte {
		msg := []byte{0, 1, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		msg[7+2*section] = byte(n)
		return append(msg, bytes.Repeat(rr, n)...)
	}
	if _, err := Parse(of(2, 1, opt)); err != nil {
		t.Errorf("one: %v", err)
	}
	for what, msg := range map[string][]byte{
		"in the answer": of(0, 1, opt), "in authority": of(1, 1, opt), "two": of(2, 2, opt), "of another name": of(2, 1, append([]byte("\x01a"), opt...)),
	} {
		if _, err := Parse(msg); !errors.Is(err, ErrOPT) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Names have labels of up to 63 octets and 255 in all, in questions of clients and elsewhere;
// pointers lead before the name that they end, and never into the header.
func TestWhatIsAName(t *testing.T) {
	label := "\x3f" + strings.Repeat("a", 63)
	longest := strings.Repeat(label, 3) + "\x3d" + strings.Repeat("b", 61) + "\x00"
	for name, ok := range map[string]bool{
		"\x00": true, example: true, label + "\x00": true, longest: true,
		strings.Repeat(label, 3) + "\x3e" + strings.Repeat("b", 62) + "\x00": false,
		strings.Repeat(label, 4) + "\x00":                                    false,
		"\x40" + strings.Repeat("a", 64) + "\x00":                            false, "\x80" + strings.Repeat("a", 128) + "\x00": false,
	} {
		msg := append([]byte{0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, name+"\x00\x01\x00\x01"...)
		var q Question
		if got := q.Parse(msg) == Fine; got != ok || ok && string(q.Name) != name {
			t.Errorf("a client's question of %d octets, the first label %#x: %v", len(name), name[0], got)
		}
		if _, err := Parse(msg); (err == nil) != ok {
			t.Errorf("a name of %d octets, the first label %#x: %v", len(name), name[0], err)
		}
	}
	for what, c := range map[string]struct {
		octets string
		ok     bool
	}{
		"to the question":                     {"\xc0\x0c", true},
		"to itself":                           {"\xc0\x19", false},
		"into the header":                     {"\xc0\x0b", false},
		"forwards":                            {"\xc0\x1b\x00", false},
		"a label, then the question":          {"\x01a\xc0\x0c", true},
		"a label, then itself":                {"\x01a\xc0\x19", false},
		"half a pointer at the message's end": {"\xc0", false},
	} {
		msg := append([]byte{0, 1, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0}, example+"\x00\x01\x00\x01"...)
		if msg = append(msg, c.octets...); what != "half a pointer at the message's end" {
			msg = append(msg, "\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x041234"...)
		}
		if _, err := Parse(msg); (err == nil) != c.ok {
			t.Errorf("a pointer %s: %v", what, err)
		}
	}
	// A name at 25 points to 29, and what stands there to 27, behind where it came from.
	msg := append([]byte{0, 1, 0x80, 0, 0, 1, 0, 2, 0, 0, 0, 0}, example+"\x00\x01\x00\x01"...)
	first := len(msg)
	msg = append(msg, "\x01a\x01b\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x05\x04\x01c\xc0"...) // TXT with a name in it
	inside := len(msg) - 3
	msg = append(msg, byte(first+2)) // b, behind a
	msg = append(msg, 0xc0, byte(inside))
	msg = append(msg, "\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x041234"...)
	if m, err := Parse(msg); err != nil || m.Answer[1].Owner != "\x01c\x01b"+example {
		t.Errorf("backwards twice: %+v, %v", m, err)
	}
	msg[inside+3] = byte(inside) // in a circle
	if _, err := Parse(msg); !errors.Is(err, ErrName) {
		t.Errorf("in a circle: %v, want %v", err, ErrName)
	}
}

// A Question is that of the last message, whatever was read before.
func TestAQuestionIsReadAnew(t *testing.T) {
	var q Question
	long := AppendQuery(nil, 1, FlagRD, []byte(example), TypeTXT, ClassIN, 1232, true, AppendOption(nil, 3, nil))
	if p := q.Parse(long); p != Fine || !q.HasEDNS || !q.DO {
		t.Fatalf("problem %d, %+v", p, q)
	}
	short := AppendQuery(nil, 2, 0, []byte("\x00"), TypeA, ClassIN, 0, false, nil)
	if p := q.Parse(short); p != Fine || q.HasEDNS || q.DO || q.UDPSize != limits.MinBufsize || len(q.Options) != 0 || q.Version != 0 {
		t.Errorf("problem %d, %+v", p, q)
	}
	if p := q.Parse(short[:5]); p != Silent || q.Name != nil {
		t.Errorf("problem %d, %+v", p, q)
	}
	for n := range len(short) - HeaderLen { // cut off within the question
		if p := q.Parse(short[:HeaderLen+n]); p != FormErr || q.Name != nil {
			t.Errorf("%d octets of the question: problem %d", n, p)
		}
	}
}

// A client may send as many records beside its question as the limit says, and no more.
func TestHowManyRecordsAClientMaySend(t *testing.T) {
	for n, want := range map[int]Problem{limits.MaxRRsFromClient: Fine, limits.MaxRRsFromClient + 1: FormErr} {
		msg := AppendQuery(nil, 1, 0, []byte(example), TypeA, ClassIN, 0, false, nil)
		binary.BigEndian.PutUint16(msg[10:], uint16(n))
		msg = append(msg, bytes.Repeat([]byte("\x00\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x00"), n)...)
		var q Question
		if got := q.Parse(msg); got != want || (q.Over != limits.None) != (want == FormErr) {
			t.Errorf("%d records: problem %d, limit %v", n, got, q.Over)
		}
	}
}

// A set lives as long as its record, or signature, that lives least (RFC 2181, section 5.2).
func TestTheLeastTTLOfASetCounts(t *testing.T) {
	rr := func(ttl uint32, data string) RR { return RR{example, TypeA, ClassIN, ttl, []byte(data)} }
	sig := RR{example, TypeRRSIG, ClassIN, 20, []byte("\x00\x01" + strings.Repeat("x", 16) + example)}
	for _, c := range []struct {
		rrs  []RR
		want uint32
	}{
		{[]RR{rr(60, "1234"), rr(30, "5678"), rr(40, "abcd")}, 30},
		{[]RR{rr(60, "1234"), rr(30, "1234")}, 30},
		{[]RR{rr(60, "1234"), sig}, 20},
	} {
		if sets := Group(c.rrs); len(sets) != 1 || sets[0].TTL != c.want {
			t.Errorf("got %+v, want the TTL %d", sets, c.want)
		}
	}
	if sets := Group(nil); len(sets) != 0 {
		t.Errorf("of nothing: %+v", sets)
	}
}

// What is too short for an RRSIG names no signer.
func TestTheSignerOfWhatIsNoSignature(t *testing.T) {
	for n := range SigFixed + 1 {
		if by := Signer(make([]byte, n)); by != "" {
			t.Errorf("%d octets: %q", n, by)
		}
	}
	if by := Signer(append(make([]byte, SigFixed), example...)); by != example {
		t.Errorf("got %q", by)
	}
}

// A bit map whose block is empty or too long says nothing about any type.
func TestInBitmapReadsNoDamagedBlock(t *testing.T) {
	for what, c := range map[string]struct {
		m    string
		want bool
	}{
		"one block":                   {"\x00\x01\x40", true},
		"behind another block":        {"\x01\x01\x20\x00\x01\x40", true},
		"behind an empty block":       {"\x01\x00\x00\x01\x40", false},
		"in a block of 33 octets":     {"\x00\x21\x40" + strings.Repeat("\x00", 32), false},
		"in a block of 32 octets":     {"\x00\x20\x40" + strings.Repeat("\x00", 31), true},
		"in a block that is cut off":  {"\x00\x02\x40", false},
		"behind a block of 33 octets": {"\x01\x21" + strings.Repeat("\x00", 33) + "\x00\x01\x40", false},
	} {
		if got := InBitmap([]byte(c.m), TypeA); got != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// A response may end with the record that decides how long it may be kept.
func TestTheLifetimeOfAResponseWithNothingBehind(t *testing.T) {
	msg := response(TypeA, 4, "1234")
	if got := Lifetime(msg); got != 60 {
		t.Errorf("got %d, want 60", got)
	}
	for n := range msg {
		if got := Lifetime(msg[:n]); got != 0 {
			t.Errorf("%d octets of it: %d", n, got)
		}
	}
}

// A record behind a client's question that is cut off anywhere makes no message.
func TestARecordOfAClientThatIsCutOff(t *testing.T) {
	msg := AppendQuery(nil, 1, 0, []byte(example), TypeA, ClassIN, 0, false, nil)
	whole := len(msg)
	msg[11] = 1
	msg = append(msg, "\x01a\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x02\x01x"...)
	var q Question
	if p := q.Parse(msg); p != Fine {
		t.Fatalf("problem %d", p)
	}
	for n := whole; n < len(msg); n++ {
		if p := q.Parse(msg[:n:n]); p != FormErr {
			t.Errorf("%d octets of the record: problem %d", n-whole, p)
		}
	}
}

// Names that expand to more than a message could hold without pointers are not read, be they
// in RDATA too.
func TestNamesInRDATADoNotExpandWithoutBound(t *testing.T) {
	long := strings.Repeat("\x3f"+strings.Repeat("a", 63), 3) + "\x3d" + strings.Repeat("b", 61) + "\x00"
	most := (limits.ExpandedNameBytes - len(long)) / (len(long) + 1) // beside the question's, each with its owner
	for records, ok := range map[int]bool{most: true, most + 1: false} {
		msg := append([]byte{0, 1, 0x80, 0, 0, 1, byte(records >> 8), byte(records), 0, 0, 0, 0}, long+"\x00\x02\x00\x01"...)
		msg = append(msg, bytes.Repeat([]byte("\x00\x00\x02\x00\x01\x00\x00\x00\x3c\x00\x02\xc0\x0c"), records)...)
		if _, err := Parse(msg); (err == nil) != ok || err != nil && err != ErrLongNames {
			t.Errorf("%d names of %d octets: %v", records, len(long), err)
		}
	}
}
