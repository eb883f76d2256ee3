package resolve_test

import (
	"testing"
	"time"
)

// A zone that has moved is not answered by its former servers once the old
// delegation is over, though they go on naming themselves when asked.
func TestAMovedZoneLeavesItsFormerServers(t *testing.T) {
	internet := func(to, server, www string) zones {
		return basic(zones{
			"com.":       "moved.com. 60 NS " + to + "\n",
			"net.":       "old.net. NS ns.old.net.\nns.old.net. A 192.0.2.1\nnew.net. NS ns.new.net.\nns.new.net. A 192.0.2.2\n",
			"old.net.":   "old.net. NS ns.old.net.\nns.old.net. A 192.0.2.1\n",
			"new.net.":   "new.net. NS ns.new.net.\nns.new.net. A 192.0.2.2\n",
			"moved.com.": "moved.com. 86400 NS " + to + "\n*.moved.com. 1 A " + www + "\n",
		})
	}
	w := newWorld(t, internet("ns.old.net.", "192.0.2.1", "203.0.113.66"))
	withCache(t, w)
	former := w.net
	now := time.Now().Unix()
	ask := func(name, qtype string) string {
		r := w.request(name, qtype)
		r.Now = now
		w.driver.Resolve(t.Context(), r)
		return show(&r.Result)
	}
	ask("moved.com.", "NS")
	ask("www.moved.com.", "A")
	w.net = newWorld(t, internet("ns.new.net.", "192.0.2.2", "192.0.2.10")).net
	w.former = former
	now += 61
	for i := range 100 {
		now += 25
		ask("moved.com.", "NS")
		ask("ns.old.net.", "A")
		if got := ask(string(rune('a'+i%26))+".moved.com.", "A"); got != "NOERROR; "+string(rune('a'+i%26))+".moved.com. A 192.0.2.10" {
			t.Fatalf("%d s after the old delegation's end: %s", 25*(i+1), got)
		}
	}
}
