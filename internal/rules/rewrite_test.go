package rules

import (
	"net/netip"
	"testing"

	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/wire"
)

func TestWhatAddressesBecome(t *testing.T) {
	for _, c := range []struct{ from, to, address, want string }{
		{"192.0.2.0/24", "198.51.100.0", "192.0.2.77", "198.51.100.77"}, {"192.0.2.1", "10.0.0.1", "192.0.2.1", "10.0.0.1"}, {"192.0.2.1", "10.0.0.1", "192.0.2.2", ""},
		{"192.0.2.0/28", "198.51.100.240", "192.0.2.13", "198.51.100.253"}, {"0.0.0.0/0", "9.9.9.9", "192.0.2.1", "192.0.2.1"}, {"10.0.0.0/9", "127.255.0.0", "10.1.2.3", "127.129.2.3"},
		{"10.0.0.0/8", "!192.0.2.1", "10.1.2.3", "192.0.2.1"}, {"2001:db8::/33", "2001:db8:8000::", "2001:db8::5", "2001:db8:8000::5"}, {"10.0.0.0/8", "11.0.0.0", "::1", ""},
	} {
		w, err := NewRewrite(c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if to, ok := w.of(netip.MustParseAddr(c.address)); ok {
			got = to.String()
		}
		if got != c.want {
			t.Errorf("%s-%s: %s becomes %q, want %q", c.from, c.to, c.address, got, c.want)
		}
	}
	for _, c := range [][2]string{{"10.0.0.0/8", "::1"}, {"10.0.0.0/8", ""}, {"x", "10.0.0.1"}, {"10.0.0.0/8", "!"}, {"fe80::/10", "fe80::1%eth0"}} {
		if _, err := NewRewrite(c[0], c[1]); err == nil {
			t.Errorf("%s-%s is taken", c[0], c[1])
		}
	}
}

// What is rewritten is no longer signed or secure, and what other requests share stays.
func TestRewritingLeavesWhatOthersShare(t *testing.T) {
	shared := []resolve.Set{
		{RRset: wire.RRset{Owner: "\x01a\x00", Type: wire.TypeCNAME, Data: [][]byte{[]byte("\x01b\x00")}, Sigs: [][]byte{{1}}}, Rank: rank.Secure},
		{RRset: wire.RRset{Owner: "\x01b\x00", Type: wire.TypeA, TTL: 60, Data: [][]byte{{192, 0, 2, 1}, {192, 0, 2, 2}, {10, 0, 0, 1}}, Sigs: [][]byte{{1}}}, Rank: rank.Secure},
	}
	r := resolve.Result{Answer: shared, Rank: rank.Secure}
	w, err := NewRewrite("192.0.2.0/24", "!10.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if !(Rewrites{w}).Apply(&r, nil) || r.Rank.IsSecure() || len(r.Answer[1].Sigs) != 0 || r.Answer[1].TTL != 60 || len(r.Answer[1].Data) != 1 || len(r.Answer[0].Sigs) != 1 {
		t.Errorf("%+v", r)
	}
	if len(shared[1].Data) != 3 || shared[1].Data[0][0] != 192 || len(shared[1].Sigs) != 1 {
		t.Errorf("what is shared has changed: %+v", shared[1])
	}
	if (Rewrites{w}).Apply(&r, nil) {
		t.Error("nothing was left to be rewritten")
	}
}
