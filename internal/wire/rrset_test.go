package wire

import (
	"testing"

	"kresd/internal/dnsname"
)

// A wildcard that is asked for by its own name is not expanded: the label * is not
// counted in its signatures (RFC 4034, section 3.1.3).
func TestExpanded(t *testing.T) {
	for _, tt := range []struct {
		owner  string
		labels int // in the signature; -1: there is none
		want   bool
	}{
		{"www.example.", 2, false}, {"www.example.", 1, true}, {"a.b.example.", 1, true},
		{"*.example.", 1, false}, {"*.example.", 0, true}, {"example.", 1, false}, {".", 0, false}, {"www.example.", -1, false},
	} {
		owner, err := dnsname.Parse(tt.owner)
		if err != nil {
			t.Fatal(err)
		}
		set := RRset{Owner: owner}
		if tt.labels >= 0 {
			sig := make([]byte, SigFixed+1)
			sig[3] = byte(tt.labels)
			set.Sigs = [][]byte{sig}
		}
		if got := set.Expanded(); got != tt.want {
			t.Errorf("%s signed as %d labels: got %v, want %v", tt.owner, tt.labels, got, tt.want)
		}
	}
	if short := (&RRset{Owner: "\x03www\x00", Sigs: [][]byte{{0, 1, 13, 0}}}); short.Expanded() {
		t.Error("a signature that is too short says something")
	}
}
