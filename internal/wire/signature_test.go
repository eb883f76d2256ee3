package wire

import (
	"strings"
	"testing"
)

// A signature that cannot be read proves nothing and takes nothing along: neither the rest of
// the message nor the set that it is said to cover. Whoever relies on the counts of a message
// has it refused.
func TestAMalformedSignatureIsLeftOut(t *testing.T) {
	const a = "\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"
	fixed := "\x00\x01" + strings.Repeat("x", SigFixed-2)
	for what, rdata := range map[string]string{
		"nothing": "", "one octet": "\x00", "the type alone": "\x00\x01", "no signer": fixed, "half a signer": fixed + "\x07exam",
		"a signer that is no name": fixed + "\x41x\x00", "a signer that points ahead": fixed + "\xc0\xff", "half a pointer": fixed + "\xc0",
		"a signer that ends behind the record": fixed + "\x02x", "a signer that is too long": fixed + strings.Repeat("\x01x", 128) + "\x00",
	} {
		msg := append(response(TypeRRSIG, len(rdata), rdata), a...)
		msg[7] = 2
		m, err := ParseReply(msg)
		if err != nil || len(m.Answer) != 1 || m.Answer[0].Type != TypeA || string(m.Answer[0].RData) != "\xc0\x00\x02\x01" {
			t.Errorf("%s: %+v, %v", what, m, err)
			continue
		}
		if _, err := Parse(msg); err == nil {
			t.Errorf("%s: Parse accepts it", what)
		}
		if sets := Group(m.Answer); len(sets) != 1 || len(sets[0].Sigs) != 0 {
			t.Errorf("%s: %+v", what, sets)
		}
	}
	if m, err := ParseReply(response(TypeRRSIG, 0, "")); err != nil || len(m.Answer) != 0 {
		t.Errorf("alone: %+v, %v", m, err)
	}
	if _, err := ParseReply(response(TypeRRSIG, 30, fixed)); err == nil {
		t.Error("a record behind the end is accepted")
	}
}
