package message

import (
	"testing"

	"kresd/internal/wire"
)

// A server's message without its malformed signature has counts of the records that are
// left, and one in the hands of a script is refused as it is.
func TestTheCountsOfAMessageWithAMalformedSignature(t *testing.T) {
	b := wire.NewBuilder(nil, 512, 5, wire.FlagQR)
	b.Question([]byte("\x01a\x00"), wire.TypeA, wire.ClassIN)
	b.RR(wire.Answer, "\x01a\x00", wire.TypeRRSIG, wire.ClassIN, 60, []byte{0, 1})
	b.RR(wire.Answer, "\x01a\x00", wire.TypeA, wire.ClassIN, 60, []byte{192, 0, 2, 1})
	m, err := wire.ParseReply(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	p := Of(m)
	walk(t, p.Octets())
	again, err := p.Msg()
	if err != nil || len(again.Answer) != 1 || again.Answer[0].Type != wire.TypeA || p.counts[1] != 1 {
		t.Errorf("%+v, %v, counts %v", again, err, p.counts)
	}
	if p = Unparsed(b.Bytes(), 512); p.Parse() == nil || string(p.Octets()) != string(b.Bytes()) {
		t.Error("a script's packet with a malformed signature has been read, or changed")
	}
}
