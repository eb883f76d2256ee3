package wire

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/miekg/dns"
)

// What NSECHas reads is what the library wrote.
func TestNSECHas(t *testing.T) {
	has := []uint16{TypeNS, TypeDNAME, TypeRRSIG, TypeNSEC, 256, 0x8001}
	rr := &dns.NSEC{Hdr: dns.RR_Header{Name: "x.", Rrtype: TypeNSEC, Class: ClassIN}, NextDomain: "y.example.", TypeBitMap: has}
	pkt := make([]byte, 512)
	n, err := dns.PackRR(rr, pkt, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	rdata := pkt[3+10 : n]
	for typ := range 0x10000 {
		want := false
		for _, h := range has {
			want = want || int(h) == typ
		}
		if got := NSECHas(rdata, uint16(typ)); got != want {
			t.Fatalf("TYPE%d: %v, want %v, in %x", typ, got, want, rdata)
		}
	}
	for _, bad := range []string{"", "00", "0000", "000000", "000021ff", "000002ff", "0561", "c00c000120"} {
		b, _ := hex.DecodeString(bad)
		for typ := range 300 {
			if NSECHas(b, uint16(typ)) {
				t.Errorf("%q has TYPE%d", bad, typ)
			}
		}
	}
}

// What is written by the library is a type bit map, and what could be read in two ways, or
// not at all, is none.
func TestIsBitmap(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "000120": true, "000200ff": true, "000100": true, "0001200101ff": true, "00207f" + fmt.Sprintf("%062d", 0): true,
		"00": false, "0000": false, "0001": false, "000220": false, "00012000": false, "0021" + fmt.Sprintf("%066d", 0): false,
		"000120000140": false, "010120000140": false, "0001200100": false,
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := IsBitmap(b); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}

func FuzzNSECHas(f *testing.F) {
	f.Add([]byte("\x01y\x00\x00\x07\x22\x00\x00\x00\x01\x03\x80\x80\x01\x80"), uint16(257))
	f.Add([]byte("\x00\x01\x20"), uint16(256))
	f.Fuzz(func(t *testing.T, rdata []byte, typ uint16) {
		if NSECHas(rdata, typ) && len(rdata) < 4 {
			t.Errorf("%x has TYPE%d", rdata, typ)
		}
		if IsBitmap(rdata) && InBitmap(rdata, typ) && !InBitmap(append([]byte{255, 1, 1}, rdata...), typ) && typ>>8 != 255 {
			t.Errorf("%x lacks TYPE%d behind another block", rdata, typ)
		}
	})
}

// The names of types and RCODEs are those of the library.
func TestText(t *testing.T) {
	for typ := range 0x10000 {
		got := TypeText(uint16(typ))
		if back, ok := dns.StringToType[got]; ok && int(back) != typ {
			t.Errorf("type %d is called %s", typ, got)
		} else if !ok && got != fmt.Sprintf("TYPE%d", typ) {
			t.Errorf("type %d is called %s, which is nothing", typ, got)
		}
	}
	for rcode := range 24 {
		got := RcodeText(rcode)
		if back, ok := dns.StringToRcode[got]; ok && back != rcode {
			t.Errorf("RCODE %d is called %s", rcode, got)
		}
	}
}
