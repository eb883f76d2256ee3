package proctest

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// An Odd is a message that is not an ordinary question, and its one reaction.
type Odd struct {
	What   string
	Packet []byte
	// Want is the answer as Reaction writes it, or "silence".
	Want string
}

// oddID is the ID of every Odd that has one.
const oddID = 0x1234

const (
	qrBit = 1 << 15
	tcBit = 1 << 9
	rdBit = 1 << 8
	zBit  = 1 << 6
)

func opcode(n uint16) uint16 { return n << 11 }

// message is a header with the given flags and counts, and what follows.
func message(flags uint16, counts [4]uint16, parts ...[]byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, oddID)
	b = binary.BigEndian.AppendUint16(b, flags)
	for _, n := range counts {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return append(b, bytes.Join(parts, nil)...)
}

// question is one question; name is in wire form.
func question(name string, qtype, class uint16) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16([]byte(name), qtype), class)
}

// record is a resource record with TTL 0.
func record(owner string, rtype, class uint16, rdata string) []byte {
	b := append(question(owner, rtype, class), 0, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(rdata))), rdata...)
}

// opt is an OPT record that offers 1232 octets; ttl holds version and flags.
func opt(ttl uint32, options string) []byte {
	b := record("\x00", dns.TypeOPT, 1232, options)
	binary.BigEndian.PutUint32(b[5:], ttl)
	return b
}

// ask is a message with one question, and an additional section of one record for
// each of more.
func ask(name string, qtype, class uint16, more ...[]byte) []byte {
	return message(rdBit, [4]uint16{1, 0, 0, uint16(len(more))}, append([][]byte{question(name, qtype, class)}, more...)...)
}

// oddName is a name that testdata/zones has.
const oddName = "\x03www\x07example\x03com\x00"

// Odds are messages of every kind that a resolver must not stumble over (RFC
// 1035, 6891, 8906): with what they deserve from a resolver of testdata/zones
// that calls itself version and whose host is called host.
func Odds(version, host string) []Odd {
	return slices.Concat(notQueries(), malformed(), oddEDNS(), notImplemented(), answeredAllTheSame(), chaos(version, host))
}

const in, a = dns.ClassINET, dns.TypeA

// good is an ordinary question.
func good() []byte { return ask(oddName, a, in) }

// notQueries are what is no query, or too short to be answered.
func notQueries() []Odd {
	return []Odd{
		{"one octet", []byte{1}, "silence"},
		{"a header without its last octet", good()[:11], "silence"},
		{"an answer", message(qrBit, [4]uint16{1}, question(oddName, a, in)), "silence"},
		{"an answer's header", message(qrBit, [4]uint16{}), "silence"},
		{"an answer to NOTIFY", message(qrBit|opcode(4), [4]uint16{1}, question(oddName, a, in)), "silence"},
	}
}

// malformed are queries that cannot be read, or ask what nobody can.
func malformed() []Odd {
	label := strings.Repeat("\x3f"+strings.Repeat("x", 63), 4)
	return []Odd{
		{"a header only", message(rdBit, [4]uint16{}), "FORMERR"},
		{"a header that promises a question", message(rdBit, [4]uint16{1}), "FORMERR"},
		{"no question and an OPT", message(rdBit, [4]uint16{0, 0, 0, 1}, opt(0, "")), "FORMERR"},
		{"two questions", message(rdBit, [4]uint16{2}, question(oddName, a, in), question(oddName, a, in)), "FORMERR"},
		{"65535 questions", message(rdBit, [4]uint16{0xffff}, question(oddName, a, in)), "FORMERR"},
		{"an answer record", message(rdBit, [4]uint16{1, 1}, question(oddName, a, in), record(oddName, a, in, "\x01\x02\x03\x04")), "FORMERR"},
		{"an authority record", message(rdBit, [4]uint16{1, 0, 1}, question(oddName, a, in), record("\x00", dns.TypeNS, in, "\x00")), "FORMERR"},
		{"counts without records", message(rdBit, [4]uint16{1, 0xffff, 0xffff, 0xffff}, question(oddName, a, in)), "FORMERR"},
		{"the question cut in its name", good()[:20], "FORMERR"},
		{"the question cut in its type", good()[:len(good())-3], "FORMERR"},
		{"a name that points at itself", ask("\xc0\x0c", a, in), "FORMERR"},
		{"a name that points back and forth", ask("\x01a\xc0\x0c", a, in), "FORMERR"},
		{"a name that points behind the message", ask("\xc0\xff", a, in), "FORMERR"},
		{"a name that points into the header", ask("\x01a\xc0\x00", a, in), "FORMERR"},
		{"a label of type 01", ask("\x41\x00\x00", a, in), "FORMERR"},
		{"a label of type 10", ask("\x80\x00\x00", a, in), "FORMERR"},
		{"a name of 257 octets", ask(label+"\x00", a, in), "FORMERR"},
		{"an octet behind the end", append(good(), 0), "FORMERR question"},
		{"a second message behind the end", append(good(), good()...), "FORMERR question"},
		{"TYPE0", ask(oddName, 0, in), "FORMERR question"},
		{"NXNAME", ask(oddName, 128, in), "FORMERR question"},
		{"more than four additional records", ask(oddName, a, in, opt(0, ""), record("\x00", 99, in, ""), record("\x00", 99, in, ""), record("\x00", 99, in, ""), record("\x00", 99, in, "")), "FORMERR question"},
	}
}

// oddEDNS are OPT records that are malformed, or of another version (RFC 6891,
// section 6.1.3).
func oddEDNS() []Odd {
	return []Odd{
		{"OPT twice", ask(oddName, a, in, opt(0, ""), opt(0, "")), "FORMERR question OPT"},
		{"OPT that is not at the root", ask(oddName, a, in, append([]byte("\x01x"), opt(0, "")...)), "FORMERR question"},
		{"OPT cut off", ask(oddName, a, in, opt(0, "")[:8]), "FORMERR question"},
		{"OPT with half an option", ask(oddName, a, in, opt(0, "\x00\x0a")), "FORMERR question OPT"},
		{"OPT with an option that is longer than it", ask(oddName, a, in, opt(0, "\x00\x0a\x00\x09xxxxxxxx")), "FORMERR question OPT"},
		{"OPT with an option of 65535 octets", ask(oddName, a, in, opt(0, "\x00\x0a\xff\xff")), "FORMERR question OPT"},
		{"33 options", ask(oddName, a, in, opt(0, strings.Repeat("\xfd\xe9\x00\x00", 33))), "FORMERR question OPT"},
		{"an additional record cut off", ask(oddName, a, in, record("\x00", dns.TypeTSIG, dns.ClassANY, "xxxx")[:13]), "FORMERR question"},
		{"EDNS version 1", ask(oddName, a, in, opt(1<<16, "")), "BADVERS question OPT"},
		{"EDNS version 1 with half an option", ask(oddName, a, in, opt(1<<16, "\x00\x0a")), "BADVERS question OPT"},
		{"EDNS version 1 with an option that is longer than it", ask(oddName, a, in, opt(1<<16, "\x00\x0a\x00\x09x")), "BADVERS question OPT"},
		{"EDNS version 1 with 33 options", ask(oddName, a, in, opt(1<<16, strings.Repeat("\xfd\xe9\x00\x00", 33))), "BADVERS question OPT"},
		{"EDNS version 255 with an unknown option", ask(oddName, a, in, opt(255<<16, "\xfd\xe9\x00\x01x")), "BADVERS question OPT"},
	}
}

// notImplemented are opcodes, classes and types that a resolver does not serve.
func notImplemented() []Odd {
	changed := func(at int, to byte) []byte {
		b := good()
		b[at] = to
		return b
	}
	odds := []Odd{
		{"opcode IQUERY", changed(2, 1<<3|1), "NOTIMP"},
		{"opcode STATUS", changed(2, 2<<3|1), "NOTIMP"},
		{"opcode 3", changed(2, 3<<3|1), "NOTIMP"},
		{"opcode NOTIFY", message(opcode(4)|1<<10, [4]uint16{1}, question(oddName, dns.TypeSOA, in)), "NOTIMP"},
		{"opcode UPDATE", message(opcode(5), [4]uint16{1, 1}, question(oddName, dns.TypeSOA, in)), "NOTIMP"},
		{"opcode DSO", message(opcode(6), [4]uint16{}), "NOTIMP"},
		{"opcode 15", message(opcode(15), [4]uint16{1}, question(oddName, a, in)), "NOTIMP"},

		{"class 0", ask(oddName, a, 0), "NOTIMP question"},
		{"class HS", ask(oddName, a, dns.ClassHESIOD), "NOTIMP question"},
		{"class NONE", ask(oddName, a, dns.ClassNONE), "NOTIMP question"},
		{"class ANY", ask(oddName, a, dns.ClassANY, opt(0, "")), "NOTIMP question OPT"},
		{"class 65535", ask(oddName, a, 0xffff), "NOTIMP question"},
	}
	for name, t := range map[string]uint16{"OPT": 41, "TKEY": 249, "TSIG": 250, "IXFR": 251, "AXFR": 252, "MAILB": 253, "MAILA": 254, "TYPE129": 129, "TYPE248": 248} {
		odds = append(odds, Odd{"the type " + name, ask(oddName, t, in), "NOTIMP question"})
	}
	return odds
}

// answeredAllTheSame are ordinary in what matters.
func answeredAllTheSame() []Odd {
	return []Odd{
		{"flags that mean nothing here", message(rdBit|tcBit|zBit|0xf, [4]uint16{1}, question(oddName, a, in)), "NOERROR question A"},
		{"an OPT that offers nothing", ask(oddName, a, in, bytes.Replace(opt(0, ""), []byte{1232 >> 8, 1232 & 0xff}, []byte{0, 0}, 1)), "NOERROR question OPT A"},
		{"all flags of EDNS", ask(oddName, a, in, opt(0x7fff, "")), "NOERROR question OPT A"},
		{"an unknown option", ask(oddName, a, in, opt(0, "\xfd\xe9\x00\x03abc")), "NOERROR question OPT A"},
		{"a cookie of a wrong length", ask(oddName, a, in, opt(0, "\x00\x0a\x00\x01x")), "NOERROR question OPT A"},
		{"a client subnet of no family", ask(oddName, a, in, opt(0, "\x00\x08\x00\x04\xff\xff\xff\xff")), "NOERROR question OPT A"},
		{"a signature that nobody checks", ask(oddName, a, in, record("\x01k\x00", dns.TypeTSIG, dns.ClassANY, "xxxx")), "NOERROR question A"},
		{"an unknown type", ask(oddName, 65280, in), "NOERROR question"},
		{"TYPE65535", ask(oddName, 65535, in), "NOERROR question"},
		{"ANY", ask(oddName, dns.TypeANY, in), "NOERROR question HINFO"},
		{"the longest name", ask(strings.Repeat("\x3f"+strings.Repeat("x", 63), 3)+"\x39"+strings.Repeat("x", 57)+"\x03com\x00", a, in), "NXDOMAIN question"},
	}
}

// chaos are questions for the server itself, in class CH.
func chaos(version, host string) (odds []Odd) {
	const ch = dns.ClassCHAOS
	for name, text := range map[string]string{
		"\x07version\x04bind\x00": version, "\x07VERSION\x06Server\x00": version,
		"\x02id\x06server\x00": host, "\x08hostname\x04bind\x00": host,
	} {
		odds = append(odds,
			Odd{"CH TXT " + name, ask(name, dns.TypeTXT, ch), "NOERROR question TXT " + text},
			Odd{"CH TXT " + name + " with EDNS", ask(name, dns.TypeTXT, ch, opt(0, "")), "NOERROR question OPT TXT " + text},
			Odd{"CH A " + name, ask(name, a, ch), "REFUSED question"})
	}
	return append(odds,
		Odd{"CH TXT authors.bind", ask("\x07authors\x04bind\x00", dns.TypeTXT, ch), "REFUSED question"},
		Odd{"CH NS of the root", ask("\x00", dns.TypeNS, ch, opt(0, "")), "REFUSED question OPT"},
		Odd{"CH AXFR", ask("\x04bind\x00", dns.TypeAXFR, ch), "REFUSED question"})
}

// Reaction writes an answer to an Odd as Odd.Want has it: RCODE, whether it has
// the question and an OPT record, the type of its first record and, of TXT, the
// text. Anything strange about the answer is in it too.
func (o *Odd) Reaction(answer []byte) string {
	var m dns.Msg
	if err := m.Unpack(answer); err != nil {
		return err.Error()
	}
	rcode := m.Rcode
	edns := m.IsEdns0()
	if edns != nil {
		rcode = rcode&0xf | edns.ExtendedRcode()&^0xf
	}
	out := []string{dns.RcodeToString[rcode]}
	if rcode == dns.RcodeBadVers {
		out[0] = "BADVERS" // the library has BADSIG for it
	}
	if len(m.Question) == 1 {
		out = append(out, "question")
		if end := 12 + len(m.Question[0].Name); end < len(answer) && !bytes.HasPrefix(o.Packet[12:], answer[12:end]) {
			out = append(out, "that was not asked")
		}
	}
	if edns != nil {
		out = append(out, "OPT")
		if edns.Version() != 0 || edns.UDPSize() < 512 || edns.Z() != 0 {
			out = append(out, "which is odd")
		}
	}
	if !m.Response || m.Id != oddID || m.Zero || m.Opcode != int(o.Packet[2]>>3&0xf) {
		out = append(out, "header", m.MsgHdr.String())
	}
	if len(m.Answer) > 0 {
		out = append(out, dns.TypeToString[m.Answer[0].Header().Rrtype])
	}
	for _, rr := range m.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			out = append(out, txt.Txt...)
		}
	}
	return strings.Join(out, " ")
}
