package bindings

import (
	"bytes"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kresd/internal/bindings/network"
	"kresd/internal/transport"
)

func TestListenTakesAddressesInterfacesAndLists(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ lua, bound string }{
		{"net.listen('127.0.0.1')", "127.0.0.1:53"},
		{"net.listen('::1')", "[::1]:53"},
		{"net.listen(net.lo, 5353)", "127.0.0.1:5353 [::1]:5353"},
		{"net.listen('lo', 5353)", "127.0.0.1:5353 [::1]:5353"},
		{"net.listen(net.lo.addr, 5353)", "127.0.0.1:5353 [::1]:5353"},
		{"net.listen(net['br-lan'])", "10.1.0.1:53"},
		{"net.listen(net.eth1.addr[2])", "[fe80::1%eth1]:53"},
		{"net.listen({net.eth0, '127.0.0.1'}, 53853, {tls = false})", "192.168.0.1:53853 127.0.0.1:53853"},
		{"net.listen({ {'127.0.0.2'}, {{'127.0.0.3'}, net.eth0} }, 5353)", "127.0.0.2:5353 127.0.0.3:5353 192.168.0.1:5353"},
		{"net.listen({addr = {'127.0.0.1'}, other = '127.0.0.9'})", "127.0.0.1:53"},
		{"net.listen({addr = '127.0.0.1', mac = '00:00:00:00:00:00'})", "127.0.0.1:53"},
		{"net.listen({})", ""},
		{"net.listen('0:0:0:0:0:0:0:1') and net.listen('::1')", "[::1]:53"},
		{"net.listen('::ffff:127.0.0.1')", "127.0.0.1:53"},
		{"net.listen('127.0.0.1', '5353')", "127.0.0.1:5353"},
		{"net.listen('127.0.0.1', nil, nil)", "127.0.0.1:53"},
		{"net.listen('127.0.0.1', 853, {tls = false})", "127.0.0.1:853"},
		{"net.listen('127.0.0.1', 853, {kind = 'dns'})", "127.0.0.1:853"},
		{"net.listen('127.0.0.1', 853, {tls = false})", "127.0.0.1:853"},
		{"net.listen('127.0.0.1') and net.listen('127.0.0.1') and net.listen({'127.0.0.1', '::1'})", "127.0.0.1:53 [::1]:53"},
	} {
		w.expect(step{c.lua, "true\n"})
		if got := w.listener.bound(); got != c.bound {
			t.Errorf("%s bound %q, want %q", c.lua, got, c.bound)
		}
		w.expectFile("local done = "+c.lua, "")
		if got := w.listener.bound(); got != c.bound {
			t.Errorf("%s in a file bound %q, want %q", c.lua, got, c.bound)
		}
	}
	w.expect(step{"net.listen('192.0.2.1', 53, {freebind = true})", "true\n"})
	if len(w.listener.loose) != 1 || !w.listener.loose[0] {
		t.Error("freebind was lost")
	}
}

func TestListenRefusesWrongArguments(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"net.listen()", "ERROR error: wrong number of arguments to 'net.listen'; usage: net.listen(addresses[, port = 53[, flags]])"},
		step{"net.listen('::1', 53, {}, 1)", "ERROR error: wrong number of arguments…"},
		step{"net.listen(nil)", "ERROR error: bad argument #1 to 'net.listen' (address, interface or list of them expected, got nil)…"},
		step{"net.listen(5)", "ERROR error: bad argument #1…"},
		step{"net.listen({'127.0.0.1', 5})", "ERROR error: net: address expected, or a table of them, got number"},
		step{"net.listen({print})", "ERROR error: net: address expected, or a table of them, got function"},
		step{"net.listen({coroutine.create(print)})", "ERROR error: net: address expected, or a table of them, got thread"},
		step{"local t = {} t.t = t net.listen(t)", "ERROR error: bad argument #1 to 'net.listen' (a table that contains itself or is nested too deeply)…"},
		step{"net.listen('::1', 'x')", "ERROR error: bad argument #2 to 'net.listen' (number expected, got string)…"},
		step{"net.listen('::1', 65536)", "ERROR error: bad argument #2 to 'net.listen' (a number from 0 to 65535 expected, got 65536)…"},
		step{"net.listen('::1', 53.5)", "ERROR error: bad argument #2 to 'net.listen' (a whole number expected, got 53.5)…"},
		step{"net.listen('::1', -1)", "ERROR error: bad argument #2…"},
		step{"net.listen('::1', 0/0)", "ERROR error: bad argument #2…"},
		step{"net.listen('::1', 1/0)", "ERROR error: bad argument #2…"},
		step{"net.listen('::1', 53, 'tls')", "ERROR error: bad argument #3 to 'net.listen' (table expected, got string)…"},
		step{"net.listen('::1', 53, {tlz = true})", "ERROR error: net.listen: unknown flag 'tlz'; there are tls, kind, freebind and mode"},
		step{"net.listen('/run/dns', 53, {mode = 660})", "ERROR error: net.listen: flag 'mode': permissions as a string of octal digits expected, as '660'"},
		step{"net.listen('/run/dns', 53, {mode = '1777'})", "ERROR error: net.listen: flag 'mode'…"},
		step{"net.listen('/run/dns', 53, {mode = 'rw'})", "ERROR error: net.listen: flag 'mode'…"},
		step{"net.listen('::1', 53, {tls = 'yes'})", "ERROR error: net.listen: flag 'tls': boolean expected, got string"},
		step{"net.listen('::1', 53, {freebind = 1})", "ERROR error: net.listen: flag 'freebind': boolean expected, got number"},
		step{"net.listen('::1', 53, {kind = 'doh2'})", "ERROR error: net.listen: kind 'doh2' is not in this version; there are 'dns' and 'tls'"},
		step{"net.listen('::1', 53, {kind = 'doh'})", "ERROR error: net.listen: kind 'doh2' is not in this version…"},
		step{"net.listen('::1', 53, {kind = 'xdp'})", "ERROR error: net.listen: kind 'xdp' is not in this version; there are 'dns' and 'tls'"},
		step{"net.listen('::1', 53, {kind = 'tls', tls = false})", "ERROR error: net.listen: there is no kind 'tls' without TLS"},
		step{"net.listen('::1', 53, {tls = false, kind = 'doq'})", "ERROR error: net.listen: there is no kind 'doq' without TLS"},
		step{"net.listen('::1', 80, {kind = 'http', tls = true})", "ERROR error: net.listen: kind 'http' is without TLS; with it the kind is 'doh2'"},
		step{"net.listen('::1', 53, {kind = {}})", "ERROR error: net.listen: flag 'kind': string expected, got table"},
	)
	if got := w.listener.bound(); got != "" {
		t.Errorf("bound nevertheless: %s", got)
	}
	w.expectFile("\nnet.listen()", "config:2: error: wrong number of arguments to 'net.listen'…")
}

func TestAFailedAddressEndsItsListAndIsNamedWithItsPlace(t *testing.T) {
	w := newWorld(t)
	w.listener.fail["127.0.0.2:53"] = errors.New("address already in use")
	w.listener.fail["/run/dns"] = errors.New("permission denied")
	for _, c := range []struct{ lua, says, bound string }{
		{"net.listen({'127.0.0.1', '127.0.0.2', '127.0.0.3'})", "bind to '127.0.0.2@53': address already in use", "127.0.0.1:53"},
		{"net.listen('127.0.0.1', 0)", "bind to '127.0.0.1@0': port 0 cannot be asked", ""},
		{"net.listen('bogus')", "bind to 'bogus@53': neither an IP address nor an interface", ""},
		{"net.listen('127.0.0.1:5353')", "bind to '127.0.0.1:5353': the port is an argument of its own: net.listen('127.0.0.1', 5353)", ""},
		{"net.listen('[::1]:5353')", "bind to '[::1]:5353': the port is an argument of its own: net.listen('::1', 5353)", ""},
		{"net.listen('/run/dns')", "bind to '/run/dns': permission denied", ""},
	} {
		w.expect(step{c.lua, "ERROR error: " + c.says})
		if got := w.listener.bound(); got != c.bound {
			t.Errorf("%s bound %q, want %q", c.lua, got, c.bound)
		}
		w.log.take()
		w.listener.failed = nil
		w.expectFile("\nassert("+c.lua+" == false)", "")
		if got, want := w.log.take(), "[system] config:2: "+c.says+"\n"; got != want {
			t.Errorf("%s in a file logged %q, want %q", c.lua, got, want)
		}
		if got := strings.Join(w.listener.failed, "|"); got != "config:2: "+c.says {
			t.Errorf("%s: the listener was told %q", c.lua, got)
		}
		w.listener.bound()
	}
	w.expectFile("net = {'127.0.0.2', '127.0.0.1'}", "") // a file goes on
	if got := w.listener.bound(); got != "127.0.0.1:53" {
		t.Errorf("bound %q after a failure in net = {…}", got)
	}
}

func TestAMissingInterfaceOrAddressIsNamed(t *testing.T) {
	w := newWorld(t)
	const wlan0, eth1 = "this machine has no interface 'wlan0' with an address", "the interface 'eth1' has no addr[7], its last address is addr[2]"
	const none = "no address is named: "
	for _, c := range []struct{ lua, says string }{
		{"net = { net.wlan0 }", "net = {…}: " + wlan0},
		{"net = { '127.0.0.1', net.wlan0 }", "net = {…}: " + wlan0},
		{"net = { net.eth1.addr[7] }", "net = {…}: " + eth1},
		{"net = { '127.0.0.1', net.eth1.addr[7] }", "net = {…}: " + eth1},
		{"net = { net.eth1.addr[7], net.eth1.addr[1] }", "net = {…}: " + eth1},
		{"net = { net.wlan0, '127.0.0.1', net.eth1.addr[7] }", "net = {…}: " + wlan0 + "; " + eth1},
		{"net = { '127.0.0.1', net.interfaces().wlan0 }", "net = {…}: " + wlan0},
		{"net = { lan = net.wlan0 }", "net = {…}: " + wlan0},
		{"net = { env.NO_SUCH_ADDRESS }", "net = {…}: " + none + "all that stands there is nil or empty"},
		{"net = { {} }", "net = {…}: " + none + "all that stands there is nil or empty"},
		{"net.listen({ '127.0.0.1', net.wlan0 }, 5353)", "net.listen: " + wlan0},
		{"net.listen({ net.eth1.addr[7], '127.0.0.1' })", "net.listen: " + eth1},
		{"net.listen({ '127.0.0.1', { net.interfaces().eth1.addr[7] } })", "net.listen: " + eth1},
		{"net.listen({ addr = net.eth1.addr[7] })", "net.listen: " + none + eth1},
		{"net.listen({ nil })", "net.listen: " + none + "all of the list is nil"},
	} {
		w.expect(step{c.lua, "ERROR error: " + c.says})
		w.log.take()
		w.expectFile("\n"+c.lua, "")
		if got, want := w.log.take(), "[system] config:2: "+c.says+"\n"; got != want {
			t.Errorf("%s in a file logged %q, want %q", c.lua, got, want)
		}
	}
	for lua, says := range map[string]string{
		"net.listen(net['wlan0'])":         wlan0,
		"net.listen(net.wlan0, 5353)":      wlan0,
		"net.listen(net.eth1.addr[7], 53)": eth1,
		"net.lan = net.wlan0":              wlan0,
	} {
		name := strings.FieldsFunc(lua, func(r rune) bool { return r == '(' || r == ' ' })[0]
		w.expect(step{lua, "ERROR error: " + name + ": nil is no address: " + says})
		w.expectFile("\n\n"+lua, "config:3: error: "+name+": nil is no address: "+says)
	}
	w.expect(step{"net.lan = {}", "ERROR error: net.lan: " + none + "the list is empty"})
	w.log.take()
	w.expectFile("\nnet.listen({})", "")
	if got, want := w.log.take(), "[system] config:2: net.listen: "+none+"the list is empty\n"; got != want {
		t.Errorf("net.listen({}) in a file logged %q, want %q", got, want)
	}
	w.log.take()
	w.expectFile("net = { net.eth0 } net = {} net.listen(net.eth0)", "")
	w.expectFile(`
		if net.wlan0 then net.listen(net.wlan0) end
		net = { ipv6 = false }
		net = { '127.0.0.1' }
		local list = {}
		for _, name in ipairs({ 'eth0', 'eth1', 'wlan0' }) do
			for i = 1, 9 do if net[name] and net[name].addr[i] then list[#list + 1] = net[name].addr[i] end end
		end
		net.listen(list)`, "")
	if got := w.log.take(); got != "" {
		t.Errorf("interfaces that are there are missed: %q", got)
	}
}

func TestAnAwaitedAddressIsToldOfWithItsPlace(t *testing.T) {
	w := newWorld(t)
	w.listener.absent = map[string]bool{"192.0.2.7": true}
	w.expectFile("\nnet.listen({'127.0.0.1', '192.0.2.7'}, 5353)", "")
	want := "[system] config:2: this machine does not have the address '192.0.2.7': kresd listens on port 5353 of it as soon as it appears\n"
	if got := w.log.take(); got != want {
		t.Errorf("logged %q, want %q", got, want)
	}
	if got := strings.Join(w.listener.places, "|"); got != "config:2: |config:2: " {
		t.Errorf("on behalf of %q", got)
	}
	w.expect(step{"net.listen('192.0.2.7')", "true\n"})
}

func TestNetAsATable(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ lua, bound string }{
		{"net = { '127.0.0.1', '::1' }", "127.0.0.1:53 [::1]:53"},
		{"net = { '127.0.0.1', net.eth0, net.eth1.addr[1] }\nnet.ipv4 = false", "127.0.0.1:53 192.168.0.1:53 10.0.0.1:53"},
		{"net = { {'127.0.0.1', {'::1'}} }", "127.0.0.1:53 [::1]:53"},
		{"net = { 'eth0' }", "192.168.0.1:53"},
		{"net = { ipv6 = false, '127.0.0.1' }", "127.0.0.1:53"},
		{"net = {}", ""},
		{"net = net", ""},
		{"net.office = '10.0.0.1'", "10.0.0.1:53"},
		{"net.office = net.eth0", "192.168.0.1:53"},
	} {
		for _, form := range []func(string) string{w.file, w.eval} {
			if got := form(c.lua); got != "" {
				t.Errorf("%s: %s", c.lua, got)
			}
			if got := w.listener.bound(); got != c.bound {
				t.Errorf("%s bound %q, want %q", c.lua, got, c.bound)
			}
		}
	}
	w.expect(
		step{"net.ipv4", "false\n"},
		step{"net.ipv6", "false\n"},
		step{"net = '127.0.0.1'", "ERROR error: 'net' is set by a table of its options, not by a string"},
		step{"net = nil", "ERROR error: 'net' is set by a table of its options, not by nil"},
		step{"net = { 5 }", "ERROR error: bad value for 'net.1' (address expected, got number)"},
		step{"net = { true }", "ERROR error: bad value for 'net.1' (address expected, got boolean)"},
		step{"net = { ipv4 = 1 }", "ERROR error: bad value for 'net.ipv4' (boolean expected, got number)"},
		step{"net.ipv5 = false", "ERROR error: unknown option 'net.ipv5'; did you mean 'net.ipv4'?"},
		step{"net.bufsize = 4096", "ERROR error: 'net.bufsize' is a function: call it as net.bufsize(...)"},
	)
	w.expectFile("\nnet.ipv5 = false", "config:2: error: unknown option 'net.ipv5'; did you mean 'net.ipv4'?")
}

func TestCloseListAndEndpoints(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"net.list()", ""},
		step{"net.listen(net.lo, 5353) and net.listen('127.0.0.1')", "true\n"},
		step{"net.list()", "[127.0.0.1] => {\n    [more] => {\n        [1] => {\n            [port] => 53\n            [tcp] => true\n            [udp] => true\n        }\n    }\n" +
			"    [port] => 5353\n    [tcp] => true\n    [udp] => true\n}\n[::1] => {\n    [port] => 5353\n    [tcp] => true\n    [udp] => true\n}\n"},
		step{"#net.endpoints()", "6\n"},
		step{"net.endpoints()[3]", "[kind] => dns\n[transport] => {\n    [family] => inet6\n    [ip] => ::1\n    [port] => 5353\n    [protocol] => udp\n}\n"},
		step{"net.endpoints()[6].transport.protocol .. net.endpoints()[6].transport.family", "tcpinet4\n"},
		step{"net.close('::1')", "false\n"},
		step{"net.close('::1', 5353)", "true\n"},
		step{"net.close('::1', 5353)", "false\n"},
		step{"net.close('127.0.0.1')", "true\n"},
		step{"net.close('127.0.0.1', 53)", "false\n"},
		step{"net.close('bogus')", "false\n"},
		step{"net.list()", "[127.0.0.1] => {\n    [port] => 5353\n    [tcp] => true\n    [udp] => true\n}\n"},
		step{"net.close()", "ERROR error: wrong number of arguments to 'net.close'…"},
		step{"net.close(5)", "ERROR error: bad argument #1 to 'net.close' (string expected, got number)…"},
		step{"net.close('::1', 65536)", "ERROR error: bad argument #2…"},
		step{"net.list(1)", "ERROR error: wrong number of arguments to 'net.list'; usage: net.list()"},
	)
	w.listener.list = []network.Endpoint{{Addr: netip.MustParseAddrPort("127.0.0.1:53"), Kind: transport.UDP}}
	w.expect(step{"net.list()", "[127.0.0.1] => {\n    [port] => 53\n    [tcp] => false\n    [udp] => true\n}\n"}, step{"#net.endpoints()", "1\n"})
}

func TestTheServersCertificate(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"net.tls()", "nil\n"},
		step{"net.tls('server.crt', 'server.key')", "true\n"},
		step{"net.tls()", "[cert_file] => server.crt\n[key_file] => server.key\n[not_after] => 2027-02-27T12:00:00Z\n"},
		step{"net.tls_server().key_file", "server.key\n"},
		step{"net.tls('bad', 'server.key')", "ERROR error: net.tls: 'bad': no such file or directory"},
		step{"net.tls().cert_file", "server.crt\n"},
		step{"net.tls('server.crt')", "ERROR error: net.tls: a certificate and its key are two files: net.tls('server.crt', 'server.key')"},
		step{"net.tls('server.crt', 5)", "ERROR error: bad argument #2 to 'net.tls' (string expected, got number)…"},
		step{"net.tls_server('a', 'b', 'c')", "ERROR error: wrong number of arguments to 'net.tls_server'…"},
		step{"net.tls_server('other.crt', 'other.key')", "true\n"},
		step{"net.tls().cert_file", "other.crt\n"},
	)
	w.expectFile("\nnet.tls('bad', 'x')", "config:2: error: net.tls: 'bad': no such file or directory")
}

func TestSecretsOfTickets(t *testing.T) {
	w := newWorld(t)
	w.expect(step{"net.tls_sticket_secret(('0123456789'):rep(4))", "true\n"})
	if got := string(w.encryption.secret); got != strings.Repeat("0123456789", 4) {
		t.Errorf("the secret is %q", got)
	}
	w.expect(
		step{"net.tls_sticket_secret('short and secret')", "ERROR error: net.tls_sticket_secret: a secret of at least 32 octets is needed"},
		step{"net.tls_sticket_secret(5)", "ERROR error: bad argument #1 to 'net.tls_sticket_secret' (string expected, got number)…"},
		step{"net.tls_sticket_secret_file()", "ERROR error: wrong number of arguments to 'net.tls_sticket_secret_file'…"},
		step{"net.tls_sticket_secret_file('/nosuch/secret')", "ERROR error: net.tls_sticket_secret_file: '/nosuch/secret': no such file or directory"},
	)
	if len(w.encryption.secret) != 40 {
		t.Errorf("what was refused replaced the secret by %q", w.encryption.secret)
	}
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, bytes.Repeat([]byte{0, 1, 255}, 700), 0o600); err != nil {
		t.Fatal(err)
	}
	w.expect(step{"net.tls_sticket_secret_file('" + path + "')", "true\n"})
	if got := w.encryption.secret; len(got) != 1024 || got[2] != 255 {
		t.Errorf("of a file of 2100 octets: %d", len(got))
	}
	w.expect(step{"net.tls_sticket_secret()", "true\n"})
	if w.encryption.secret != nil {
		t.Error("without an argument the secret is not random again")
	}
}

// What can be served is known to the listener alone: DNS over TLS and over QUIC
// are told apart by kind at one port, and closed together.
func TestServicesAreEndpointsByKind(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"net.listen('127.0.0.1', 853)", "true\n"},
		step{"net.listen('127.0.0.2', 443, {tls = true})", "true\n"},
		step{"net.listen('127.0.0.3', 53, {kind = 'tls'})", "true\n"},
		step{"net.listen('127.0.0.4', 53, {kind = 'doq'})", "ERROR error: net.listen: kind 'doq' is not in this version; there are 'dns' and 'tls'"},
		step{"net.endpoints()[1]", "[kind] => tls\n[transport] => {\n    [family] => inet4\n    [ip] => 127.0.0.1\n    [port] => 853\n    [protocol] => tcp\n}\n"},
	)
	for i, e := range w.listener.list {
		if e.Kind != transport.TLS {
			t.Errorf("endpoint %d is by %v", i, e.Kind)
		}
	}
	at := netip.MustParseAddrPort("[::1]:853")
	w.listener.list = []network.Endpoint{{Addr: at, Kind: transport.TLS}, {Addr: at, Kind: transport.QUIC}}
	w.expect(
		step{"net.list()", "[::1] => {\n    [doq] => true\n    [port] => 853\n    [tcp] => true\n    [tls] => true\n    [udp] => true\n}\n"},
		step{"net.endpoints()[2].kind .. net.endpoints()[2].transport.protocol", "doqudp\n"},
		step{"net.close('::1', 853)", "true\n"},
		step{"net.list()", ""},
	)
}

func TestInterfaces(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"net.eth0", "[addr] => {\n    [1] => 192.168.0.1\n}\n[mac] => de:ad:be:ef:aa:bb\n"},
		step{"net.interfaces().lo", "[addr] => {\n    [1] => 127.0.0.1\n    [2] => ::1\n}\n[mac] => 00:00:00:00:00:00\n"},
		step{"net['br-lan'].addr[1]", "10.1.0.1\n"},
		step{"net.wlan0", "nil\n"},
		step{"net[1]", "nil\n"},
	)
	for _, i := range network.MachineInterfaces() {
		if i.Name == "" || len(i.Addrs) == 0 {
			t.Errorf("an interface of this machine is %+v", i)
		}
	}
}

func TestNetParameters(t *testing.T) {
	w := newWorld(t)
	s := w.d.Settings
	w.expect(
		step{"net.bufsize()", "4096\n"},
		step{"select(2, net.bufsize())", "1232\n"},
		step{"select('#', net.bufsize(1400))", "0\n"},
		step{"net.bufsize 4096", ""},
		step{"net.tcp_pipeline 100", "100\n"},
		step{"net.bufsize()", "4096\n"},
		step{"net.bufsize(512)", "nil\n"},
		step{"select(2, net.bufsize())", "512\n"},
		step{"net.bufsize(65535, 4000)", "nil\n"},
		step{"tojson({net.bufsize()})", "[65535,4000]\n"},
		step{"net.bufsize(511)", "ERROR error: bad argument #1 to 'net.bufsize' (a number from 512 to 65535 expected, got 511)…"},
		step{"net.bufsize(65536)", "ERROR error: bad argument #1…"},
		step{"net.bufsize(0/0)", "ERROR error: bad argument #1 to 'net.bufsize' (a number from 512 to 65535 expected, got nan)…"},
		step{"net.bufsize(1000.7)", "ERROR error: bad argument #1 to 'net.bufsize' (a whole number expected, got 1000.7)…"},
		step{"net.bufsize(4096, 100)", "ERROR error: bad argument #2…"},
		step{"net.bufsize('x')", "ERROR error: bad argument #1 to 'net.bufsize' (number expected, got string)…"},
		step{"net.bufsize()", "65535\n"},
		step{"net.tcp_pipeline()", "100\n"},
		step{"net.tcp_pipeline(50)", "50\n"},
		step{"net.tcp_pipeline(0)", "0\n"},
		step{"net.tcp_pipeline(65536)", "ERROR error: bad argument #1…"},
		step{"net.tcp_pipeline(-1)", "ERROR error: bad argument #1…"},
		step{"net.limits()", "[late_waiters] => 50\n[outstanding_per_server] => 100\n[outstanding_per_zone] => 200\n[pending] => 4096\n[tcp_conns] => 1024\n[tcp_conns_per_client] => 32\n[waiters_per_client] => 1000\n"},
		step{"net.limits({waiters_per_client = 3000, late_waiters = 0}).waiters_per_client", "3000\n"},
		step{"net.limits().late_waiters", "0\n"},
		step{"net.limits({outstanding_per_server = 600, outstanding_per_zone = 601}).outstanding_per_zone", "601\n"},
		step{"net.limits().outstanding_per_server", "600\n"},
		step{"net.limits({outstanding_per_server = 0})", "ERROR error: net.limits: outstanding_per_server is a whole number from 1 to 65536"},
		step{"net.limits({tcp_conns = 2048, pending = 99})", "ERROR error: net.limits: pending is a whole number from 100 to 65536"},
		step{"net.limits().tcp_conns", "1024\n"},
		step{"net.limits({pending = 100.5})", "ERROR error: net.limits: pending is a whole number from 100 to 65536"},
		step{"net.limits({pending = '5000'})", "ERROR error: net.limits: pending is a whole number from 100 to 65536"},
		step{"net.limits({tcp_conns_per_client = 65537})", "ERROR error: net.limits: tcp_conns_per_client is a whole number from 1 to 65536"},
		step{"net.limits({waiters = 1})", "ERROR error: net.limits: there is no limit 'waiters' to set; there are…"},
		step{"net.limits(5)", "ERROR …"},
		step{"net.limits(nil)", "ERROR …"},
		step{"net.forwarders()", ""},
		step{"net.forwarders({'192.0.2.1', '10.0.0.0/8', '::ffff:192.0.2.2', '2001:db8::/32'})", "[1] => 192.0.2.1\n[2] => 10.0.0.0/8\n[3] => 192.0.2.2\n[4] => 2001:db8::/32\n"},
		step{"net.forwarders('192.0.2.9')", "[1] => 192.0.2.9\n"},
		step{"net.forwarders({'192.0.2.300'})", "ERROR error: net.forwarders: '192.0.2.300' is neither an address nor a network such as 10.0.0.0/8"},
		step{"net.forwarders({'10.0.0.1/8'})", "ERROR error: net.forwarders: '10.0.0.1/8' has bits behind its prefix; the network is 10.0.0.0/8"},
		step{"net.forwarders({5})", "ERROR error: net.forwarders: address or network expected, got number"},
		step{"net.forwarders({a = '192.0.2.1'})", "ERROR error: net.forwarders: a list expected, not a table with the key 'a'"},
		step{"net.forwarders()[1]", "192.0.2.9\n"},
		step{"#net.forwarders({})", "0\n"},
		step{"net.tcp_in_idle()", "10000\n"},
		step{"net.tcp_in_idle(2500)", "2500\n"},
		step{"net.tcp_in_idle(0)", "ERROR error: bad argument #1…"},
		step{"net.tcp_in_idle(1/0)", "ERROR error: bad argument #1…"},
		step{"net.tcp_in_idle(0/0)", "ERROR error: bad argument #1…"},
		step{"net.tls_handshake_timeout()", "6000\n"},
		step{"net.tls_handshake_timeout(2500)", "2500\n"},
		step{"net.tls_handshake_timeout(0)", "ERROR error: bad argument #1…"},
		step{"net.tls_padding()", "true\n"},
		step{"net.tls_padding(false)", "true\n"},
		step{"net.tls_padding()", "false\n"},
		step{"net.tls_padding(4096)", "true\n"},
		step{"net.tls_padding()", "4096\n"},
		step{"net.tls_padding(468)", "true\n"},
		step{"net.tls_padding()", "468\n"},
		step{"net.tls_padding(1)", "true\n"},
		step{"net.tls_padding()", "false\n"},
		step{"net.tls_padding(4097)", "ERROR error: bad argument #1 to 'net.tls_padding' (a number from 0 to 4096 expected, got 4097)…"},
		step{"net.tls_padding(-1)", "ERROR error: bad argument #1…"},
		step{"net.tls_padding(2.5)", "ERROR error: bad argument #1…"},
		step{"net.tls_padding('yes')", "ERROR error: bad argument #1 to 'net.tls_padding' (true, false or a number expected, got string)…"},
		step{"net.tls_padding(nil)", "ERROR error: bad argument #1…"},
		step{"net.tls_padding()", "false\n"},
		step{"net.tls_padding(true)", "true\n"},
		step{"tojson(net.doh_paths())", "[\"/dns-query\",\"/doh\"]\n"},
		step{"tojson(net.doh_paths('/mine'))", "[\"/mine\"]\n"},
		step{"net.doh_paths({})", "ERROR error: net.doh_paths: the list is empty; without a path nobody could ask"},
		step{"net.doh_paths('dns-query')", "ERROR error: net.doh_paths: 'dns-query' is no path: it has to begin with /"},
		step{"net.doh_paths({'/a', '/b?c'})", "ERROR error: net.doh_paths: '/b?c' is no path…"},
		step{"net.doh_paths({'/a', 5})", "ERROR error: net.doh_paths: a list of texts expected"},
		step{"net.doh_paths({a = '/a'})", "ERROR error: net.doh_paths: a list of texts expected"},
		step{"net.doh_paths(5)", "ERROR error: net.doh_paths: a text or a list of texts expected, got number"},
		step{"net.doh_paths()[1]", "/mine\n"},
		step{"#net.doh_headers()", "0\n"},
		step{"tojson(net.doh_headers({':path', 'User-Agent'}))", "[\":path\",\"user-agent\"]\n"},
		step{"net.doh_headers(':pat')", "ERROR error: net.doh_headers: ':pat' is no header; those of HTTP/2 are :method, :path, :authority and :scheme"},
		step{"net.doh_headers('')", "ERROR error: net.doh_headers: '' is no name of a header"},
		step{"net.doh_headers({'a b'})", "ERROR error: net.doh_headers: 'a b' is no name of a header"},
		step{"#net.doh_headers({})", "0\n"},
		step{"net.outgoing_v4()", "nil\n"},
		step{"net.outgoing_v4('127.0.0.2')", "true\n"},
		step{"net.outgoing_v4('192.0.2.1')", "ERROR error: net.outgoing_v4: no socket can be bound to 192.0.2.1: this machine does not have the address"},
		step{"net.outgoing_v4('224.0.0.1')", "ERROR error: net.outgoing_v4: no socket can be bound to 224.0.0.1: it is no address of one machine"},
		step{"net.outgoing_v4('255.255.255.255')", "ERROR error: net.outgoing_v4: no socket can be bound to 255.255.255.255: it is no address of one machine"},
		step{"net.outgoing_v4()", "127.0.0.2\n"},
		step{"net.outgoing_v4('::1')", "ERROR error: net.outgoing_v4: '::1' is not an IPv4 address"},
		step{"net.outgoing_v4('x')", "ERROR error: net.outgoing_v4: 'x' is not an IPv4 address"},
		step{"net.outgoing_v4(5)", "ERROR error: bad argument #1…"},
		step{"net.outgoing_v4(nil)", "true\n"},
		step{"net.outgoing_v4()", "nil\n"},
		step{"net.outgoing_v6('192.0.2.1')", "ERROR error: net.outgoing_v6: '192.0.2.1' is not an IPv6 address"},
		step{"net.outgoing_v6('::ffff:192.0.2.1')", "ERROR error: net.outgoing_v6…"},
		step{"net.outgoing_v6('2001:db8::1')", "ERROR error: net.outgoing_v6: no socket can be bound to 2001:db8::1: this machine does not have the address"},
		step{"net.outgoing_v6('fe80::1')", "ERROR error: net.outgoing_v6: no socket can be bound to fe80::1: a link-local address needs its interface, as in fe80::1%eth0"},
		step{"net.outgoing_v6('::1')", "true\n"},
		step{"net.ipv4", "true\n"},
		step{"net.ipv6 = false", ""},
		step{"net.ipv6", "false\n"},
		step{"net.ipv6 = 'no'", "ERROR error: bad value for 'net.ipv6' (boolean expected, got string)"},
	)
	if got := time.Duration(s.TCPIdle.Load()); got != 2500*time.Millisecond || s.TCPPipeline.Load() != 0 {
		t.Errorf("settings: idle %v, pipeline %d", got, s.TCPPipeline.Load())
	}
	if a, b := s.Outgoing(); a.IsValid() || b != netip.IPv6Loopback() {
		t.Errorf("source addresses %v and %v", a, b)
	}
	if w.changes == 0 {
		t.Error("nobody was told of the changes")
	}
}

func TestHelpWarnsOfWildcardAddresses(t *testing.T) {
	w := newWorld(t)
	for _, topic := range []string{"help(net)", "help('net')", "help('net.listen')", "help()"} {
		if got := w.eval(topic); !strings.Contains(got, "0.0.0.0") || !strings.Contains(got, "::") {
			t.Errorf("%s says nothing of wildcard addresses:\n%s", topic, got)
		}
	}
}

// A text that begins with a slash is the path of a UNIX socket.
func TestAPathIsListenedOn(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"net.listen({'/run/a', '127.0.0.1'}, nil, {mode = '660'})", "true\n"},
		step{"net.list()", "[/run/a] => {\n    [unix] => true\n}\n[127.0.0.1] => {\n    [port] => 53\n    [tcp] => true\n    [udp] => true\n}\n"},
		step{"local e = net.endpoints()[1] return e.kind .. e.transport.family .. e.transport.path .. e.transport.protocol", "dnsunix/run/astream"},
		step{"net = { '/run/b' }", ""},
		step{"net.close('/run/a')", "true\n"},
		step{"net.close('/run/a', 53)", "false\n"},
	)
	if want := []fs.FileMode{0o660, 0}; !slices.Equal(w.listener.modes, want) {
		t.Errorf("modes %v, want %v", w.listener.modes, want)
	}
	if list := w.listener.list; list[len(list)-1].Path != "/run/b" {
		t.Errorf("left: %+v", list)
	}
}

func TestProxiesAreNamed(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"net.proxy_allowed()", ""},
		step{"table.concat(net.proxy_allowed({'192.0.2.1', '2001:db8::/64', '::ffff:10.0.0.1'}), ' ')", "192.0.2.1 2001:db8::/64 10.0.0.1\n"},
		step{"net.proxy_allowed({'192.0.2.2', 'x'})", "ERROR error: net.proxy_allowed: 'x' is neither…"},
		step{"net.proxy_allowed({a = '192.0.2.2'})", "ERROR error: net.proxy_allowed: a list expected, not a table with the key 'a'"},
		step{"net.proxy_allowed({1})", "ERROR error: net.proxy_allowed: address or network expected, got number"},
		step{"table.concat(net.proxy_allowed(), ' ')", "192.0.2.1 2001:db8::/64 10.0.0.1\n"},
		step{"net.proxy_allowed('192.0.2.3')[1]", "192.0.2.3\n"},
		step{"#net.proxy_allowed({})", "0\n"},
	)
}

// A list with an entry that can be no address is refused before its first address is
// listened on.
func TestNothingOfAWrongListIsListenedOn(t *testing.T) {
	w := newWorld(t)
	for text, want := range map[string]string{
		"net = { '127.0.0.1', 5353 }": "bad value for 'net.2' (address expected, got number)",
		"net = { '127.0.0.1', true }": "bad value for 'net.2' (address expected, got boolean)",
	} {
		if got := w.eval(text); !strings.Contains(got, want) {
			t.Errorf("%s says %q, want %q", text, got, want)
		}
	}
	if got := w.listener.bound(); len(got) > 0 {
		t.Errorf("bound are %v", got)
	}
}
