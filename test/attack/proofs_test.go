package attack

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority/zonegen"
	"kresd/internal/proctest"
)

// leastForged is how many different forgeries there are at least (HARDENING, section
// 10, figure 9).
const leastForged = 150

// A forgery is one thing wrong as seen by one question: in worlds of other seeds the
// same ones come again, in zones of other shapes.
type forgery struct {
	damage, label string
	qtype         uint16
}

// TestA1ForgedProofs asks for names whose signature or proof is forged, and for names
// beside them that are right, of generated zones that are damaged in every way.
func TestA1ForgedProofs(t *testing.T) {
	forged, accepted, valid, refused := map[forgery]bool{}, 0, 0, 0
	for seed := range uint64(min(scale(), 5)) {
		w := zonegen.New(100+seed, 0, len(zonegen.Damages()), time.Now().Unix())
		if err := w.Net.Start(0); err != nil {
			t.Fatal(err)
		}
		defer w.Net.Close()
		g := proctest.Start(t, proctest.On(t, w.Net, 1, "trust_anchors.remove('.')", "trust_anchors.add('"+w.AnchorText()+"')"))
		var asked []*dns.Msg
		questions := slices.DeleteFunc(w.Questions, func(q zonegen.Question) bool { return q.Want != zonegen.Bogus && q.Want != zonegen.Secure })
		for _, q := range questions {
			asked = append(asked, q.Msg())
		}
		for i, r := range proctest.ExchangeAll(g.Addr, asked, 12) {
			q, got := questions[i], zonegen.Verdict(r)
			label, _, _ := strings.Cut(q.Name, ".")
			switch {
			case q.Want == zonegen.Bogus:
				forged[forgery{q.Damage, label, q.Type}] = true
				if got != "bogus" {
					accepted++
					t.Errorf("forged, and %s: %s %s of %s", got, q.Name, dns.Type(q.Type), q.About)
				}
			case !q.Holds(got):
				refused++
				t.Errorf("right, and %s: %s %s of %s", got, q.Name, dns.Type(q.Type), q.About)
			default:
				valid++
			}
		}
	}
	tell(t, "A1", "forged signatures, keys, DS, denials and answers", ">= 150 forgeries; 0 accepted, 0 valid ones refused", "%d of %d forgeries accepted, %d of %d valid proofs refused", accepted, len(forged), refused, valid+refused)
	if len(forged) < leastForged {
		t.Errorf("only %d forgeries", len(forged))
	}
}
