package test

import (
	"regexp"
	"strings"
	"testing"
)

// Reasons why examples are not tried here.
const (
	bySystemd   = "packages, units of systemd and manual pages: the issue on installation and operation"
	asTable     = "net.tls() gives a table, which is shown as one"
	noModule    = "the module view, in place of which one in Lua stands that does nothing"
	otherParty  = "it is about other programs"
	byBootstrap = "IANA is not on a test's Internet: TestBootstrap tries it with a server of its own"
)

// prose is the digest of what stands between the examples. Where it is another one, the
// manual has changed: look for examples that the table lacks.
const prose = "543a6a42"

// seedExamples are the code blocks of the seed's manual, in its order.
func seedExamples() []example {
	return []example{
		{"$ kresd -h", 2, "4bf839cd", tryFirstSteps, "", ""},
		{"$ man kresd.systemd", 2, "edd5eb87", nil, "", bySystemd},
		{"$ kresd /var/cache", 1, "6ed9e9f6", tryInteractive, "", ""},
		{"-- interfaces", 6, "d2765803", config(loopback,
			"net.list()['127.0.0.1'].port", "53", "net.list()['::1'].udp", "true", "cache.current_size == 10*MB", "true", "policy ~= nil", "true"), "", ""},
		{"modules = {", 3, "e710d8f8", config(loopback, "hints ~= nil", "true"), "", ""},
		{"modules = {", 3, "f95a0025", config(loopback, "hints.get('parent')[1]", "127.0.0.1"), "", ""},
		{"modules = {", 6, "f4f12e63", tryPrecedence, "", noModule},
		{"if hostname()", 5, "45c26904", config(loopback, bound, "10.1.0.1#53 127.0.0.1#53"), "", ""},
		{"for name, addr_list", 3, "8cd6c3d4", config("192.168.0.1:53", "net.list()['192.168.0.1'].port", "53", "net.list()['10.1.0.1'].tcp", "true", "net.list()['::1'].udp", "true"), "", ""},
		{"addrpref = env.", 5, "e6d70ef1", tryPrefix, "", ""},
		{"local http =", 16, "d1c500d2", tryDownload, "", ""},
		{"modules.load('stats')", 11, "1780f867", inLog("[answer.total] => "), "", ""},
		{"modules.load('stats')", 19, "03a07f2d", config(loopback, "stats ~= nil", "true"), "", ""},
		{"local notify =", 12, "005d6f06", tryNotify, "pcall(require, 'cqueues.notify') or nil", ""},
		{"env.USER", 1, "758ab126", console("root"), "", ""},
		{"-- privileged", 5, "ead94623", config(loopback, bound, "127.0.0.1#53 ::1#53", "cache.current_size == 100*MB", "true"), "", ""},
		{"> user('baduser')", 6, "aa193331", tryUser, "", ""},
		{"resolve {", 6, "3a2edec9", console("true"), "", ""},
		{"-- Send query", 21, "8259255a", inLog("record:\texample.com."), "", ""},
		{"> package_version()", 2, "ed430000", dialogueOf(numbersAlike), "", ""},
		{"$ systemctl edit kresd.socket", 5, "5be4e0da", nil, "", bySystemd},
		{"# /etc/systemd/system/kresd.socket.d", 8, "caab4104", nil, "", bySystemd},
		{"$ systemctl edit kresd-tls.socket", 4, "60747790", nil, "", bySystemd},
		{"net = { '127.0.0.1', net.eth0", 2, "5b78a7da", config(loopback, bound, "10.1.0.1#53 127.0.0.1#53 192.168.0.1#53", "net.ipv4", "false"), "", ""},
		{"net = { '0.0.0.0' }", 1, "4c48e344", config(loopback, bound, "0.0.0.0#53"), "", ""},
		{"net.listen('::1')", 3, "e360751d", config("[::1]:53", bound, "127.0.0.1#5353 127.0.0.1#53853 192.168.0.1#53853 ::1#53 ::1#5353"), "", ""},
		{"[127.0.0.1] => {", 5, "86f70a89", prints("net.list()"), "", ""},
		{"[lo0] => {", 13, "1811cf03", tryInterfaces, "", ""},
		{"> net.bufsize 4096", 3, "82b2bccc", dialogueOf(exactly), "", ""},
		{"> net.tcp_pipeline()", 4, "0f1d164e", dialogueOf(exactly), "", ""},
		{"> net.tls(", 5, "ded0a89d", tryTLS, "", asTable},
		{"> trust_anchors.add_file", 6, "4f60b2a3", tryAddFile, "", ""},
		{"> trust_anchors.negative", 4, "966caa8d", dialogueOf(exactly), "", ""},
		{"> trust_anchors.add('", 1, "7884c804", tryAdd, "", ""},
		{"modules = {", 3, "2ba2e500", config(loopback, "hints.get('parent')[1]", "127.0.0.1"), "", ""},
		{"modules.load('hints')", 2, "55b1b37d", config(loopback, "hints.get('parent')[1]", "127.0.0.1"), "", ""},
		{"cache.open(100 * MB", 1, "4d50846a", config(loopback, "cache.current_storage", "lmdb:///var/cache/knot-resolver", "cache.current_size == 100*MB", "true"), "", ""},
		{"cache.size = 100 * MB", 1, "a581c0ed", config(loopback, "cache.current_size == 100*MB", "true"), "", ""},
		{"print(cache.current_size)", 1, "5f4a52b1", console("104857600"), "", ""},
		{"cache.storage = ", 1, "27f31b4c", config(loopback, "cache.current_storage", "lmdb://."), "", ""},
		{"print(cache.storage)", 1, "ba9f7e23", console("lmdb://"), "", ""},
		{"[lmdb://] => true", 1, "4d2aadbb", prints("cache.backends()"), "", ""},
		{"print('Insertions:'", 1, "427dfdf9", console("Insertions:\t"), "", ""},
		{"-- Get maximum TTL", 6, "80fff35f", dialogueOf(exactly), "", ""},
		{"-- Get minimum TTL", 6, "0c9c75ac", dialogueOf(numbersAlike), "", ""}, // its first answer is 0, where the text says 5
		{"-- Clear whole cache", 20, "cdab005e", tryClear, "", ""},
		{"event.after(1 * minute", 1, "c7075f25", console(""), "", ""},
		{"msg_count = 0", 5, "fd7cf814", inLog("Hi #1"), "", ""},
		{"local interval = 1 * minute", 7, "f8d034b6", config(loopback, "true", "true"), "", ""},
		{"e = event.after(", 2, "44666c91", config(loopback, "event.cancel(e)", "false"), "", ""},
		{"e = event.socket(", 4, "2e07ceaa", config(loopback, "event.cancel(e)", "false"), "", ""},
		{"worker.coroutine(function ()", 6, "7698fe02", inLog("executing\t0", "executing\t1", "executing\t2"), "", ""},
		{"worker.sleep(1)", 1, "cff75124", console(""), "", ""},
		{"-- Current instance only", 25, "fc66e2e7", tryMap, "", ""},
		{"print(worker.stats().concurrent)", 1, "acd8a112", console(""), "", ""},
		{"$ kresd -k root-new.keys", 9, "08b50de8", nil, "", byBootstrap},
		{"$ unbound-anchor", 3, "bbb37d22", nil, "", otherParty},
		{"$ kdig DNSKEY", 4, "2fa5486a", tryKeyFile, "", otherParty + ", but for the last line"},
		{"$ kresd /var/cache", 4, "862a88cb", tryInteractive, "", ""},
		{"$ kresd -v", 1, "37e38a33", tryVerbose, "", ""},
		{"$ nohup ./daemon/kresd", 1, "155425cf", tryNohup, "", ""},
		{"$ nc -U rundir/tty/", 3, "2c3e20b6", tryNetcat, "", ""},
		{"$ systemctl start kresd@1", 4, "3c3a4a99", nil, "", bySystemd},
		{"$ systemctl start kresd@{", 1, "88371f27", nil, "", bySystemd},
		{"$ kresd -f 4 rundir", 13, "8d90b14b", tryGroups, "", ""},
		{"$ kresd-host.lua -f", 6, "f18b1df3", tryTools, "", ""},
		{"$ kresd-query.lua www", 5, "5e0a4628", tryTools, "", ""},
	}
}

// Every code example of the seed's manual, in its order, as it stands there.
func TestSeedManual(t *testing.T) {
	text := seedText(t)
	m := newSeedManual(t, text)
	if m == nil {
		return
	}
	list := seedExamples()
	blocks, between := examplesIn(t, text, list)
	if got := digest(between); got != prose {
		t.Errorf("the text between the examples has the digest %s, not %s: has the manual an example that the table lacks?", got, prose)
	}
	for i, e := range list {
		t.Run(name(i, e.first), func(t *testing.T) {
			if e.not != "" {
				t.Logf("not tried: %s", e.not)
			}
			if e.needs != "" && m.lacks(t, e.needs) {
				t.Skipf("not tried: %s is not there", e.needs)
			}
			if e.try != nil {
				e.try(t, m, blocks[i])
			}
		})
	}
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// name is that of a subtest.
func name(i int, first string) string {
	return strings.Trim(strings.Join([]string{number(i + 1), notInNames.ReplaceAllString(first, "-")}, "-"), "-")
}
