package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kresd/internal/proctest"
)

// wrong are values that hardly any parameter takes.
func wrong() []string {
	return []string{"1.5", "0/0", "1/0", "-1", "1e300", "nil", "true", "'no such..thing!'", "{}", "{1.5}", "function() end"}
}

// An argument is one that a function takes, and which of the wrong values it takes
// as well, because they mean something there.
type argument struct {
	valid string
	takes []string
}

func arg(valid string, takes ...string) argument { return argument{valid, takes} }

// functions are all functions that scripts can call, with arguments that they take.
// Those with "…" as their last argument take any number.
func functions() map[string][]argument {
	const text, never, list, fn = "'no such..thing!'", "nil", "{}", "function() end"
	any := wrong()
	name := func(takes ...string) argument { return arg("'www.example.'", takes...) }
	action, wire := arg("policy.PASS", fn), arg("{ todname('a.') }", list)
	ms := arg("3600000", "1.5")
	return map[string][]argument{
		"net.listen": {arg("'127.0.0.1'", list), arg("5399", never), arg("{ freebind = false }", never, list)},
		"net.close":  {arg("'127.0.0.1'", text), arg("5399", never)},
		"net.list":   {}, "net.endpoints": {}, "net.interfaces": {},
		"net.bufsize":      {arg("4096"), arg("1232", never)},
		"net.tcp_pipeline": {arg("100")},
		"net.tcp_in_idle":  {arg("10000")},
		"net.tls_padding":  {arg("true", "true")},
		"net.doh_paths":    {arg("'/dns-query'")},
		"net.doh_headers":  {arg("{ 'accept' }", list)},
		"net.outgoing_v4":  {arg("'127.0.0.1'", never)},
		"net.outgoing_v6":  {arg("nil", never)},
		"net.tls_client":   {arg("'192.0.2.1'", never), arg("'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='", never)}, "net.tls_client_clear": {arg("'192.0.2.1'")}, "net.tls_opportunistic": {arg("false", "true")},
		"net.tls": {arg("'server.crt'"), arg("'server.key'")}, "net.tls_server": {arg("'server.crt'"), arg("'server.key'")},
		"net.tls_sticket_secret": {arg("'0123456789abcdef0123456789abcdef'")}, "net.tls_sticket_secret_file": {arg("'/dev/urandom'")},
		"net.tls_handshake_timeout": {arg("6000")},
		"net.limits":                {arg("{ pending = 4096 }", list)},
		"net.forwarders":            {arg("{}", list)},
		"net.proxy_allowed":         {arg("{}", list)},

		"cache.open":  {arg("20*MB"), arg("'lmdb://'", never, text)},
		"cache.close": {}, "cache.backends": {}, "cache.count": {}, "cache.stats": {},
		"cache.max_ttl": {arg("518400")},
		"cache.min_ttl": {arg("5")},
		"cache.ns_tout": {arg("60000")},
		"cache.prune":   {arg("10", never)},
		"cache.fssize":  {}, "cache.checkpoint": {arg("true", never, "true", text)},
		"cache.get":   {name(), arg("kres.type.A")},
		"cache.clear": {name(never), arg("true", never, "true"), arg("nil", never), arg("100", never, "1/0", "1e300"), arg("function() return {} end", never, fn), arg("{}", any...)},

		"worker.stats": {}, "worker.info": {}, "worker.alive": {},
		"worker.limits":      {arg("'cname_chain'", never)},
		"worker.upstreams":   {arg("5", never, "1/0", "1e300")},
		"worker.sleep":       {arg("0", "1.5")},
		"worker.resolve":     {name(), arg("kres.type.A"), arg("kres.class.IN", never), arg("'NO_CACHE'", never, list), arg(fn, never, fn), arg(fn, never, fn)},
		"worker.resolve_pkt": {arg("(function() local p = kres.packet(512) p:question(todname('a.'), 1, 1) return p end)()"), arg("'NO_CACHE'", never, list), arg(fn, never, fn), arg(fn, never, fn)},
		"resolve":            {name(), arg("kres.type.A"), arg("kres.class.IN", never), arg("'NO_CACHE'", never, list), arg(fn, never, fn), arg(fn, never, fn)},
		"trace":              {name(), arg("kres.type.A")},
		"map":                {arg("'worker.id'", text)},

		"event.after":      {ms, arg(fn, fn)},
		"event.recurrent":  {ms, arg(fn, fn)},
		"event.reschedule": {arg("1e6", "-1", "1e300"), ms},
		"event.cancel":     {arg("1e6", "-1", "1e300")},
		"event.socket":     {arg("1e6"), arg(fn, fn)},
		"worker.coroutine": {arg(fn, fn)},

		"modules.list": {}, "modules.load": {arg("'stats'")}, "modules.unload": {arg("'detect_time_jump'")},

		"hostname": {arg("'kresd.example.'")}, "package_version": {}, "quit": {}, "moduledir": {arg("'.'", text)},
		"todname": {name(any...)},
		"user":    {arg("'root'"), arg("'root'", never)},
		"verbose": {arg("false", never, "true")}, "log_level": {arg("'notice'")}, "log_target": {arg("'stdout'", never)}, "log_groups": {arg("{}", never, list)},
		"option": {arg("'NO_MINIMIZE'"), arg("false", never, "true")}, "mode": {arg("'normal'")}, "reorder_RR": {arg("false", never, "true")},

		"policy.add":           {arg("policy.all(policy.PASS)", fn), arg("false", never, "true")},
		"policy.del":           {arg("1e6")},
		"policy.all":           {action},
		"policy.suffix":        {action, wire},
		"policy.suffix_common": {action, wire, arg("todname('a.')", never)},
		"policy.domains":       {action, wire},
		"policy.pattern":       {action, arg("'a'", text)},
		"policy.rpz":           {action, arg("'no such list'", text)},
		"policy.slice":         {arg("policy.slice_randomize_psl(5)", never), action},

		"policy.slice_randomize_psl": {arg("5", "1.5", never)},
		"policy.todnames":            {arg("{ 'a.' }", list)},
		"policy.DENY_MSG":            {arg("'told'", text), arg("15")},
		"policy.FORWARD":             {arg("'192.0.2.1'")},
		"policy.TLS_FORWARD":         {arg("{ { '192.0.2.1', insecure = true } }")},
		"policy.STUB":                {arg("'192.0.2.1'")},
		"policy.MIRROR":              {arg("'192.0.2.1'")},
		"policy.REROUTE":             {arg("{ ['192.0.2.0/24'] = '198.51.100.0' }", list)},
		"policy.FLAGS":               {arg("'NO_CACHE'", never, list), arg("'NO_CACHE'", never, list)},
		"policy.ANSWER":              {arg("{ [kres.type.A] = { rdata = 'abcd', ttl = 5 } }", list), arg("false", never, "true")},
		"policy.DEBUG_IF":            {arg(fn, fn)},

		"trust_anchors.add":          {arg("'. IN DS 20326 8 2 e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d'")},
		"trust_anchors.add_file":     {arg("'root.keys'"), arg("true", never, "true")},
		"trust_anchors.config":       {arg("'root.keys'"), arg("true", never, "true")},
		"trust_anchors.remove":       {name()},
		"trust_anchors.set_insecure": {arg("{ 'a.' }", list)},
		"trust_anchors.summary":      {arg("'.'", never)},

		"hints.add_hosts": {arg("'/etc/hosts'", never, text)}, "hints.get": {name(never), arg("5", never)}, "hints.set": {arg("'a.example. 192.0.2.1'", text)}, "hints.del": {arg("'a.example. 192.0.2.1'", text)},
		"hints.root": {arg("{ ['a.example.'] = '192.0.2.1' }", never, list)}, "hints.root_file": {arg("''", never)},
		"hints.use_nodata": {arg("true", "true")}, "hints.ttl": {arg("5", never)}, "hints.config": {arg("{}", never, list)},

		"stats.get": {arg("'answer.total'", text)}, "stats.set": {arg("'mine 5'")}, "stats.list": {arg("'answer.'", never, text)},
		"stats.frequent": {}, "stats.clear_frequent": {}, "stats.upstreams": {},

		"ddr.config": {arg("{}", never, list)}, "workarounds.add": {name(), arg("'NO_0X20'")}, "workarounds.del": {name()}, "workarounds.list": {}, "workarounds.config": {arg("{}", never, list)},
		"querylog.config": {arg("{ file = 'queries.json' }", never)}, "querylog.stats": {},

		"kres.str2dname": {name(any...)}, "kres.dname2str": {arg("todname('a.')", never)}, "kres.dname2wire": {arg("todname('a.')")}, "kres.str2ip": {arg("'192.0.2.1'", any...)},
		"kres.rr2str":      {arg("{ owner = todname('a.'), type = 1, ttl = 5, rdata = 'abcd' }"), arg("nil", any...)},
		"kres.parse_rdata": {arg("{ 'A 192.0.2.1' }", list)},
		"kres.mk_qflags":   {arg("'NO_CACHE'", never, list)},
		"kres.packet":      {arg("512"), arg("('x'):rep(12)", never, text)},
		"kres.rrset":       {arg("todname('a.')", never), arg("1", never), arg("1", never), arg("60", never)},
		"kres.lru":         {arg("5"), arg("'int'", never, text)},
		"kres.context":     {},
		"kres.pkt_t":       {arg("5", any...)}, "kres.request_t": {arg("5", any...)}, "kres.sockaddr_t": {arg("5", any...)},

		"help": {arg("'net'", never)}, "tojson": {arg("5", any...)}, "fromjson": {arg("'5'")}, "table_print": {arg("5", any...)},
		"eval_cmd": {arg("'1'"), arg("true", any...)}, "panic": {}, "print": {}, "log": {}, "warn": {},
		"log_debug": {}, "log_info": {}, "log_notice": {}, "log_warn": {}, "log_error": {},
	}
}

// otherWords are errors whose words are the manual's, or those of a command.
func otherWords() []string {
	return []string{"error: bad name 'no such..thing!': empty label", "invalid user name", "invalid group name", "[string \"no such..thing!\"]:1: syntax error near 'such'"}
}

// whatTakesAnything are functions with any number of arguments.
var whatTakesAnything = []string{"print", "log", "warn", "panic", "log_debug", "log_info", "log_notice", "log_warn", "log_error"}

// Every function that scripts can call refuses what it cannot use (a fraction where a
// whole number is meant, what is no number or endless, another type, an argument too
// many) by an error that names the function and says which argument is to be what.
func TestWrongArgumentsOfEveryFunctionAreRefused(t *testing.T) {
	c := proctest.On(t, proctest.SmallInternet(t), 1)
	c.Lua += "\nmodules = { 'hints', 'stats', 'serve_stale < cache', 'workarounds < iterate', 'policy', 'priming', 'detect_time_jump', 'querylog' }\n"
	g := proctest.Start(t, c)
	socket := g.Worker(t, 0).Socket
	call := func(name string, args ...string) (ok bool, says string) {
		text := fmt.Sprintf("local ok, e = pcall(function() return %s(%s) end) return tostring(ok) .. '|' .. tostring(e)", name, strings.Join(args, ", "))
		got := proctest.Eval(t, socket, text)
		result, says, _ := strings.Cut(got, "|")
		if result != "true" && result != "false" {
			t.Fatalf("%s(%s): %q", name, strings.Join(args, ", "), got)
		}
		return result == "true", strings.TrimSpace(says)
	}
	known := functions()
	for _, name := range registered(t, socket) {
		if _, ok := known[name]; !ok {
			t.Errorf("%s is not tried", name)
		}
	}
	for name, args := range known {
		if slices.Contains(whatTakesAnything, name) {
			continue
		}
		valid := make([]string, len(args))
		for i, a := range args {
			valid[i] = a.valid
		}
		if ok, says := call(name, append(slices.Clone(valid), "nil")...); ok || !strings.Contains(says, name) {
			t.Errorf("%s with an argument too many: %v %q", name, ok, says)
		}
		for i, a := range args {
			for _, w := range wrong() {
				if slices.Contains(a.takes, w) {
					continue
				}
				with := slices.Clone(valid[:i+1])
				with[i] = w
				ok, says := call(name, with...)
				object, short, _ := strings.Cut("."+name, ".")
				if o, s, dotted := strings.Cut(name, "."); dotted {
					object, short = o, s
				}
				if ok || !strings.Contains(says, short) && !slices.Contains(otherWords(), says) && !strings.Contains(says, object) && !strings.HasPrefix(says, "error: bind to ") {
					t.Errorf("%s(%s): %v %q", name, strings.Join(with, ", "), ok, says)
				}
			}
		}
	}
}

// registered are the names of all functions that the resolver gives to scripts.
func registered(t *testing.T, socket string) []string {
	text := proctest.Eval(t, socket, `local names = {}
		for _, object in ipairs({ 'net', 'cache', 'worker', 'event', 'modules', 'policy', 'trust_anchors', 'hints', 'stats', 'workarounds', 'serve_stale', 'querylog', 'kres' }) do
			for name, value in pairs(_G[object]) do if type(value) == 'function' then table.insert(names, object .. '.' .. name) end end
		end
		for name in help():gmatch('%f[^\n%z](%l[%w_]*)%(') do table.insert(names, name) end
		return table.concat(names, ' ')`)
	return strings.Fields(text)
}

// Options that are assigned refuse what they cannot be, and keep what they were.
func TestWrongValuesOfEveryOptionAreRefused(t *testing.T) {
	c := proctest.On(t, proctest.SmallInternet(t), 1)
	c.Lua += "\nmodules = { 'hints', 'stats', 'serve_stale < cache' }\n"
	g := proctest.Start(t, c)
	const never, text = "nil", "'no such..thing!'"
	for option, takes := range map[string][]string{
		"net.ipv4": {"true"}, "net.ipv6": {"true"}, "net.bufsize": {"function() end"}, "net.nosuch": {}, "net.lan": {},
		"cache.size": {}, "cache.storage": {text}, "cache.current_size": {}, "worker.id": {}, "worker.nosuch": {},
		"event.nosuch": {}, "kres.type": {}, "kres.type.A": {}, "kres.NOSUCH": {}, "policy.DENY": {}, "policy.nosuch": {}, "modules.nosuch": {},
		"trust_anchors.file": {}, "trust_anchors.negative": {"{}"}, "trust_anchors.hold_down_time": {"1.5", "1e300"}, "trust_anchors.refresh_time": {never, "1.5", "1e300"},
		"trust_anchors.keep_removed": {"1e300"}, "trust_anchors.keyfile_default": {never, text}, "trust_anchors.nosuch": {},
		"hints['a.example.']": {}, "stats['mine']": {"1.5", "-1", "1e300"}, "serve_stale.timeout": {}, "serve_stale.callback": {never, "function() end"}, "serve_stale.nosuch": {},
		"net": {"{}"}, "cache": {"{}"}, "worker": {"{}"}, "event": {"{}"}, "kres": {"{}"}, "policy": {"{}"}, "modules": {"{}"}, "trust_anchors": {"{}"},
		"hints": {"{}"}, "stats": {"{}"}, "serve_stale": {"{}"}, "env": {"{}"},
	} {
		for _, w := range wrong() {
			if slices.Contains(takes, w) {
				continue
			}
			got := g.Eval(t, option+" = "+w)
			object, _, _ := strings.Cut(strings.ReplaceAll(option, "[", "."), ".")
			if !strings.Contains(got, "error: ") || !strings.Contains(got, object) && !strings.HasPrefix(got, "error: bind to ") {
				t.Errorf("%s = %s: %q", option, w, got)
			}
		}
	}
}
