package test

import (
	"strings"
	"testing"

	"kresd/internal/proctest"
)

// mistakes are lines as operators write them who know another program, or mistype, and
// what the answer has to say.
var mistakes = [][2]string{
	{"net.listen('127.0.0.1:5353')", "the port is an argument of its own: net.listen('127.0.0.1', 5353)"},
	{"net.listen('[::1]:5353')", "the port is an argument of its own: net.listen('::1', 5353)"},
	{"net.listen('127.0.0.1@5353')", "the port is an argument of its own: net.listen('127.0.0.1', 5353)"},
	{"net.listen('127.0.0.1/8', 5399)", "a network is no address: net.listen('127.0.0.1')"},
	{"net.listen('*', 5399)", "all addresses of this machine are '0.0.0.0' and '::'"},
	{"net.listen('localhost', 5399)", "a name is no address: net.listen({ '127.0.0.1', '::1' })"},
	{"net.listen({ '127.0.0.1', '127.0.0.300' }, 5399)", "'127.0.0.300@5399': neither an IP address nor an interface"},
	{"net.listen('127.0.0.1', 5399, 'tls')", "argument #3 to 'net.listen' (table expected, got string)"},
	{"net.listen('127.0.0.1', 5399, { kind = 'dot' })", "kind 'dot' is not in this version; there are 'dns', 'tls', 'doh2', 'doq' and 'http'"},
	{"net.listen('127.0.0.1', 5399, { Kind = 'tls' })", "unknown flag 'Kind'; there are tls, kind, freebind and mode"},
	{"net.listen('127.0.0.1', 5399, { tls = 'yes' })", "flag 'tls': boolean expected, got string"},
	{"net.listen(net.eth9, 5399)", "this machine has no interface 'eth9' with an address"},
	{"net = '127.0.0.1'", "'net' is set by a table of its options, not by a string"},
	{"net.ipv6 = 0", "'net.ipv6' (boolean expected, got number)"},
	{"net.outgoing_v4('192.0.2.1/24')", "'192.0.2.1/24' is not an IPv4 address"},
	{"net.forwarders({ '192.0.2.0/33' })", "neither an address nor a network such as 10.0.0.0/8"},
	{"net.limits({ pending = 'many' })", "pending is a whole number from 100 to 65536"},
	{"net.limits({ clients = 5 })", "there is no limit 'clients' to set; there are pending, "},
	{"net.tls('none.crt', 'none.key')", "'none.crt': no such file or directory"},
	{"net.tls('/etc/passwd', '/etc/passwd')", "there is no certificate in it"},
	{"net.listn('127.0.0.1')", "did you mean 'net.listen'?"},
	{"cache.size = '100MB'", "'cache.size' (number expected, got string)"},
	{"cache.size = 100", "a size in bytes from 8192"},
	{"cache.open(100*MB, 'redis://127.0.0.1')", "the backend 'redis://127.0.0.1' is not in this version; there is lmdb://"},
	{"cache.clear('example..com')", "bad name 'example..com': empty label"},
	{"cache.clear('example.com', 'true')", "argument #2 to 'cache.clear' (boolean expected, got string)"},
	{"cache.max_ttl('1d')", "argument #1 to 'cache.max_ttl' (number expected, got string)"},
	{"modules = 'hints'", "'modules' is set by a table of its options, not by a string"},
	{"modules = { 'Hints' }", "no such module 'Hints'; there are "},
	{"modules.load('hints >')", "'hints >' is not of the form 'name', 'name > other' or 'name < other'"},
	{"modules.load('hints > nosuch')", "referenced module 'nosuch' not found"},
	{"hints['a..example'] = '192.0.2.1'", "bad name 'a..example': empty label"},
	{"hints['a.example'] = 'b.example'", "'b.example' is not an IP address"},
	{"hints['a.example'] = '192.0.2.1/24'", "'192.0.2.1/24' is not an IP address"},
	{"hints.set('a.example')", "'a.example' is not 'name address'"},
	{"hints.set('192.0.2.1 a.example')", "'a.example' is not an IP address"},
	{"hints.del('a.example')", "there is no hint 'a.example'"},
	{"hints.add_hosts('/nonexistent')", "/nonexistent: no such file or directory"},
	{"hints.root({ '192.0.2.1' })", "write { ['a.root-servers.net.'] = '198.41.0.4' }"},
	{"policy.add(policy.DENY)", "an action says not for which names; policy.all(policy.DENY) is a rule for all"},
	{"policy.add(policy.FORWARD('192.0.2.1'))", "policy.all(policy.FORWARD) is a rule for all"},
	{"policy.add(policy.all(policy.FORWARD('192.0.2.1:53')))", "'192.0.2.1:53' is not an IP address with an optional @port"},
	{"policy.add(policy.all(policy.FORWARD('192.0.2.1', '192.0.2.2')))", "usage: policy.FORWARD('address[@port]' | 'URL' | { servers })"},
	{"policy.add(policy.all(policy.FORWARD({})))", "no address given"},
	{"policy.add(policy.all(policy.TLS_FORWARD('192.0.2.1')))", "give it pin_sha256, or hostname"},
	{"policy.add(policy.all(policy.TLS_FORWARD({{ '192.0.2.1', hostname = 'a b' }})))", "'a b' is no host name"},
	{"policy.add(policy.suffix(policy.DENY, 'example.com'))", "argument #2 to 'policy.suffix' (table expected, got string)"},
	{"policy.add(policy.suffix(policy.DENY, { 'example.com' }))", "todname('example.com') makes one"},
	{"policy.add(policy.suffix({ todname('a.') }, policy.DENY))", "usage: policy.suffix(action, { name })"},
	{"policy.add(policy.pattern(policy.DENY, '[a'))", "malformed pattern (missing ']')"},
	{"policy.ANSWER({ A = '192.0.2.1' })", "'A' is no type; write [kres.type.A] = "},
	{"policy.ANSWER({ [kres.type.A] = { rdata = '192.0.2.1' } })", "not laid out as that of A; kres.str2ip('192.0.2.1') makes it"},
	{"policy.ANSWER({ [kres.type.CNAME] = { rdata = 'a.example.' } })", "not laid out as that of CNAME; todname('example.com') makes it"},
	{"policy.ANSWER({ [kres.type.TXT] = { rdata = 'some text' } })", "each text stands behind an octet that tells its length"},
	{"policy.ANSWER({ [kres.type.MX] = { rdata = '10' } })", "not laid out as that of MX; kres.parse_rdata makes it"},
	{"trust_anchors.set_insecure('example.com')", "argument #1 to 'trust_anchors.set_insecure' (table expected, got string)"},
	{"trust_anchors.add('. IN DNSKEY 257 3 8 notbase64!')", "the public key is not base64"},
	{"event.after('5s', function() end)", "argument #1 to 'event.after' (number expected, got string)"},
	{"event.after(1000)", "usage: event.after(ms, function)"},
	{"resolve('example.com', kres.type.a)", "a type expected, such as kres.type.AAAA or 'AAAA'"},
	{"log_level('verbose')", "'verbose' is not one of debug, info, notice, warning, err, crit"},
	{"log_target('/var/log/kresd.log')", "is not one of stdout, stderr, syslog"},
	{"mode('relaxed')", "'relaxed' is not one of strict, normal, permissive"},
	{"option('NO_MINIMISE', true)", "unknown option 'NO_MINIMISE'"},
	{"user('nosuchuser')", "invalid user name"},
	{"worker.count = 4", "'worker.count' cannot be assigned"},
	{"http.config({})", "module 'http' is not in this version"},
}

// What operators get wrong is answered by a sentence that says what is wrong and what
// would be right, and changes nothing.
func TestMistakesAreAnsweredByWhatHelps(t *testing.T) {
	c := proctest.On(t, proctest.SmallInternet(t), 1)
	c.Lua += "\nmodules = { 'hints', 'policy', 'stats' }\n"
	g := proctest.Start(t, c)
	before := g.Eval(t, "tojson({ net.list(), policy.rules, cache.size, hints.get() })")
	for _, m := range mistakes {
		if got := g.Eval(t, m[0]); !strings.Contains(got, m[1]) {
			t.Errorf("%s: got %q, want %q in it", m[0], got, m[1])
		}
	}
	if after := g.Eval(t, "tojson({ net.list(), policy.rules, cache.size, hints.get() })"); after != before {
		t.Errorf("what was\n%s\nis\n%s", before, after)
	}
}
