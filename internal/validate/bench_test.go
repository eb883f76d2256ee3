package validate_test

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"
)

// coldZones are n signed zones below com., each with a server of its own.
func coldZones(n int) []zone {
	zones := basic()
	for i := range n {
		origin, addr := fmt.Sprintf("z%d.com.", i), fmt.Sprintf("203.0.%d.%d", 113+i/250, 1+i%250)
		text := fmt.Sprintf("%s NS ns.%s\nns.%s A %s\n", origin, origin, origin, addr)
		zones[1].text += text
		zones = append(zones, zone{origin, "k", text + "www." + origin + " A 192.0.2.1\n"})
	}
	return zones
}

// BenchmarkColdZone is what the first answer of a signed zone costs: a referral with DS,
// the keys, the answer.
func BenchmarkColdZone(b *testing.B) {
	const most = 2000
	w := newWorld(b, coldZones(most)...)
	w.resolve("www.z0.com.", dns.TypeA, nil)
	i := 0
	for b.Loop() {
		if i++; i == most {
			b.StopTimer()
			w = newWorld(b, coldZones(most)...)
			w.resolve("www.z0.com.", dns.TypeA, nil)
			i = 1
			b.StartTimer()
		}
		if r := w.resolve(fmt.Sprintf("www.z%d.com.", i), dns.TypeA, nil); !r.Result.Rank.IsSecure() {
			b.Fatalf("z%d.com.: rank %d", i, r.Result.Rank)
		}
	}
}

// BenchmarkSignedMiss is what a name costs that nobody asked for before, in a zone whose
// keys are known: one question and one check.
func BenchmarkSignedMiss(b *testing.B) {
	const most = 3000
	z := example
	for i := range most {
		z.text += fmt.Sprintf("n%d.example.com. A 192.0.2.7\n", i)
	}
	w := newWorld(b, basic(z, plain)...)
	w.resolve("www.example.com.", dns.TypeA, nil)
	i := 0
	for b.Loop() {
		if i++; i == most {
			i, w.now = 1, w.now+7200
		}
		if r := w.resolve(fmt.Sprintf("n%d.example.com.", i), dns.TypeA, nil); !r.Result.Rank.IsSecure() {
			b.Fatalf("rank %d", r.Result.Rank)
		}
	}
}
