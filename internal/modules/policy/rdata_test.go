package policy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/rules"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// The data of a record are read as zone files have them, and no more than that.
func TestDataAsAZoneFileHasThem(t *testing.T) {
	for text, want := range map[string]string{
		"A 192.0.2.1": "\xc0\x00\x02\x01", "AAAA ::1": strings.Repeat("\x00", 15) + "\x01", "TXT \"a\" b": "\x01a\x01b", "MX 10 mail.example.": "\x00\x0a\x04mail\x07example\x00",
		"CNAME .": "\x00", `TYPE65280 \# 2 abcd`: "\xab\xcd",
	} {
		if got, err := ParseData(text); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "; a comment", "A 192.0.2", "NONSENSE 1", "A 192.0.2.1 192.0.2.2"} {
		if got, err := ParseData(bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

// A type alone was an A record without an address.
func TestATypeWithoutDataIsNoRecord(t *testing.T) {
	for _, bad := range []string{"A", "A ; nothing", "TXT", "MX"} {
		if got, err := ParseData(bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
	if _, err := ParseData("A"); err == nil || err.Error() != "a type and its data are expected" {
		t.Errorf("refused: %v", err)
	}
	for _, empty := range []string{"APL", `TYPE65280 \# 0`} {
		if got, err := ParseData(empty); err != nil || len(got) != 0 {
			t.Errorf("%q: %q, %v", empty, got, err)
		}
	}
}

// A record is told on the line that a zone file would have; where there is none, its data
// are told as octets.
func TestTheLineOfARecord(t *testing.T) {
	for _, c := range []struct {
		t    uint16
		data string
		want string
	}{
		{wire.TypeA, "\xc0\x00\x02\x01", "www.example.\t60\tA\t192.0.2.1"},
		{dns.TypeTXT, "\x03a b\x01c", "www.example.\t60\tTXT\t\"a b\" \"c\""},
		{wire.TypeA, "\xc0\x00\x02", `www.example.` + "\t60\tTYPE1\t" + `\# 3 c00002`},
		{wire.TypeA, "\xc0\x00\x02\x01\x00", `www.example.` + "\t60\tTYPE1\t" + `\# 5 c000020100`},
		{dns.TypeNULL, "ab", `www.example.` + "\t60\tTYPE10\t" + `\# 2 6162`},
		{dns.TypeOPT, "", `www.example.` + "\t60\tTYPE41\t" + `\# 0 `},
		{dns.TypeTSIG, "ab", `www.example.` + "\t60\tTYPE250\t" + `\# 2 6162`},
		{dns.TypeTKEY, "ab", `www.example.` + "\t60\tTYPE249\t" + `\# 2 6162`},
		{65280, "ab", `www.example.` + "\t60\tTYPE65280\t" + `\# 2 6162`},
	} {
		set := wire.RRset{Owner: name(t, "www.example"), Type: c.t, Class: wire.ClassIN, TTL: 60}
		if got := RecordText(set, []byte(c.data)); got != c.want {
			t.Errorf("type %d, %q: %q, want %q", c.t, c.data, got, c.want)
		}
	}
	again, err := ParseData(`TYPE1 \# 4 c0000201`)
	if err != nil || string(again) != "\xc0\x00\x02\x01" {
		t.Errorf("octets of a known type: %q, %v", again, err)
	}
}

// How servers are spoken to shapes what is kept of them, from when it is said.
func TestHowServersAreSpokenToShapesAnswers(t *testing.T) {
	r := newRules(t)
	forward, err := rules.Forward(plainly("192.0.2.1"), &r.Peers)
	if err != nil {
		t.Fatal(err)
	}
	r.on(rules.All(), forward)
	before := r.rules.Fingerprint()
	at, peer := netip.MustParseAddrPort("192.0.2.1:53"), zonecut.Anybody()
	if r.SpeakTo(at, peer) || r.rules.Fingerprint() == before || r.Peers.Of(at) != peer {
		t.Error("what is said of a server makes no difference")
	}
	if !r.SpeakTo(at, zonecut.Peer{}) || r.rules.Fingerprint() != before {
		t.Error("what was taken back leaves something")
	}
}

// A type that has a number only, or that a tab follows, was taken for the type 0.
func TestTheTypeOfDataIsThatOfTheirRecord(t *testing.T) {
	for text, want := range map[string]uint16{`TYPE65400 \# 2 abcd`: 65400, "A\t192.0.2.1": dns.TypeA, "aaaa ::1": dns.TypeAAAA, `TYPE1 \# 4 c0000201`: dns.TypeA} {
		if got, _, err := ParseTyped(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	if got, data, err := ParseTyped(`TYPE0 \# 2 abcd`); err == nil {
		t.Errorf("type %d, %q", got, data)
	}
}
