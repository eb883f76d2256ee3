package rules

import (
	"net/netip"
	"testing"
)

// An alias led a client with a rule of its own to names of the inside, and because the name
// that it had asked for was none of these, everybody else was told what was found there.
func TestAClientIsApartWhateverNameItAsksFor(t *testing.T) {
	corp, err := Like("%w+\x04corp\x07example\x00")
	if err != nil {
		t.Fatal(err)
	}
	forward, err := Forward([]Server{{Text: "10.0.0.53"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ten, here := Source(netip.MustParsePrefix("10.0.0.0/8")), Destination(netip.MustParsePrefix("192.0.2.53/32"))
	zone := Under(name(t, "corp.example"))
	for what, c := range map[string]struct {
		conditions []Condition
		apart      bool
	}{
		"a pattern and a network":             {[]Condition{corp, ten}, true},
		"a second name and a network":         {[]Condition{zone, corp, ten}, true},
		"either":                              {[]Condition{Either(Every(corp, ten), Every(zone))}, true},
		"either, of which one is for nobody":  {[]Condition{Either(Every(corp, here), Every(zone, ten))}, true},
		"names alone":                         {[]Condition{corp, zone}, false},
		"either of two names":                 {[]Condition{Either(corp, zone)}, false},
		"where it is asked, which is not so":  {[]Condition{corp, here}, false},
		"a network and where it is asked":     {[]Condition{ten, here}, false},
		"each, of which one is for no client": {[]Condition{Every(corp, ten, here)}, false},
	} {
		table := NewTable(nil, nil)
		table.Add(1, &Rule{Filter: All().If(c.conditions...), Action: forward})
		for _, asked := range []string{"www.shop.example", "host.corp.example"} {
			inside, outside := subject(t, asked), subject(t, asked)
			inside.Client = netip.MustParseAddrPort("10.1.2.3:53")
			if n := table.Apart(inside); (n != 0) != c.apart {
				t.Errorf("%s: %s inside has the number %d", what, asked, n)
			}
			if n := table.Apart(outside); n != 0 {
				t.Errorf("%s: %s outside has the number %d", what, asked, n)
			}
		}
	}
}

// Clients for whom one rule holds for different reasons are not the same.
func TestClientsOfTwoPartsOfARuleAreApart(t *testing.T) {
	forward, err := Forward([]Server{{Text: "10.0.0.53"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	one, two := Source(netip.MustParsePrefix("10.0.0.0/9")), Source(netip.MustParsePrefix("10.0.0.0/8"))
	table := NewTable(nil, nil)
	table.Add(1, &Rule{Filter: All().If(Either(Every(one, Under(name(t, "a.example"))), Every(two, Under(name(t, "b.example"))))), Action: forward})
	near, far := subject(t, "www.example"), subject(t, "www.example")
	near.Client, far.Client = netip.MustParseAddrPort("10.1.2.3:53"), netip.MustParseAddrPort("10.200.2.3:53")
	if table.Apart(near) == table.Apart(far) || table.Apart(far) == 0 {
		t.Error("both are told the same")
	}
	if n := testing.AllocsPerRun(100, func() { table.Apart(near) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
