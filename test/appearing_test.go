package test

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// asks tells whether something answers at an address by UDP and TCP.
func asks(addr string) bool {
	for _, network := range []string{"udp", "tcp"} {
		m, err := proctest.Exchange(network, netip.MustParseAddrPort(addr), proctest.Query("here.example", dns.TypeA, 0))
		if err != nil || len(m.Answer) != 1 {
			return false
		}
	}
	return true
}

// An address that comes after the daemon is taken when it appears, IPv4, IPv6
// (which is tentative first) and link-local, by every worker, without privileges,
// and said once.
func TestAnAddressThatAppearsLaterIsTaken(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	g := proctest.Start(t, proctest.Config{Workers: 2, Addr: netip.MustParseAddrPort("127.0.0.1:53"), Args: []string{"-a", "192.0.2.9"}, Lua: `
		modules.load('hints') hints.set('here.example 192.0.2.99')
		net.listen({'127.0.0.1', '192.0.2.7', '2001:db8::7'})
		net.listen('fe80::7%later', 5353)
		net.listen('192.0.2.6', 5354, { freebind = true })
	`})
	if asks("192.0.2.7:53") {
		t.Fatal("an address that is not there is answered at")
	}
	for _, want := range []string{"the address 192.0.2.9 of the command line", "config:3: this machine does not have the address '192.0.2.7'", "config:3: this machine does not have the address '2001:db8::7'", "config:4: this machine does not have the address 'fe80::7%later'"} {
		if got := strings.Count(g.Log(), want); got != 1 {
			t.Errorf("%q is said %d times", want, got)
		}
	}
	if strings.Contains(g.Log(), "have the address '192.0.2.6'") {
		t.Error("an address that may be absent is told of")
	}
	proctest.Run(t, "ip", "link", "add", "later", "type", "veth", "peer", "name", "other")
	proctest.Run(t, "ip", "link", "set", "other", "up")
	proctest.Run(t, "ip", "link", "set", "later", "up")
	for _, a := range []string{"192.0.2.7/24", "192.0.2.9/24", "192.0.2.6/24", "2001:db8::7/64", "fe80::7/64"} {
		proctest.Run(t, "ip", "addr", "add", a, "dev", "later")
	}
	for _, a := range []string{"192.0.2.7:53", "192.0.2.9:53", "192.0.2.6:5354", "[2001:db8::7]:53", "[fe80::7%later]:5353"} {
		proctest.Eventually(t, 20*time.Second, a+" is answered at", func() bool { return asks(a) })
	}
	for _, a := range []string{"192.0.2.7@53", "192.0.2.9@53", "2001:db8::7@53", "fe80::7%later@5353"} {
		line := "listening on " + a + ", which has appeared"
		proctest.Eventually(t, 10*time.Second, line, func() bool { return strings.Contains(g.Log(), line) })
		if got := strings.Count(g.Log(), line); got != 1 {
			t.Errorf("%q is said %d times", line, got)
		}
	}
	if got := strings.TrimSpace(g.Eval(t, "net.close('192.0.2.7')")); got != "true" || !asks("192.0.2.9:53") {
		t.Errorf("net.close gave %q", got)
	}
	// A link-local address is one of an interface: it is listed, handed on by a worker
	// that is killed, and closed by that name.
	if got := g.Eval(t, "net.list()['fe80::7%later'].port .. net.endpoints()[#net.endpoints() - 2].transport.ip"); strings.TrimSpace(got) != "5353fe80::7%later" {
		t.Errorf("a link-local address is listed as %q", got)
	}
	if err := syscall.Kill(g.Worker(t, 1).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if !asks("[fe80::7%later]:5353") {
			t.Error("a question to a link-local address is lost with a worker")
		}
	}
	proctest.Eventually(t, 20*time.Second, "the worker is back", func() bool { return len(g.Workers()) == 2 })
	if got := g.Eval(t, "map \"net.close('fe80::7%later', 5353)\""); strings.Count(got, "true") != 2 || asks("[fe80::7%later]:5353") {
		t.Errorf("net.close of a link-local address: %q", got)
	}
	// What an earlier command read says nothing about this one.
	if got := strings.TrimSpace(g.Eval(t, "net.nosuch") + g.Eval(t, "net = { '127.0.0.3' }")); got != "nil" {
		t.Errorf("net = {…} after another command: %q", got)
	}
	if got := g.Eval(t, "net.listen('127.0.0.4', 0)"); !strings.Contains(got, "bind to '127.0.0.4@0': port 0 cannot be asked") {
		t.Errorf("a failure on the console: %q", got)
	}
}

// Where all addresses are absent kresd is ready and waits; it listens nowhere
// else instead.
func TestWithoutAnyOfItsAddressesKresdWaits(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	for name, c := range map[string]proctest.Config{
		"-a":  {Args: []string{"-a", "192.0.2.7"}, Lua: "modules.load('hints') hints.set('here.example 192.0.2.99')"},
		"net": {Lua: "modules.load('hints') hints.set('here.example 192.0.2.99') net = { '192.0.2.7' }"},
	} {
		g := proctest.Launch(t, c)
		proctest.Eventually(t, 20*time.Second, name+": the console is there", func() bool { return len(g.Workers()) == 1 })
		proctest.Eventually(t, 20*time.Second, name+": the address is awaited", func() bool {
			return strings.Contains(g.Log(), "as soon as it appears")
		})
		if asks("127.0.0.1:53") {
			t.Errorf("%s: another address is listened on instead", name)
		}
		proctest.Run(t, "ip", "addr", "add", "192.0.2.7/24", "dev", "lo")
		proctest.Eventually(t, 10*time.Second, name+": it is answered there", func() bool { return asks("192.0.2.7:53") })
		proctest.Run(t, "ip", "addr", "del", "192.0.2.7/24", "dev", "lo")
		if _, err := g.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// What the configuration names and cannot be bound fails the start, with its
// place, instead of listening on 127.0.0.1.
func TestAnExplicitAddressThatFailsIsNotReplaced(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	for lua, says := range map[string]string{
		"\nnet.listen('127.0.0.1', 0)":           "config:2: bind to '127.0.0.1@0': port 0 cannot be asked",
		"\nnet = { 'nosuch' }":                   "config:2: bind to 'nosuch@53': neither an IP address nor an interface",
		"\n\nnet = { net.ens3 }":                 "config:3: net = {…}: this machine has no interface 'ens3' with an address",
		"\nnet = { net.eth1.addr[7] }":           "config:2: error: this machine has no interface 'eth1' with an address",
		"net.listen(net['br-lan'].addr[1], 53)":  "config:1: error: this machine has no interface 'br-lan' with an address",
		"local e = net.eth5\nnet.listen(e.addr)": "config:2: error: this machine has no interface 'eth5' with an address",
		"\nnet.listen(net['br-lan'])":            "config:2: error: net.listen: nil is no address: this machine has no interface 'br-lan' with an address",
		"net = { net.lo.addr[7] }":               "config:1: net = {…}: the interface 'lo' has no addr[7], its last address is addr[2]",
		"\nnet.listen({ net.ens3 })":             "config:2: net.listen: this machine has no interface 'ens3' with an address",
		"net.listen({ net.lo.addr[7] })":         "config:1: net.listen: the interface 'lo' has no addr[7], its last address is addr[2]",
		"\nnet.listen({})":                       "config:2: net.listen: no address is named: the list is empty",
		"net = {\n env.NO_SUCH }":                "net = {…}: no address is named: all that stands there is nil or empty",
		"\nnet.listen(net.lo.addr[7], 5)":        "config:2: error: net.listen: nil is no address: the interface 'lo' has no addr[7], its last address is addr[2]",
	} {
		for _, workers := range []int{1, 2} {
			g := proctest.Launch(t, proctest.Config{Workers: workers, Lua: lua})
			status, err := g.Wait(20 * time.Second)
			if err != nil || status != 1 || !strings.Contains(g.Log(), says) {
				t.Errorf("%q with %d workers: status %d, %v; log %s; want %q", lua, workers, status, err, g.Log(), says)
			}
		}
	}
}
