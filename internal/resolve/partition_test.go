package resolve

import (
	"net/netip"
	"slices"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/zonecut"
)

func forwarder(port uint16, addrs ...string) *zonecut.Cut {
	cut := &zonecut.Cut{Name: dnsname.Root, Hints: true}
	for _, a := range addrs {
		cut.NS = append(cut.NS, zonecut.NameServer{Name: dnsname.Name("\x01" + a[len(a)-1:] + "\x00"), Addrs: []netip.Addr{netip.MustParseAddr(a)}, Port: port})
	}
	return cut
}

// partitionsOf are where a request that was made like this looks for data and for
// failures.
func partitionsOf(change func(*Request)) (data, failures Partition) {
	r := &Request{Question: Question{Name: "\x03www\x07example\x00", Type: 1, Class: 1}}
	r.join(nil)
	change(r)
	r.settle()
	return r.PartitionOf(r.Question), r.Failures()
}

// Whatever decides who is asked and what is believed of them tells partitions
// apart; what does not, does not.
func TestWhatTellsPartitionsApart(t *testing.T) {
	to := func(kind Options, scope dnsname.Name, cut *zonecut.Cut) func(*Request) {
		return func(r *Request) { r.Options, r.Cut, r.Scope = kind, cut, scope }
	}
	with := func(o Options) func(*Request) { return func(r *Request) { r.Options = o } }
	const example dnsname.Name = "\x07example\x00"
	apart := []func(*Request){
		func(*Request) {},
		to(Options{Forward: true}, example, forwarder(0, "192.0.2.1", "192.0.2.2")),
		to(Options{Stub: true}, example, forwarder(0, "192.0.2.1", "192.0.2.2")),
		to(Options{Forward: true}, dnsname.Root, forwarder(0, "192.0.2.1", "192.0.2.2")),
		to(Options{Forward: true}, "", forwarder(0, "192.0.2.1", "192.0.2.2")),
		to(Options{Forward: true}, example, forwarder(0, "192.0.2.1")),
		to(Options{Forward: true}, example, forwarder(0, "192.0.3.1", "192.0.2.2")),
		to(Options{Forward: true}, example, forwarder(53, "192.0.2.1", "192.0.2.2")),
		with(Options{Strict: true}), with(Options{Permissive: true}), with(Options{NoEDNS: true}), with(Options{AnyAddress: true}),
		with(Options{Strict: true, NoEDNS: true}),
		func(r *Request) { r.Partition.Data = r.Partition.Data.With(1) },
	}
	var data, failures []Partition
	for i, change := range apart {
		d, f := partitionsOf(change)
		if j := slices.Index(data, d); j >= 0 {
			t.Errorf("%d looks for data where %d does", i, j)
		}
		if j := slices.Index(failures, f); j >= 0 && i != len(apart)-1 {
			t.Errorf("%d is told the failures of %d", i, j)
		}
		data, failures = append(data, d), append(failures, f)
	}
	if data[0] != 0 || failures[0] != 0 {
		t.Errorf("a request like any other is in partitions %x and %x, want everybody's", data[0], failures[0])
	}
	if d, _ := partitionsOf(to(Options{Forward: true}, example, forwarder(0, "192.0.2.2", "192.0.2.1"))); d != data[1] {
		t.Error("the same servers in another order are others")
	}
	for _, o := range []Options{{NoIPv4: true}, {NoIPv6: true}, {TCPOnly: true}, {KeepCase: true}, {WholeName: true}, {AskSilent: true}, {PublicOnly: true}} {
		if d, e := partitionsOf(with(o)); d != 0 || e == 0 {
			t.Errorf("%+v: partitions %x and %x, want everybody's for data only", o, d, e)
		}
	}
	for _, o := range []Options{{BypassCache: true}, {VaryOrder: true}, {FindCut: true}, {Marks: 1}} {
		if d, e := partitionsOf(with(o)); d != 0 || e != 0 {
			t.Errorf("%+v: partitions %x and %x, want everybody's", o, d, e)
		}
	}
	// The delegation of a server of old is not a rule.
	if d, _ := partitionsOf(func(r *Request) { r.Cut = &zonecut.Cut{Name: example} }); d != 0 {
		t.Errorf("a cut without a rule: partition %x", d)
	}
}

func TestOnlyTheNamesOfARuleAreItsPartitions(t *testing.T) {
	r := &Request{Question: Question{Name: "\x03www\x07example\x00", Type: 1, Class: 1}, Options: Options{Forward: true}, Cut: forwarder(0, "192.0.2.1"), Scope: "\x07example\x00", ByName: true}
	r.layers = []*Layer{{Route: func(r *Request, q Question) *Route {
		if !q.Name.IsSubdomainOf(r.Scope) {
			return nil
		}
		return &Route{Cut: r.Cut, Scope: r.Scope}
	}}}
	r.settle()
	for name, own := range map[dnsname.Name]bool{"\x07example\x00": true, "\x01a\x03www\x07example\x00": true, "\x03www\x03net\x00": false, dnsname.Root: false} {
		got := r.PartitionOf(Question{Name: name, Type: 1, Class: 1})
		if got != r.Partition.Data != own || own && got != r.PartitionOf(r.Question) {
			t.Errorf("%s: partition %x; the rule's %v", name, got, own)
		}
	}
}

func TestPartitionsMix(t *testing.T) {
	if p := Partition(7); p.With(0) != p || p.WithText("") != p {
		t.Error("what makes no difference makes one")
	}
	seen := map[Partition]bool{}
	for _, p := range []Partition{0, 1, 2, 1 << 63} {
		for _, n := range []uint64{1, 2, 1 << 32, 1<<64 - 1} {
			for _, m := range []uint64{3, 4} {
				seen[p.With(n).With(m)] = true
			}
		}
	}
	if len(seen) != 32 || seen[0] {
		t.Errorf("%d partitions of 32, everybody's among them: %v", len(seen), seen[0])
	}
	if a, b := Partition(0).With(1).With(2), Partition(0).With(2).With(1); a == b {
		t.Error("the order makes no difference")
	}
}
