package bindings

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"kresd/internal/version"
)

// The manual's examples of the core's globals. Module names in them are modules
// that only play a part (see fixture_test.go).
//
// TestManualInConfiguration runs those that stand in a configuration, each as a
// file and as one command, TestManualOnTheConsole those that show a prompt.

const (
	overInterfaces = `for name, addr_list in pairs(net.interfaces()) do
        net.listen(addr_list)
end`
	byPrefix = `addr_list = net.eth1
addrpref = env.EXPECTED_ADDR_PREFIX
for k, v in pairs(addr_list["addr"]) do
        if string.sub(v,1,string.len(addrpref)) == addrpref then
                net.listen(v)
        end
end`
	ifHidden = `if hostname() == 'hidden' then
        net.listen(net.eth0, 5353)
else
        net = { '127.0.0.1', net.eth1.addr[1] }
end`
	fromParent = `local http = require('socket.http')
local ltn12 = require('ltn12')

local cache_size = 100*MB
local cache_path = '%s'
cache.open(cache_size, 'lmdb://' .. cache_path)
if cache.count() == 0 then
        cache.close()
        -- download cache from parent
        http.request {
                url = '%s/data.mdb',
                sink = ltn12.sink.file(io.open(cache_path .. '/data.mdb', 'w'))
        }
        -- reopen cache with 100M limit
        cache.open(cache_size, 'lmdb://' .. cache_path)
end`
)

// manualConfigs are configurations and what holds after them: commands and what
// they show.
var manualConfigs = []struct {
	what, lua string
	bound     string
	after     []step
}{
	{"configuration example", "-- interfaces\nnet = { '127.0.0.1', '::1' }\n-- load some modules\nmodules = { 'policy' }\n-- 10MB cache\ncache.size = 10*MB",
		"127.0.0.1:53 [::1]:53", []step{{"cache.current_size", "10485760\n"}, {"modules.list()[4]", "policy\n"}}},
	{"hints without configuration", "modules = {\n        'hints' -- no configuration\n}", "", []step{{"hints.get()", ""}}},
	{"hints with a path", "modules = {\n        hints = '/etc/hosts'\n}", "", []step{{"modules.list()[4]", "hints\n"}}},
	{"hints with options", "modules = {\n        hints = {file = '/etc/hosts'}\n}", "", []step{{"modules.list()[4]", "hints\n"}}},
	{"the same in two calls", "modules.load('hints')\nhints.config({file = '/etc/hosts'})", "", []step{{"modules.list()[4]", "hints\n"}}},
	{"precedence", "modules = {\n   'hints  > iterate', -- Hints AFTER iterate\n   'policy > hints',   -- Policy AFTER hints\n   'view   < cache'    -- View BEFORE cache\n}\nmodules.list() -- Check module call order",
		"", []step{{"tojson(modules.list())", `["iterate","hints","policy","validate","view","cache"]` + "\n"}}},
	{"dynamic configuration", ifHidden, "10.0.0.1:53 127.0.0.1:53", nil},
	{"dynamic configuration, hidden", "hostname('hidden')\n" + ifHidden, "192.168.0.1:5353", nil},
	{"all interfaces", overInterfaces, "10.0.0.1:53 10.1.0.1:53 127.0.0.1:53 192.168.0.1:53 [::1]:53 [fe80::1%eth1]:53", nil},
	{"addresses with a prefix", "env.EXPECTED_ADDR_PREFIX = '10.'\n" + byPrefix, "10.0.0.1:53", nil},
	{"listening", "net = { '127.0.0.1', net.eth0, net.eth1.addr[1] }\nnet.ipv4 = false", "10.0.0.1:53 127.0.0.1:53 192.168.0.1:53", []step{{"net.ipv4", "false\n"}, {"net.ipv6", "true\n"}}},
	{"wildcard", "net = { '0.0.0.0' }", "0.0.0.0:53", nil},
	{"net.listen", "net.listen('::1')\nnet.listen(net.lo, 5353)", "127.0.0.1:5353 [::1]:53 [::1]:5353", nil},
	{"two parts", "-- privileged\nnet = { '127.0.0.1', '::1' }\n-- unprivileged\ncache.size = 100*MB", "127.0.0.1:53 [::1]:53", []step{{"cache.size", "104857600\n"}}},
	{"cache.open", "cache.open(100 * MB, 'lmdb:///var/cache/knot-resolver')", "", []step{{"cache.current_storage", "lmdb:///var/cache/knot-resolver\n"}}},
	{"cache.size", "cache.size = 100 * MB -- equivalent to `cache.open(100 * MB)`", "", []step{{"cache.current_size", "104857600\n"}, {"cache.current_storage", "lmdb://\n"}}},
	{"cache.storage", "cache.storage = 'lmdb://.'", "", []step{{"cache.current_storage", "lmdb://.\n"}}},
	{"cancelled event", "e = event.after(1 * minute, function() print('Hi!') end)\nevent.cancel(e)", "", []step{{"event.cancel(e)", "false\n"}}},
	{"event as a method", "e = event.after(1 * minute, function() print('Hi!') end)\ne.cancel(e)", "", []step{{"event.cancel(e)", "false\n"}}},
}

func TestManualInConfiguration(t *testing.T) {
	for _, c := range manualConfigs {
		for form, run := range map[string]func(*world) string{
			"file":    func(w *world) string { return w.file(c.lua) },
			"console": func(w *world) string { return w.eval("do " + c.lua + "\nend") },
		} {
			t.Run(c.what+"/"+form, func(t *testing.T) {
				w := newWorld(t)
				if got := run(w); got != "" {
					t.Fatalf("%s\n%s", c.lua, got)
				}
				if got := sorted(w.listener.bound()); got != c.bound {
					t.Errorf("bound %q, want %q", got, c.bound)
				}
				w.expect(c.after...)
				if log := w.log.take(); log != "" {
					t.Errorf("log %q", log)
				}
			})
		}
	}
}

func TestManualCacheFromAParent(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	parent := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/data.mdb" {
			fmt.Fprint(rw, "data")
		}
	}))
	defer parent.Close()
	w.expectFile(fmt.Sprintf(fromParent, dir, parent.URL), "")
	if data, err := os.ReadFile(dir + "/data.mdb"); err != nil || string(data) != "data" {
		t.Errorf("downloaded %q, %v", data, err)
	}
	w.expect(step{"cache.current_size", "104857600\n"}, step{"cache.storage", "lmdb://" + dir + "\n"})
	if want := []string{dir, dir}; len(w.cache.opens) != 2 || w.cache.opens[0] != want[0] {
		t.Errorf("opened %v, want %v", w.cache.opens, want)
	}
}

// manualConsole is what the manual shows with a prompt. Tables are in the order in
// which we print.
var manualConsole = []step{
	{"env.USER -- equivalent to $USER in shell", "somebody\n"},
	{"user('baduser')", "ERROR invalid user name"},
	{"package_version()", version.String() + "\n"},
	{"net.bufsize 4096", ""},
	{"net.bufsize()", "4096\n"},
	{"net.tcp_pipeline()", "100\n"},
	{"net.tcp_pipeline(50)", "50\n"},
	{"net = { '127.0.0.1' }", ""},
	{"net.list()", "[127.0.0.1] => {\n    [port] => 53\n    [tcp] => true\n    [udp] => true\n}\n"},
	{"net.interfaces().eth0", "[addr] => {\n    [1] => 192.168.0.1\n}\n[mac] => de:ad:be:ef:aa:bb\n"},
	{"cache.size = 100 * MB", ""},
	{"print(cache.current_size)", "nil\n"},
	{"print(cache.storage)", "nil\n"},
	{"cache.backends()", "[lmdb://] => true\n"},
	{"print('Insertions:', cache.stats().insert)", "nil\n"},
	{"cache.max_ttl()", "518400\n"},
	{"cache.max_ttl(172800)", "172800\n"},
	{"cache.min_ttl()", "5\n"},
	{"cache.min_ttl(5)", "5\n"},
	{"cache.ns_tout()", "60000\n"},
	{"cache.count()", "176\n"},
	{"cache.clear('www.example.com.', true)", "[count] => 1\n[not_apex] => to clear proofs of non-existence call cache.clear('example.com.')\n[round] => 1\n[subtree] => example.com.\n"},
	{"cache.clear('com.')", "[chunk_limit] => chunk size limit reached; the default callback will continue asynchronously\n[count] => 100\n[round] => 1\n"},
	{"worker.sleep(0.1)", "nil\n"},
	{"worker.sleep(0.1)", "nil\n"},
	{"cache.clear()", "[count] => 0\n"},
	{"hostname('localhost')", "localhost\n"},
	{"hostname()", "localhost\n"},
	{"map 'hostname()'", "[1] => localhost\n[2] => localhost\n"},
	{"map 'worker.id'", "[1] => 0\n[2] => 0\n"},
	{"map 'cache.stats()'", "[1] => {\n    [delete] => 4\n    [hit] => 1\n    [insert] => 3\n    [miss] => 2\n}\n[2] => {\n    [delete] => 4\n    [hit] => 1\n    [insert] => 3\n    [miss] => 2\n}\n"},
	{"print(worker.stats().concurrent)", "nil\n"},
	{"cache.close()", "true\n"},
}

func TestManualOnTheConsole(t *testing.T) {
	w := newWorld(t)
	w.cache.apexes = append(w.cache.apexes, mustName(t, "example.com."), mustName(t, "com."))
	w.cache.hold(t, "www.example.com.", 1)
	w.cache.hold(t, "com.", 175)
	for _, s := range manualConsole {
		w.expect(s)
	}
	if got, want := w.out.take(), "104857600\nlmdb://\nInsertions:\t3\n3\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	if got, want := w.log.take(), "[cache] asynchonous cache.clear('com', false) finished\n"; got != want {
		t.Errorf("logged %q, want %q", got, want)
	}
}

// The manual's events with their times divided, so that they end.
func TestManualEvents(t *testing.T) {
	for _, c := range []struct{ what, lua, out string }{
		{"after", "event.after(1, function() print('Hi!') end)", "Hi!\n"},
		{"recurrent", "msg_count = 0\nevent.recurrent(5 * sec / 1000, function(e)\n   msg_count = msg_count + 1\n   print('Hi #'..msg_count)\nend)", "Hi #1\nHi #2\nHi #3\n"},
		{"reschedule", "local interval = 8\nevent.after(1, function (ev)\n   print('Good morning!')\n   -- Halven the interval for each iteration\n   interval = interval / 2\n   event.reschedule(ev, interval)\nend)",
			"Good morning!\nGood morning!\nGood morning!\n"},
		{"statistics", "modules.load('stats')\n\n-- log statistics every second\nlocal stat_id = event.recurrent(1 * second / 1000, function(evid)\n    log(table_print(stats.list()))\nend)\n\n" +
			"-- stop printing statistics after first minute\nevent.after(1 * minute / 1000, function(evid)\n        event.cancel(stat_id)\nend)",
			"[answer.slow] => 6\n[answer.total] => 100\n\n[answer.slow] => 6\n[answer.total] => 100\n\n"},
		{"closure", "modules.load('stats')\n\n-- make a closure, encapsulating counter\nfunction speed_monitor()\n        local previous = {['answer.total'] = 0, ['answer.slow'] = 0}\n        -- monitoring function\n" +
			"        return function(evid)\n                local now = stats.list()\n                local total_increment = now['answer.total'] - previous['answer.total']\n" +
			"                local slow_increment = now['answer.slow'] - previous['answer.slow']\n                if slow_increment / total_increment > 0.05 then\n" +
			"                        log('WARNING! More than 5 %% of queries was slow!')\n                end\n                previous = now  -- store current value in closure\n         end\nend\n\n" +
			"-- monitor every minute\nlocal monitor_id = event.recurrent(1 * minute, speed_monitor())", "WARNING! More than 5 % of queries was slow!\n"},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t)
			w.expectFile(c.lua, "")
			w.eventually("its output", func() bool { return strings.HasPrefix(w.out.String(), c.out) })
			if got := w.err.take(); got != "" {
				t.Errorf("errors %q", got)
			}
		})
	}
}

// sorted puts words in order: pairs() of a script has none.
func sorted(words string) string {
	list := strings.Fields(words)
	slices.Sort(list)
	return strings.Join(list, " ")
}
