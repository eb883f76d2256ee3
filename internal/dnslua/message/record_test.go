package message

import (
	"fmt"
	"strings"
	"testing"

	"kresd/internal/wire"
)

// Every type has a text, whatever its data: one line that begins with owner and TTL. What
// says something about a message, and NULL, have no form but that of unknown types.
func TestEveryTypeHasALine(t *testing.T) {
	for _, data := range []string{"", "\x00", "abcd", strings.Repeat("\x00", 40), strings.Repeat("\xff", 300), "\x01a\x00\n\t\\;\"", "\x00\x01\x00\x00\x00\x00"} {
		for n := range 1 << 16 {
			line := Usual().Line(wire.RR{Owner: "\x01a\x00", Type: uint16(n), Class: wire.ClassIN, TTL: 5, RData: []byte(data)})
			if !strings.HasPrefix(line, "a.                  \t5\t") || strings.Contains(line, "\n") || strings.Count(line, "\t") < 3 {
				t.Fatalf("type %d with %q: %q", n, data, line)
			}
		}
	}
	for _, n := range []uint16{wire.TypeNULL, wire.TypeOPT, wire.TypeTSIG, wire.TypeTKEY} {
		if got, want := Usual().Line(wire.RR{Owner: "\x00", Type: n, Class: 1, RData: []byte("ab")}), ".                   \t0\tTYPE"+fmt.Sprint(n)+"\t\\# 2 6162"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
