package dnssec

import (
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/wire"
)

// Whatever octets come, nothing panics and nothing is verified or proven that was
// not signed. The seeds are real ones.
func FuzzVerify(f *testing.F) {
	s := p256()
	set, _ := setOf(f, "www.example. 300 IN A 192.0.2.1")
	s.sign(f, set, nil)
	good := rdataOf(f, s.key)
	f.Add([]byte(set.Owner), set.Type, set.Data[0], set.Sigs[0], good)
	f.Add([]byte("\x01*\x07example\x00"), uint16(47), []byte{0}, set.Sigs[0], []byte{1, 1, 3, 8, 3, 1, 0, 1, 200})
	f.Fuzz(func(t *testing.T, owner []byte, rrtype uint16, data, sig, key []byte) {
		name, err := dnsname.FromWire(owner)
		if err != nil {
			return
		}
		other := &wire.RRset{Owner: name, Type: rrtype, Class: wire.ClassIN, TTL: 300, Data: [][]byte{data}, Sigs: [][]byte{sig}}
		keys := ParseKeys(mustName(t, "example."), [][]byte{key, good})
		v, err := Verify(other, keys, Algorithms{}, now, &purse{4, 4, 0})
		if err == nil && string(key) == string(good) && (rrtype != set.Type || string(data) != string(set.Data[0]) || v.TTL > 300) {
			t.Errorf("%s %d %x is verified: %+v", name, rrtype, data, v)
		}
		if d, ok := ParseDS(data); ok {
			if _, err := keys.Trusted([]DS{d}, endless()); err != nil {
				t.Error(err)
			}
		}
	})
}

// A name that owns records in the chain is never proven not to exist, whatever
// other records stand beside it, as long as they are the zone's.
func FuzzDenials(f *testing.F) {
	p := parameters{1, "ab"}
	plain, hashed := nsecSet(f, "a.example.", "c.example.", 1, 46), around(f, "example.", "b.example.", p, 1)
	f.Add([]byte(plain.Owner), plain.Data[0], uint16(47), []byte("\x01b\x07example\x00"), uint16(1))
	f.Add([]byte(hashed.Owner), hashed.Data[0], uint16(50), []byte("\x01b\x07example\x00"), uint16(43))
	f.Fuzz(func(t *testing.T, owner, data []byte, kind uint16, asked []byte, qtype uint16) {
		n, err1 := dnsname.FromWire(owner)
		q, err2 := dnsname.FromWire(asked)
		if err1 != nil || err2 != nil {
			return
		}
		set := &wire.RRset{Owner: n, Type: kind, Class: wire.ClassIN, Data: [][]byte{data}}
		d := NewDenials(mustName(t, "example."), []*wire.RRset{set}, &purse{0, 0, 1 << 16})
		nx, err := d.NameError(q)
		if nx == Proven && (err != nil || kind == wire.TypeNSEC && n == q || !q.IsSubdomainOf(d.zone)) {
			t.Errorf("%s is denied by a record of its own, or of another zone", q)
		}
		if nx != Unproven && Damaged(set) {
			t.Errorf("%x denies %s", data, q)
		}
		nodata, _ := d.NoData(q, qtype)
		if nodata == Proven && kind == wire.TypeNSEC && n == q && wire.NSECHas(data, qtype) {
			t.Errorf("%s: type %d is denied and there", q, qtype)
		}
		_, _ = d.Expanded(q, q.Parent())
		_, _, _ = d.Cut(q)
	})
}
