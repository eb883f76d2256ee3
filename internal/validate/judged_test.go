package validate_test

import (
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/rank"
	"kresd/internal/resolve"
)

// Whatever a client is told was judged, also what needs no proof and what stands beside an
// answer: no set is told as it came.
func TestEverySetThatIsToldWasJudged(t *testing.T) {
	const secure, insecure = rank.Secure | rank.Auth, rank.Insecure | rank.Auth
	for _, c := range []struct {
		name  string
		qtype uint16
		want  rank.Rank // of the worst set
	}{
		{"www.example.com.", dns.TypeA, secure}, {"x.wild.example.com.", dns.TypeA, secure}, {"alias.example.com.", dns.TypeA, secure},
		{"x.old.example.com.", dns.TypeA, secure}, {"none.example.com.", dns.TypeA, secure}, {"www.example.com.", dns.TypeTXT, secure},
		{"example.com.", dns.TypeDNSKEY, secure}, {"example.com.", dns.TypeDS, secure}, {"plain.com.", dns.TypeDS, secure},
		{"www.example.com.", dns.TypeRRSIG, insecure}, {"www.plain.com.", dns.TypeA, insecure}, {"out.example.com.", dns.TypeA, insecure},
		{"none.plain.com.", dns.TypeA, insecure}, {"www.plain.com.", dns.TypeTXT, insecure},
	} {
		w := newWorld(t)
		for _, when := range []string{"fresh", "cached"} {
			r := w.resolve(c.name, c.qtype, func(r *resolve.Request) { r.DO = true })
			worst, sets := secure, 0
			for _, list := range [][]resolve.Set{r.Result.Answer, r.Result.Authority} {
				for i := range list {
					if sets++; list[i].Rank != secure && list[i].Rank != insecure {
						t.Errorf("%s, %s type %d: %s type %d is told with rank %d", when, c.name, c.qtype, list[i].Owner, list[i].Type, list[i].Rank)
					}
					worst = min(worst, list[i].Rank)
				}
			}
			if sets == 0 || worst != c.want || r.Result.Rank != c.want {
				t.Errorf("%s, %s type %d: %d sets, the worst has rank %d, the result %d; want %d", when, c.name, c.qtype, sets, worst, r.Result.Rank, c.want)
			}
		}
	}
}
