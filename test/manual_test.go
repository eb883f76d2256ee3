package test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// What the manual says in words of functions and options; its examples are tried by
// TestSeedManual. A want that begins with "^" is a pattern.
var manualConsole = []struct{ section, in, want string }{
	{"net.interfaces", "net.interfaces().lo.addr", `^\[1\] => (127\.0\.0\.1|::1)\n`},
	{"net.interfaces", "net.lo.mac", "00:00:00:00:00:00\n"},
	{"net.ipv4", "net.ipv4", "true\n"},
	{"net.ipv6", "net.ipv6 = false", ""},
	{"net.ipv6", "net.ipv6", "false\n"},
	{"net.outgoing_v4", "net.outgoing_v4()", "nil\n"},
	{"mode", "mode('strict')", "true\n"},
	{"mode", "mode()", "strict\n"},
	{"reorder_RR", "reorder_RR(true)", "true\n"},
	{"reorder_RR", "reorder_RR()", "true\n"},
	{"verbose", "verbose(true)", "true\n"},
	{"verbose", "verbose(false)", "false\n"},
	{"moduledir", "moduledir('/tmp')", "/tmp\n"},
	{"cache.current_size", "cache.current_size == 20 * MB", "true\n"},
	{"cache.storage", "cache.current_storage", "lmdb://\n"},
	{"cache.min_ttl", "cache.min_ttl()", "5\n"},
	{"cache.ns_tout", "cache.ns_tout()", "60000\n"},
	{"cache.get", "type(cache.get('example.com'))", "table\n"},
	{"worker", "worker.count", "2\n"},
	{"worker", "worker.id", "0\n"},
	{"map", "map 'hostname(\"localhost\")'", "[1] => localhost\n[2] => localhost\n"},
	{"help", "help", `^(?s).*help\(.*cache`},
	{"help", "help()", "^(?s).*hostname.*map"},
	{"todname", "tojson({ 1, 2, 3 })", "[1,2,3]\n"},
	{"fromjson", "fromjson('{ \"key\": \"value\" }').key", "value\n"},
}

func TestManualOnTheConsole(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	c, err := proctest.Dial(g.Worker(t, 0).Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, tc := range manualConsole {
		t.Run(fmt.Sprintf("%02d %s", i, tc.section), func(t *testing.T) {
			got, err := c.Do(tc.in)
			if err != nil {
				t.Fatalf("%s: %v", tc.in, err)
			}
			if !matches(got, tc.want) {
				t.Errorf("%s\n got %q\nwant %q", tc.in, got, tc.want)
			}
		})
	}
}

// matches compares as a pattern where want begins with "^", else exactly.
func matches(got, want string) bool {
	if strings.HasPrefix(want, "^") {
		return regexp.MustCompile(want).MatchString(got)
	}
	return got == want
}

// cache.clear's return tables.
func TestManualCacheClear(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	for i := range 150 {
		g.Ask(t, "udp", fmt.Sprintf("n%d.wild.example.com", i), dns.TypeA, 0)
	}
	g.Ask(t, "udp", "www.example.com", dns.TypeA, 0)
	count(t, g)
	c, err := proctest.Dial(g.Worker(t, 0).Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	do := func(command string) map[string]string {
		t.Helper()
		text, err := c.Do(command)
		if err != nil {
			t.Fatal(err)
		}
		return table(text)
	}
	got := do("cache.clear('www.example.com.', true)")
	if got["round"] != "1" || got["count"] == "0" || got["subtree"] != "example.com." ||
		got["not_apex"] != "to clear proofs of non-existence call cache.clear('example.com.')" {
		t.Errorf("cache.clear of one name: %v", got)
	}
	got = do("cache.clear('com.')")
	if got["count"] != "100" || got["round"] != "1" ||
		got["chunk_limit"] != "chunk size limit reached; the default callback will continue asynchronously" {
		t.Errorf("cache.clear of a large subtree: %v", got)
	}
	do("worker.sleep(0.1)")
	proctest.Eventually(t, 5*time.Second, "the log tells of the end of the clearing", func() bool {
		return strings.Contains(g.Log(), "asynchonous cache.clear('com', false) finished")
	})
	got = do("cache.clear('com.')")
	if got["count"] != "0" {
		t.Errorf("after clearing com. there are still %v", got)
	}
	if got = do("cache.clear()"); len(got) != 1 || got["count"] == "" {
		t.Errorf("cache.clear(): %v", got)
	}
}

// table reads a printed table of scalars.
func table(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "] => ")
		if ok {
			out[strings.TrimPrefix(key, "[")] = value
		}
	}
	return out
}

// Lists of addresses inside each other, and the constants for sizes and times.
func TestManualConfigurations(t *testing.T) {
	n := proctest.SmallInternet(t)
	for what, lua := range map[string]string{
		"nested address lists": "net.listen({ {'127.0.0.2'}, {{'127.0.0.3'}} }, PORT2)\n",
		"constants": "assert(kB == 1024 and MB == 1024 * kB and GB == 1024 * MB)\n" +
			"assert(sec == 1000 and second == sec and minute == 60 * sec and hour == 60 * minute and day == 24 * hour)\n",
	} {
		t.Run(what, func(t *testing.T) {
			second := fmt.Sprint(proctest.FreePort(t).Port())
			g := proctest.Start(t, proctest.On(t, n, 1, strings.ReplaceAll(lua, "PORT2", second)))
			if got, want := proctest.Shape(g.Ask(t, "udp", "mail.example.com", dns.TypeA, 0)), "NOERROR\nmail.example.com. 0 IN A 192.0.2.25"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if strings.Contains(g.Log(), "rror") {
				t.Errorf("log:\n%s", g.Log())
			}
		})
	}
}

// Timers run, again and again, and can be stopped; what they print goes to the log.
func TestManualEvents(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1,
		"msg_count = 0",
		"event.recurrent(20, function(e)\n   msg_count = msg_count + 1\n   print('Hi #'..msg_count)\n   if msg_count == 3 then event.cancel(e) end\nend)",
		"event.after(20, function() print('Good morning!') end)",
	))
	for _, want := range []string{"Hi #1", "Hi #2", "Hi #3", "Good morning!"} {
		proctest.Eventually(t, 5*time.Second, want+" in the log", func() bool { return strings.Contains(g.Log(), want) })
	}
	time.Sleep(100 * time.Millisecond)
	if strings.Contains(g.Log(), "Hi #4") {
		t.Error("the cancelled timer ran on")
	}
}

// Privileges are dropped after binding, in every thread.
func TestManualUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not run: changing the user needs root")
	}
	config := proctest.On(t, proctest.SmallInternet(t), 2)
	config.Dir = proctest.RunDir(t)
	if err := os.Chown(config.Dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	config.Lua = strings.Replace(config.Lua, "cache.size", "user('nobody', 'nogroup')\ncache.size", 1)
	g := proctest.Start(t, config)
	for _, w := range g.Workers() {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.PID))
		if err != nil || !strings.Contains(string(status), "Uid:\t65534\t65534\t65534\t65534") ||
			!strings.Contains(string(status), "Gid:\t65534\t65534\t65534\t65534") {
			t.Errorf("worker %d: %v\n%s", w.ID, err, status)
		}
	}
	if got := g.Eval(t, "user('root')"); !strings.Contains(got, "Operation not permitted") {
		t.Errorf("user('root') by nobody: %q", got)
	}
}
