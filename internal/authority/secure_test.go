package authority

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Each zone is signed by the key that its parent names, and the root by that of the anchor;
// one that is left unsigned has neither keys nor a DS set.
func TestAWholeInternetIsSigned(t *testing.T) {
	zones := []*Zone{
		MustParse(".", "$TTL 3600\n. SOA a. b. 1 2 3 4 300\n. NS a.root.\na.root. A 127.0.0.1\ncom. NS a.root.\n"),
		MustParse("com.", "$TTL 3600\n@ SOA a. b. 1 2 3 4 300\n@ NS a.root.\none NS a.root.\ntwo NS a.root.\n"),
		MustParse("one.com.", "$TTL 3600\n@ SOA a. b. 1 2 3 4 300\n@ NS a.root.\nwww A 192.0.2.1\n"),
		MustParse("two.com.", "$TTL 3600\n@ SOA a. b. 1 2 3 4 300\n@ NS a.root.\nwww A 192.0.2.2\n"),
	}
	n, err := New(zones...)
	if err != nil {
		t.Fatal(err)
	}
	var sealed int
	anchor := n.Secure(Security{From: 1000, Until: 2000, Unsigned: []string{"two.com."}, Seal: func([]dns.RR, *dns.RRSIG) { sealed++ }})
	root, err := dns.NewRR(anchor)
	if err != nil {
		t.Fatal(err)
	}
	h := n.Host("127.0.0.1")
	ask := func(name string, qtype uint16) []dns.RR {
		q := new(dns.Msg).SetQuestion(name, qtype)
		q.SetEdns0(1232, true)
		return h.Ask(q, true).Reply.Answer
	}
	for _, c := range []struct {
		zone   string
		signed bool
	}{{".", true}, {"com.", true}, {"one.com.", true}, {"two.com.", false}} {
		ds := []dns.RR{root}
		if c.zone != "." {
			ds = ask(c.zone, dns.TypeDS)
		}
		keys := ask(c.zone, dns.TypeDNSKEY)
		if !c.signed {
			if len(ds) != 0 || len(keys) != 0 {
				t.Errorf("%s: DS %v, keys %v", c.zone, ds, keys)
			}
			continue
		}
		if len(ds) == 0 || len(keys) != 2 {
			t.Errorf("%s: DS %v, keys %v", c.zone, ds, keys)
			continue
		}
		key, sig := keys[0].(*dns.DNSKEY), keys[1].(*dns.RRSIG)
		if !strings.EqualFold(key.ToDS(dns.SHA256).Digest, ds[0].(*dns.DS).Digest) {
			t.Errorf("%s: the DS set names another key", c.zone)
		}
		if err := sig.Verify(key, keys[:1]); err != nil || sig.Inception != 1000 || sig.Expiration != 2000 {
			t.Errorf("%s: %v, from %d until %d", c.zone, err, sig.Inception, sig.Expiration)
		}
	}
	if sealed == 0 {
		t.Error("no signature was shown before it was made")
	}
}
