package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// wrongLines are lines of a configuration with one mistake each. What stands before a
// "|" is a line of its own above.
var wrongLines = strings.Split(strings.TrimSpace(`
for x
net.listen(
x = = 5
local f = net.bpf_set; f()
'unfinished
if true then
end
x = {1, 2
goto nowhere
x
nosuch()
local t = {} t.x.y = 1
error('my own reason')
error({})
assert(nil, 'the reason')
x = 1 + {}
x = {} < {}
require('nosuch')
require('kres_modules.nosuch')
require('ffi').cdef('int x;')
require('ffi').C.nosuch(5)
assert(require('zonefile').string('a. A x'))
dofile('nosuch.lua')
dofile('broken.lua')
io.lines('nosuch.txt')
assert(io.open('nosuch.txt'))
assert(io.open('/proc/nosuch/txt', 'w'))
assert(loadstring('x x'))()
string.format('%d', 'x')
setmetatable(5, {})
table.concat({{}})
string.rep()
os.time({})
coroutine.resume(5)
net.listen('nosuch0')
net.listen('300.1.1.1')
net.listen()
net.listen('127.0.0.1', 'x')
net.listen('127.0.0.1', 70000)
net.listen('127.0.0.1', 53.5)
net.listen('127.0.0.1', 0)
net.listen('127.0.0.1', 53, { kind = 'nosuch' })
net.listen('127.0.0.1', 53, { tls = 'x' })
net.tls_sticket_secret('short')
net.tls_sticket_secret_file('nosuch')
net.tls_handshake_timeout(0)
net.listen('127.0.0.1', 53, { nosuch = 1 })
net.listen('127.0.0.1', 53, { kind = 'tls', tls = false })
net.listen('127.0.0.1', 53, { kind = 'nosuch' })
net.doh_paths('nosuch')
net.doh_headers(':nosuch')
net.listen('127.0.0.1', 53, { freebind = 5 })
net.listen('/nosuch/dns')
net.listen({ '127.0.0.1', 5 })
net.listen(net.nosuch0)
net.listen(net.lo.addr[77])
net = { net.nosuch0 }
net = { 'bad' }
net = 5
net.listen('127.0.0.1@53')
net.listen('fe80::1', 5353)
net.listen('192.0.2.0/24')
net.close(5)
net.bufsize('x')
net.bufsize(100)
net.tcp_pipeline(-1)
net.tcp_in_idle('x')
net.outgoing_v4('::1')
net.outgoing_v4('192.0.2.77')
net.outgoing_v6('fe80::1')
net.ipv4 = 'x'
net.nosuch = 5
net.limits({ nosuch = 1 })
net.limits({ pending = 0 })
net.forwarders({ 'x' })
net.forwarders({ '10.0.0.1/8' })
net.forwarders({ a = 1 })
net.interfaces(5)
net.listn('x')
net.tls('nosuch.crt', 'nosuch.key')
net.bpf_clear({})
x = net.bpf_set.x
cache.size = 'x'
cache.size = 5
cache.open('x')
cache.open(100*MB, 'redis://x')
cache.open(1e6, 'lmdb:///proc')
cache.open(1e6, 'lmdb:///proc/nosuch')
cache.open()
cache.storage = 5
cache = { nosuch = 5 }
cache.clear('a')
cache.size = 10*MB | cache.clear('a..b')
cache.size = 10*MB | cache.clear('a', 'x')
cache.size = 10*MB | cache.clear('a', false, kres.type.A)
cache.size = 10*MB | cache.max_ttl(-1)
cache.size = 10*MB | cache.min_ttl(1e9)
cache.ns_tout(-5)
cache.get('a..b')
cache.sise = 5
cache.backends = 5
modules.load('nosuch')
modules.load('hints ? x')
modules.load('hints <')
modules.load('hints > nosuch')
modules.load('')
modules.load(5)
modules.load('fallback')
modules.load('view') | view:addr('10.0.0.0/33', policy.all(policy.DENY))
modules.load('daf') | daf.add('qname = a..b deny')
modules.unload('nosuch')
modules = { 'nosuch' }
modules = 5
modules = { hints = 5 }
modules = { hints = { nosuch = 1 } }
modules = { hints = 'nosuch.hosts' }
modules = { policy = { 1 } }
modules = { predict = {} }
modules.load('hints') | hints.set('nonsense')
modules.load('hints') | hints.set('a.b 300.1.1.1')
modules.load('hints') | hints.set(5)
modules.load('hints') | hints.del('nosuch')
modules.load('hints') | hints.add_hosts('nosuch.hosts')
modules.load('hints') | hints.add_hosts('/')
modules.load('hints') | hints.root({ 5 })
modules.load('hints') | hints.root({ ['a.'] = 'x' })
modules.load('hints') | hints.root_file('nosuch.zone')
modules.load('hints') | hints.root_file('damaged.zone')
modules.load('hints') | hints.root_file('empty.zone')
modules.load('hints') | hints.root_file('/')
modules.load('hints') | hints.ttl(-1)
modules.load('hints') | hints.get('a..b')
modules.load('hints') | hints['a'] = 5
modules.load('hints') | hints = 5
modules.load('hints') | hints.config(5)
policy.add(5)
policy.add(policy.all())
policy.add(policy.all(5))
policy.add(policy.suffix(policy.DENY, 5))
policy.add(policy.suffix(policy.DENY, { 'example.com' }))
policy.add(policy.suffix(policy.DENY, policy.todnames({ 'a..b' })))
policy.add(policy.all(policy.FORWARD('x')))
policy.add(policy.all(policy.FORWARD({})))
policy.add(policy.all(policy.FORWARD('1.1.1.1@0')))
policy.add(policy.all(policy.TLS_FORWARD({})))
policy.add(policy.rpz(policy.DENY, 'x.rpz'))
policy.add(policy.all(policy.FLAGS('NOSUCH')))
policy.add(policy.all(policy.ANSWER({ x = 1 })))
policy.add(policy.all(policy.DENY_MSG(('x'):rep(300))))
policy.DENY = 5
mode('x')
option('NOSUCH')
option('NO_CACHE', 'x')
log_level('x')
log_groups({ 'x' })
log_groups({ 'tls' })
log_target('x')
log_target('syslog')
verbose('x')
hostname('a..b')
hostname(('x'):rep(300))
moduledir(5)
worker.sleep(-1)
worker.id = 5
worker.coroutine()
worker.limits('nosuch')
event.after('x', print)
event.after(-5, print)
map('x')
help('nosuch')
fromjson('{')
tojson({ [{}] = 1 })
log('%d', 'x')
panic('my own panic')
resolve('a..b')
resolve('a', 'NOSUCH')
resolve({ nosuch = 1 })
trace()
kres.type.A = 5
kres.parse_rdata({ 'A x' })
kres.parse_rdata({ 'NOSUCH x' })
kres.rr2str(5)
trust_anchors.add('x')
trust_anchors.add('. IN A 1.2.3.4')
trust_anchors.add_file('nosuch/nosuch.keys', true)
trust_anchors.add_file('damaged.keys', true)
trust_anchors.add_file('/', true)
trust_anchors.set_insecure({ 'a..b' })
trust_anchors.nosuch = 5
modules.load('stats') | stats.set('x')
modules.load('stats') | stats['x'] = 'y'
modules.load('serve_stale') | serve_stale.timeout = 'x'
modules.load('workarounds') | workarounds.config({ ['a.'] = 'NOSUCH' })
`), "\n")

// wrongCommands are commands on a console.
var wrongCommands = strings.Split(strings.TrimSpace(`
x = = 5
end
'unfinished
local f = net.bpf_set; f()
net.tls('x')
while true do end
local function f() return f() + 1 end f()
x = ('x'):rep(1e9)
cache.clear('a..b')
cache.clear('a', true, 'nosuch')
cache.open(100*MB, 'lmdb:///proc/nosuch')
net.listen('fe80::1', 53)
net.listen('x@53')
modules.load('hints ? x')
trace('a..b')
hints.root_file('nosuch')
hints['a..b'] = '1.2.3.4'
quit('x')
os.exit('x')
coroutine.yield()
eval_cmd('x x')
socket.http
require('nosuch')
tojson({ 0/0 })
fromjson('{"a" 5}')
help('x.y')
kres.parse_rdata({ 'MX x' })
trust_anchors.add('. IN DS 1 x')
`), "\n")

// wrongOptions are command lines, in a run directory.
var wrongOptions = strings.Split(strings.TrimSpace(`
--nosuch
-x
--=x
-a x
-a 127.0.0.1@70000
-a fe80::1@5353
-t ::1@x
-k a -K b
-S x
-S 3:x
-T x
-S 99
-f 0
-f x
-c nosuch
-c /
--log-format=xml
--log-format=
--verbose=5
--v
one two
/proc/nosuch
/etc/passwd
`), "\n")

// damages are what may stand in a run directory instead of what belongs there.
var damages = map[string]func(dir string) error{
	"data.mdb garbage": func(d string) error {
		return os.WriteFile(d+"/data.mdb", []byte(strings.Repeat("garbage ", 5000)), 0o600)
	},
	"data.mdb cut":        func(d string) error { return os.WriteFile(d+"/data.mdb", []byte("x"), 0o600) },
	"data.mdb directory":  func(d string) error { return os.Mkdir(d+"/data.mdb", 0o700) },
	"lock.mdb directory":  func(d string) error { return os.Mkdir(d+"/lock.mdb", 0o700) },
	"servers.tab garbage": func(d string) error { return os.WriteFile(d+"/servers.tab", []byte("garbage"), 0o600) },
	"servers.tab link":    func(d string) error { return os.Symlink("/etc/passwd", d+"/servers.tab") },
	"tty file":            func(d string) error { return os.WriteFile(d+"/tty", nil, 0o600) },
	"config directory":    func(d string) error { return os.Mkdir(d+"/config", 0o700) },
	"config compiled":     func(d string) error { return os.WriteFile(d+"/config", []byte("\x1bLua\x00\x01"), 0o600) },
	"config dangling":     func(d string) error { return os.Symlink("nosuch", d+"/config") },
	"open to everybody":   func(d string) error { return os.Chmod(d, 0o777) },
}

// faultyMessage finds what no message has: marks without a sentence, doubled words,
// names of Go's and libraries' functions, constants' inner names.
var faultyMessage = regexp.MustCompile(`[\t;:,]$|\t|error: error|[:;] ?;|: :|\ba [aei]\w|%!|context deadline|context canceled|strconv|` +
	`\bdns: |at line: |mdb_|(^|: )(open|read|mkdir|stat|lstat) [^ ]*:|invalid argument|\bEOF\b|i/o timeout|table of constants|not (part of|supported by|available in) this|` +
	`\[(\w+)\] \w*: |@\d+@|'@\d+' [a-z]|cache of 0|<nil>|0x[0-9a-f]{6}|userdata`)

// longestMessage bounds a message; the longest names all modules and all places of one.
const longestMessage = 480

// judge checks one message.
func judge(t *testing.T, what, message, place string) {
	t.Helper()
	t.Logf("%-60s %s", what, message)
	switch {
	case message == "":
		t.Errorf("%s: no message", what)
	case strings.Contains(message, "\n"):
		t.Errorf("%s: more than one line: %q", what, message)
	case len(message) > longestMessage:
		t.Errorf("%s: %d octets: %q", what, len(message), message)
	case faultyMessage.MatchString(message):
		t.Errorf("%s: %q has %q", what, message, faultyMessage.FindString(message))
	case !strings.Contains(message, place):
		t.Errorf("%s: %q does not say %q", what, message, place)
	}
}

// usual are lines of the log about a start, not about a mistake.
var usual = regexp.MustCompile(`(?m)^\[system\] (listening on|cache of|answers are not validated|servers are not explored|kresd serves as root).*\n`)

// complaint is what a program that is started with a mistake says.
func complaint(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(proctest.Bin("kresd"), args...)
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	out, _ := cmd.CombinedOutput()
	if !timer.Stop() {
		t.Errorf("kresd %q did not end", args)
	}
	return strings.TrimSuffix(usual.ReplaceAllString(string(out), ""), "\n")
}

// freeAddr is an address for -a.
func freeAddr(t *testing.T) string {
	t.Helper()
	return strings.Replace(proctest.FreePort(t).String(), ":", "@", 1)
}

// Every mistake in a configuration is told in one line that begins with its place.
func TestMessagesAboutConfigurations(t *testing.T) {
	addr := freeAddr(t)
	for _, line := range wrongLines {
		above, wrong, two := strings.Cut(line, " | ")
		if !two {
			above, wrong = "-- nothing", line
		}
		dir := proctest.RunDir(t)
		for name, text := range map[string]string{
			"config": above + "\n" + wrong + "\n\nquit()\n", "damaged.zone": ". 3600 IN NS a.\na. 3600 IN A 300.1.1.1\n", "empty.zone": "",
			"damaged.keys": ". IN DS 1 2 x\n", "broken.lua": "x = = 1",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		place := "config:2: "
		switch wrong {
		case "dofile('broken.lua')":
			place = "broken.lua:1: "
		case "net.listen(", "if true then": // what follows would fit
			place = "at line 2) near <eof>"
		}
		judge(t, line, complaint(t, "-n", "-a", addr, dir), place)
	}
}

// markedLine is the line of a command with a mark under the place of the mistake.
var markedLine = regexp.MustCompile(`\n    .*\n +\^$`)

// So is one in a command; below may stand what of it is wrong.
func TestMessagesOnTheConsole(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1))
	c, err := proctest.Dial(g.Worker(t, 0).Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, line := range wrongCommands {
		got, err := c.Do(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		judge(t, line, markedLine.ReplaceAllString(strings.TrimSuffix(got, "\n"), ""), "")
	}
}

// A mistake on the command line is told with the option.
func TestMessagesAboutOptions(t *testing.T) {
	addr := freeAddr(t)
	for _, line := range wrongOptions {
		args := append(strings.Fields(line), proctest.RunDir(t))
		if strings.HasPrefix(line, "/") || strings.HasPrefix(line, "one") {
			args = strings.Fields(line)
		}
		if !strings.HasPrefix(line, "-a") && !strings.HasPrefix(line, "-S") {
			args = append([]string{"-a", addr}, args...)
		}
		judge(t, line, complaint(t, append([]string{"-n"}, args...)...), "kresd: ")
	}
}

// What is damaged in a run directory is named.
func TestMessagesAboutDamage(t *testing.T) {
	addr := freeAddr(t)
	for what, do := range damages {
		dir, args := proctest.RunDir(t), []string{"-n", "-a", addr}
		if err := do(dir); err != nil {
			t.Fatal(err)
		}
		place, _, _ := strings.Cut(what, " ")
		if place == "open" {
			place = dir
		}
		if place != "config" {
			config := filepath.Join(proctest.RunDir(t), "good")
			if err := os.WriteFile(config, []byte("cache.size = 10*MB\nquit()\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "-c", config)
		}
		judge(t, what, complaint(t, append(args, dir)...), place)
	}
}
