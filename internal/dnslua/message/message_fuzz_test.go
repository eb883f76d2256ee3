package message

import (
	"bytes"
	"encoding/binary"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

// use does all to a packet that a script may, and checks what holds whatever it is.
func use(t *testing.T, p *Message) {
	out := p.Octets()
	if len(out) < wire.HeaderLen || len(out) > p.max || len(out) != p.Size() {
		t.Fatalf("%d octets, size %d, at most %d", len(out), p.Size(), p.max)
	}
	_ = p.Text()
	for s := range p.records {
		_ = grouped(p.Records(s))
		for _, set := range grouped(p.records[s]) {
			_ = Usual().Lines(&set)
		}
	}
}

// Whatever octets a script makes a packet of: what can be read is the same when it is
// written again, and what cannot stays what it was.
func FuzzAPacketOfOctets(f *testing.F) {
	query := wire.AppendQuery(nil, 7, wire.FlagRD, []byte("\x03wWw\x07example\x00"), wire.TypeA, wire.ClassIN, 1232, true, []byte{0, 10, 0, 1, 5})
	f.Add(query)
	b := wire.NewBuilder(nil, 512, 5, wire.FlagQR)
	b.Question([]byte("\x01a\x00"), wire.TypeMX, wire.ClassIN)
	b.RR(wire.Answer, "\x01a\x00", wire.TypeMX, wire.ClassIN, 60, []byte("\x00\x05\x01b\x01a\x00"))
	b.RR(wire.Additional, "\x01b\x01a\x00", wire.TypeA, wire.ClassIN, 60, []byte{1, 2, 3, 4})
	f.Add(b.Bytes())
	b.RR(wire.Additional, "\x01b\x01a\x00", wire.TypeRRSIG, wire.ClassIN, 60, []byte{0, 1}) // a malformed signature
	f.Add(b.Bytes())
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, octets []byte) {
		if len(octets) < wire.HeaderLen || len(octets) > 0xffff {
			return
		}
		p := Unparsed(octets, 512)
		use(t, p)
		if !bytes.Equal(p.Octets(), octets) {
			t.Fatal("an unparsed copy differs")
		}
		if p.Parse() != nil {
			if !bytes.Equal(p.Octets(), octets) {
				t.Fatal("a failed parse has changed it")
			}
			return
		}
		use(t, p)
		if !bytes.Equal(p.Octets(), octets) {
			t.Fatal("a parsed copy differs")
		}
		before, err := p.Msg()
		if err != nil {
			t.Fatal(err)
		}
		if p.Put(wire.RR{Owner: dnsname.Root, Type: wire.TypeTXT, Class: wire.ClassIN, RData: []byte("\x01x")}) != nil {
			return
		}
		use(t, p)
		after, err := p.Msg()
		if err != nil {
			return // two OPT records or the like are no message
		}
		if n := len(before.Answer) + len(before.Authority) + len(before.Additional); len(after.Answer)+len(after.Authority)+len(after.Additional) > n+1 {
			t.Fatalf("%d records became %+v", n, after)
		}
	})
}

// Whatever records a script puts into a packet, sections and counts agree with what is
// there, and nothing is longer than it may be.
func FuzzAPacketIsBuilt(f *testing.F) {
	f.Add(uint16(512), []byte("\x00\x01\x04abcd\x01\x0f\x05\x00\x05\x01b\x00\x02\x29\x00"))
	f.Add(uint16(40), bytes.Repeat([]byte{0, 16, 9}, 30))
	f.Add(uint16(0), []byte("\x02\x2e\x13"))
	f.Fuzz(func(t *testing.T, size uint16, script []byte) {
		p := New(max(int(size), wire.HeaderLen), 1)
		_ = p.Ask([]byte("\x07example\x00"), wire.TypeA, wire.ClassIN)
		for len(script) >= 3 {
			op, t, n := script[0], uint16(script[1]), min(int(script[2]), len(script)-3)
			data := script[3 : 3+n]
			script = script[3+n:]
			switch op % 8 {
			case 0, 1, 2:
				_ = p.Begin(int(op % 8))
			case 3:
				_ = p.Resize(max(wire.HeaderLen, n*8))
			case 4:
				p.Clear(op&8 != 0)
			case 5:
				_ = p.PutSet(&wire.RRset{Owner: "\x01a\x00", Type: t, Class: 1, Data: [][]byte{data, []byte("x"), data}}, n)
				continue
			}
			_ = p.Put(wire.RR{Owner: dnsname.Name("\x03www\x07example\x00"), Type: t, Class: 1, RData: data})
		}
		use(t, p)
		walk(t, p.Octets())
	})
}

// walk checks that a message has as many records as its header says, and nothing behind.
func walk(t *testing.T, msg []byte) {
	at := wire.HeaderLen
	skipName := func() {
		for at < len(msg) && msg[at] != 0 && msg[at] < 0xc0 {
			at += 1 + int(msg[at])
		}
		if at < len(msg) && msg[at] >= 0xc0 {
			at++
		}
		at++
	}
	if binary.BigEndian.Uint16(msg[4:]) == 1 {
		skipName()
		at += 4
	}
	for i := range 3 {
		for range binary.BigEndian.Uint16(msg[6+2*i:]) {
			skipName()
			if at+10 > len(msg) {
				t.Fatalf("a record of section %d is missing: %x", i, msg)
			}
			at += 10 + int(binary.BigEndian.Uint16(msg[at+8:]))
		}
	}
	if at != len(msg) {
		t.Fatalf("%d octets in records, %d in all: %x", at, len(msg), msg)
	}
}
