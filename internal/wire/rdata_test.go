package wire

import "testing"

// RDATA that a script gives fits its type, or is refused before a client gets it.
func TestRDataFitsItsType(t *testing.T) {
	for _, c := range []struct {
		qtype uint16
		data  string
		want  bool
	}{
		{TypeA, "abcd", true}, {TypeA, "192.0.2.1", false}, {TypeA, "", false},
		{TypeAAAA, "0123456789abcdef", true}, {TypeAAAA, "abcd", false},
		{TypeCNAME, "\x01a\x00", true}, {TypeCNAME, "a.", false}, {TypeCNAME, "\x01a\x00x", false}, {TypeCNAME, "\xc0\x0c", false},
		{TypeMX, "\x00\x05\x01a\x00", true}, {TypeMX, "\x00\x05", false},
		{TypeTXT, "\x05hello", true}, {TypeTXT, "\x00", true}, {TypeTXT, "\x06hello", false}, {TypeTXT, "", false}, {TypeTXT, "\x01a\x01b", true},
		{TypeSOA, "\x00\x0000001111222233334444", true}, {TypeSOA, "\x00\x00", false},
		{TypeDS, "\x00\x01\x08\x02digest", true}, {TypeDS, "\x00", false},
		{65000, "anything", true}, {65000, "", true},
	} {
		if got := Fits(c.qtype, []byte(c.data)); got != c.want {
			t.Errorf("%q as %s: %v, want %v", c.data, TypeText(c.qtype), got, c.want)
		}
	}
}
