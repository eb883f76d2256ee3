package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// A group of two writes one file: a line for each question by whichever way it was
// answered, which ways say so, and only what is wanted.
func TestQueryLog(t *testing.T) {
	for which, want := range map[string][]string{
		"all": {
			"8 www.example.com. NOERROR blocked=false", "4 dead.example. SERVFAIL blocked=false", "8 ads.example.com. NXDOMAIN blocked=true",
			"8 refused.example.com. REFUSED blocked=true", "8 localhost. NOERROR blocked=false",
		},
		"failed":  {"4 dead.example. SERVFAIL blocked=false"},
		"blocked": {"8 ads.example.com. NXDOMAIN blocked=true", "8 refused.example.com. REFUSED blocked=true"},
	} {
		t.Run(which, func(t *testing.T) {
			g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2,
				"policy.add(policy.suffix(policy.DENY, { todname('ads.example.com') }))", "policy.add(policy.suffix(policy.REFUSE, { todname('refused.example.com') }))",
				fmt.Sprintf("modules = { querylog = { which = '%s', file = 'queries.json', clients = true } }", which)))
			proctest.Eventually(t, time.Minute, "the module has written what came at the start", func() bool { return isQuiet(t, g) })
			if err := os.Truncate(filepath.Join(g.Dir, "queries.json"), 0); err != nil && which == "all" {
				t.Fatal(err)
			}
			for name, rounds := range map[string]int{"www.example.com": 4, "dead.example": 2, "ads.example.com": 4, "refused.example.com": 4, "localhost": 4} {
				for range rounds {
					for _, network := range []string{"udp", "tcp"} {
						g.Ask(t, network, name, dns.TypeA, 0)
					}
				}
			}
			total := 0
			for _, line := range want {
				var n int
				if _, err := fmt.Sscan(line, &n); err != nil {
					t.Fatal(err)
				}
				total += n
			}
			var got []string
			proctest.Eventually(t, time.Minute, "all lines are there", func() bool {
				var n int
				got, n = summary(t, filepath.Join(g.Dir, "queries.json"))
				return n >= total
			})
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// isQuiet tells whether all questions that came have been written.
func isQuiet(t *testing.T, g *proctest.Group) bool {
	before := g.Eval(t, "querylog.stats().written")
	time.Sleep(200 * time.Millisecond)
	return g.Eval(t, "querylog.stats().written") == before
}

// summary counts equal lines of a query log, without those about other questions than
// for an address, and says how many there are.
func summary(t *testing.T, path string) (list []string, n int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, 0
	}
	counts := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var f struct {
			Qname, Qtype, Rcode, Proto, Client string
			Blocked                            bool
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		if f.Client != "127.0.0.1" || f.Qtype != "A" {
			t.Errorf("line %q", line)
		}
		counts[fmt.Sprintf("%s %s blocked=%t", f.Qname, f.Rcode, f.Blocked)]++
		n++
	}
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%d %s", counts[what], what))
	}
	slices.Sort(list)
	return list, n
}

// A disk that is full, and a file that cannot be made, cost lines and no answer; the log
// says so once.
func TestQueryLogWithoutRoom(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1, "modules = { querylog = { file = 'queries.json' } }"))
	proctest.Eventually(t, time.Minute, "there is a file", func() bool { return os.Remove(filepath.Join(g.Dir, "queries.json")) == nil })
	if err := os.Mkdir(filepath.Join(g.Dir, "queries.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, time.Minute, "lines fail", func() bool {
		g.Ask(t, "udp", "www.example.com", dns.TypeA, 0)
		return g.Eval(t, "querylog.stats().failed > 0") == "true"
	})
	logged(t, g, "querylog: file 'queries.json': ")
	if n := strings.Count(g.Log(), "querylog: file"); n != 1 {
		t.Errorf("the log says so %d times", n)
	}
	if err := os.Remove(filepath.Join(g.Dir, "queries.json")); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, time.Minute, "lines are written again", func() bool {
		g.Ask(t, "udp", "www.example.com", dns.TypeA, 0)
		_, err := os.Stat(filepath.Join(g.Dir, "queries.json"))
		return err == nil
	})
}
