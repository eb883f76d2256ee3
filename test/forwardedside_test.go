package test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"kresd/internal/authority/zonegen"
	"kresd/internal/limits"
	"kresd/internal/proctest"
)

// unforwarded are damages that show otherwise behind a forwarder: its cache tells a forged
// alias of other types, too, and it tells of no zone cuts, so that what the zone above has
// signed shows by the sets of an apex alone.
var unforwarded = map[string]bool{"forged alias": true, "signed by the parent": true}

// An unvalidating Unbound stands between kresd and a generated world: what it passes on is
// judged as what the servers themselves say.
func TestDamagedZonesBehindAForwarder(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	p := validators[0]
	if _, err := os.Stat(p.path); err != nil {
		t.Logf("NOT RUN: %s is not installed (%s)", p.name, p.path)
		return
	}
	seed, zones := sideBySide(t)
	w := zonegen.New(seed, 0, zones, time.Now().Unix())
	if err := w.Net.Start(53); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Net.Close)
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), 5301)
	p.config = strings.Replace(p.config, "validator iterator", "iterator", 1)
	startValidator(t, p, w, at)
	ours := proctest.Start(t, proctest.On(t, w.Net, 1, "trust_anchors.remove('.')", "trust_anchors.add('"+w.AnchorText()+"')",
		fmt.Sprintf("policy.add(policy.all(policy.FORWARD('127.0.0.1@%d')))", at.Port()))).Addr
	open := w.Questions
	for range 3 { // a busy machine answers some too late, which is forgotten after a while
		var wrong []zonegen.Question
		said := judgeAll(ours, open)
		for i, q := range open {
			if !q.Holds(said[i].verdict) && !unforwarded[q.Damage] && !strings.HasPrefix(q.Damage, "one of two servers ") {
				wrong = append(wrong, q)
				t.Logf("%q | %s %d | expected %s, got %s%s | %s", q.Damage, q.Name, q.Type, q.Wanted(), said[i].verdict, said[i].reason, q.About)
			}
		}
		t.Logf("%d questions, %d wrong verdicts", len(open), len(wrong))
		if open = wrong; len(open) == 0 {
			return
		}
		time.Sleep(2 * limits.ServfailTTL * time.Second)
	}
	t.Errorf("%d verdicts stay wrong", len(open))
}
