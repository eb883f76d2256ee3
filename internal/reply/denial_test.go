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
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/transport"
	"kresd/internal/wire"
)

// soaOf is the SOA of a zone, one of whose two names lies in the zone.
func soaOf(zone dnsname.Name) resolve.Set {
	return signed(set(string(zone), wire.TypeSOA, 100, "\x02ns"+string(zone)+"\x05admin\x03org\x00"+strings.Repeat("\x00\x00\x00\x05", 5)))
}

// room is a Body with as much room as a denial may take.
func room() Body { return Body{Octets: make([]byte, 0, 1<<15), TTLs: make([]byte, 0, 256)} }

// What is made of a denial that many names share is what is made of each by itself, but
// for compression.
func TestADenialForManyNames(t *testing.T) {
	for _, zone := range []dnsname.Name{"\x07example\x00", "\x01b\x07example\x00", dnsname.Root} {
		authority := []resolve.Set{
			soaOf(zone), signed(set(string(zone), wire.TypeNSEC, 90, "\x01a"+string(zone)+"\x00\x01\x40")),
			signed(set("\x01a"+string(zone), wire.TypeNSEC, 80, "\x01z"+string(zone)+"\x00\x01\x40")),
		}
		d, ok := MakeDenial(zone, authority)
		if !ok {
			t.Fatal("no denial")
		}
		for _, name := range []string{"\x01x", "\x03Www\x01x", "\x01c\x01x", "\x3f" + strings.Repeat("x", 63)} {
			for _, c := range []query{{}, {udp: 4096}, {udp: 4096, do: true}, {udp: 4096, do: true, flags: wire.FlagCD}, {flags: wire.FlagAD}, {udp: 512, do: true}} {
				c.name, c.qtype = name+string(zone), wire.TypeAAAA
				q := c.parse(t)
				res := &resolve.Result{Rcode: wire.RcodeNXDomain, Authority: authority, Rank: rank.Secure | rank.Auth, EDE: ede.None}
				shape := Shape{Kind: transport.TCP, Bufsize: 4096, Age: 7}
				b := room()
				if !d.Body(&b, q, len(zone)) {
					t.Fatalf("%q below %s: no answer", name, zone)
				}
				whole := new(Room).Make(resolve.Question{Name: dnsname.Name(strings.ToLower(c.name)), Type: c.qtype, Class: wire.ClassIN}, res, q.DO, 0)
				got, want := records(t, b.Finish(nil, q, shape)), records(t, whole.Finish(nil, q, shape))
				if !slices.Equal(got, want) {
					t.Errorf("%q below %s, %+v:\n%s\nand by itself\n%s", name, zone, c, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				if more := len(b.Octets) - len(whole.Octets); more > 40 {
					t.Errorf("%q below %s: %d octets more than by itself", name, zone, more)
				}
			}
		}
	}
}

// records are the header of a message and its records in words.
func records(t *testing.T, msg []byte) []string {
	t.Helper()
	m, err := wire.Parse(msg)
	if err != nil {
		t.Fatalf("%v: %x", err, msg)
	}
	out := []string{fmt.Sprintf("%x %q %d %v", msg[:12], m.RawName, m.QType, m.DO)}
	for _, rrs := range [][]wire.RR{m.Answer, m.Authority, m.Additional} {
		for _, rr := range rrs {
			out = append(out, fmt.Sprintf("%+v", rr))
		}
	}
	return out
}

func TestDenialsThatAreNone(t *testing.T) {
	zone := dnsname.Name("\x07example\x00")
	big := signed(set(string(zone), wire.TypeNSEC, 90, "\x01a"+string(zone)+"\x00\x01\x40"))
	for range 300 {
		big.Sigs = append(big.Sigs, bytes.Clone(append(big.Sigs[0], make([]byte, 40)...)))
	}
	if _, ok := MakeDenial(zone, []resolve.Set{soaOf(zone), big}); ok {
		t.Error("pointers reach the zone behind so many records")
	}
	if _, ok := MakeDenial(zone, nil); ok {
		t.Error("a denial of nothing")
	}
	good, ok := MakeDenial(zone, []resolve.Set{soaOf(zone)})
	if !ok {
		t.Fatal("no denial")
	}
	q := query{name: "\x01x\x07example\x00", qtype: 1}.parse(t)
	for what, change := range map[string]func(*Denial, *Body, *int){
		"nothing":                  func(*Denial, *Body, *int) {},
		"no room for octets":       func(_ *Denial, b *Body, _ *int) { b.Octets = make([]byte, 0, 40) },
		"no room for TTLs":         func(_ *Denial, b *Body, _ *int) { b.TTLs = nil },
		"a zone below the name":    func(_ *Denial, _ *Body, zone *int) { *zone = 50 },
		"a plain part beyond":      func(d *Denial, _ *Body, _ *int) { d.Plain = len(d.Octets) + 1 },
		"a pointer forward":        func(d *Denial, _ *Body, _ *int) { binary.BigEndian.PutUint16(d.Octets, 100) },
		"a pointer to itself":      func(d *Denial, _ *Body, _ *int) { binary.BigEndian.PutUint16(d.Octets, 0) },
		"too many octets of a lie": func(d *Denial, _ *Body, _ *int) { d.Octets = append(d.Octets, make([]byte, 1<<14)...) },
	} {
		d, b, octets := good, room(), len(zone)
		d.Octets = bytes.Clone(d.Octets)
		change(&d, &b, &octets)
		if got := d.Body(&b, q, octets); got != (what == "nothing") {
			t.Errorf("%s: %v", what, got)
		}
	}
}
