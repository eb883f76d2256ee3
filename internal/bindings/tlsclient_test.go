package bindings

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kresd/internal/proctest"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

// askedAt is whom a question is sent to, and how.
func (w *rulesWorld) askedAt(name string) (list []zonecut.NameServer) {
	w.t.Helper()
	req, _ := w.begin(name, wire.TypeA)
	if req.Cut != nil {
		list = req.Cut.NS
	}
	return list
}

// All forms of a server come to who is asked, in which protocol, and how it has to prove
// who it is.
func TestServersOfRules(t *testing.T) {
	ca := proctest.NewCertificateAuthority(t)
	cert := ca.Issue(t, time.Now().Add(time.Hour), "dns.test")
	pin := zonecut.PeerConfig{Protocol: zonecut.DoT, Pins: []zonecut.Pin{cert.Hash}}
	named := func(by zonecut.Protocol, host, path string, names ...string) zonecut.PeerConfig {
		return zonecut.PeerConfig{Protocol: by, Host: host, Path: path, Names: names}
	}
	withCA := named(zonecut.DoT, "", "", "dns.test")
	withCA.Authorities = []string{ca.File}
	insecure := zonecut.PeerConfig{Protocol: zonecut.DoT, Insecure: true}
	anyHost := zonecut.PeerConfig{Protocol: zonecut.DoQ, Host: "dns.test", Insecure: true}
	pinnedHost := zonecut.PeerConfig{Protocol: zonecut.DoH, Host: "dns.test", Path: "/q", Pins: []zonecut.Pin{cert.Hash}}
	for lua, want := range map[string]struct {
		addr string
		port uint16
		peer zonecut.PeerConfig
	}{
		"TLS_FORWARD({ { '192.0.2.1', pin_sha256 = 'PIN' } })":                                   {"192.0.2.1", 0, pin},
		"TLS_FORWARD({ { '192.0.2.1@8853', pin_sha256 = { 'PIN' } } })":                          {"192.0.2.1", 8853, pin},
		"TLS_FORWARD({ '192.0.2.1#8853', pin_sha256 = 'PIN' })":                                  {"192.0.2.1", 8853, pin},
		"TLS_FORWARD({ { '2001:db8::d0c', hostname = 'dns.test', ca_file = 'CA' } })":            {"2001:db8::d0c", 0, withCA},
		"TLS_FORWARD({ { 'fe80::1%lo', hostname = { 'DNS.test.' }, ca_file = {'CA'} } })":        {"fe80::1%lo", 0, withCA},
		"TLS_FORWARD({ { '192.0.2.1', hostname = 'dns.test' } })":                                {"192.0.2.1", 0, named(zonecut.DoT, "", "", "dns.test")},
		"TLS_FORWARD({ { '192.0.2.1', insecure = true } })":                                      {"192.0.2.1", 0, insecure},
		"FORWARD('tls://192.0.2.1')":                                                             {"192.0.2.1", 0, named(zonecut.DoT, "192.0.2.1", "", "192.0.2.1")},
		"FORWARD({ 'https://192.0.2.1/dns-query{?dns}' })":                                       {"192.0.2.1", 0, named(zonecut.DoH, "192.0.2.1", "/dns-query", "192.0.2.1")},
		"FORWARD({ 'https://[2001:db8::1]:8443' })":                                              {"2001:db8::1", 8443, named(zonecut.DoH, "2001:db8::1", "/dns-query", "2001:db8::1")},
		"FORWARD({ 'https://DNS.test/q', address = '192.0.2.1' })":                               {"192.0.2.1", 0, named(zonecut.DoH, "dns.test", "/q", "dns.test")},
		"FORWARD({ { 'https://dns.test/q', address = {'192.0.2.1'}, pin_sha256 = 'PIN' } })":     {"192.0.2.1", 0, pinnedHost},
		"STUB({ { 'quic://dns.test', address = '192.0.2.1', insecure = true } })":                {"192.0.2.1", 0, anyHost},
		"FORWARD({ { 'tls://dns.test:8853', address = '192.0.2.1', hostname = 'other.test' } })": {"192.0.2.1", 8853, named(zonecut.DoT, "dns.test", "", "other.test")},
		"FORWARD({ { '192.0.2.1' } })":                                                           {"192.0.2.1", 0, zonecut.PeerConfig{}},
	} {
		w := newRulesWorld(t)
		w.expectFile("policy.add(policy.all(policy."+strings.NewReplacer("PIN", cert.Pin, "CA", ca.File).Replace(lua)+"))", "")
		var peer zonecut.Peer
		if want.peer.Protocol != zonecut.Do53 {
			var err error
			if peer, err = zonecut.NewPeer(want.peer); err != nil {
				t.Fatal(err)
			}
		}
		list := w.askedAt("www.example.")
		if len(list) != 1 || list[0].Addrs[0].String() != want.addr || list[0].Port != want.port || list[0].Peer != peer {
			t.Errorf("%s: asked is %+v, %+v, want %+v", lua, list, list[0].Peer.Config(), want)
		}
	}
	w := newRulesWorld(t)
	w.expectFile("policy.add(policy.all(policy.FORWARD({ '192.0.2.1@853', { 'tls://192.0.2.1', insecure = true }, { 'quic://192.0.2.1', insecure = true }, '192.0.2.1' })))", "")
	if list := w.askedAt("www.example."); len(list) != 4 {
		t.Errorf("one address in four ways is %d servers", len(list))
	}
}

// What would trust the wrong server, or nobody, is refused where it is configured, with
// its place and the reason.
func TestServersThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	empty, broken := filepath.Join(dir, "empty.crt"), filepath.Join(dir, "broken.crt")
	for file, text := range map[string]string{empty: "no certificate", broken: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := newRulesWorld(t)
	const pin = "'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='"
	for lua, want := range map[string]string{
		"TLS_FORWARD()":                "wrong number of arguments…",
		"TLS_FORWARD(5)":               "bad argument #1 to 'policy.TLS_FORWARD' (an address or a list of addresses expected)…",
		"TLS_FORWARD({})":              "policy.TLS_FORWARD: no address given",
		"TLS_FORWARD({ '192.0.2.1' })": "policy.TLS_FORWARD: address 1: nothing says how '192.0.2.1' proves who it is: give it pin_sha256, or hostname and, unless the system's authorities count, ca_file",
		"TLS_FORWARD({ { '192.0.2.1', insecure = true }, { '192.0.2.2' } })":                                                    "policy.TLS_FORWARD: address 2: nothing says how…",
		"TLS_FORWARD({ { '192.0.2.1', insecure = true }, { '192.0.2.1@853', insecure = true } })":                               "policy.TLS_FORWARD: address 2: '192.0.2.1@853' is given twice",
		"TLS_FORWARD({ { insecure = true } })":                                                                                  "policy.TLS_FORWARD: address 1: a server begins with its address: { '192.0.2.1', hostname = 'dns.example' }",
		"TLS_FORWARD({ { 'dns.example', insecure = true } })":                                                                   "policy.TLS_FORWARD: address 1: 'dns.example' is not an IP address with an optional @port",
		"TLS_FORWARD({ { '192.0.2.1@0', insecure = true } })":                                                                   "policy.TLS_FORWARD: address 1: '192.0.2.1@0' has no port from 1 to 65535 behind '@'",
		"TLS_FORWARD({ { '192.0.2.1', pin_sha256 = 'YQ==' } })":                                                                 "policy.TLS_FORWARD: address 1: 'YQ==' is no pin: the base64 text of the 32 octets of a SHA-256 is one",
		"TLS_FORWARD({ { '192.0.2.1', pin_sha256 = {} } })":                                                                     "policy.TLS_FORWARD: address 1: pin_sha256 is empty",
		"TLS_FORWARD({ { '192.0.2.1', pin_sha256 = " + pin + ", hostname = 'dns.example' } })":                                  "policy.TLS_FORWARD: address 1: pin_sha256 and hostname are given; one way to prove who the server is has to be chosen",
		"TLS_FORWARD({ { '192.0.2.1', pin_sha256 = " + pin + ", insecure = true } })":                                           "policy.TLS_FORWARD: address 1: a server that is taken insecurely has no use for names and pins",
		"TLS_FORWARD({ { '192.0.2.1', pin_sha256 = " + pin + ", ca_file = '" + w.ca(t) + "' } })":                               "policy.TLS_FORWARD: address 1: certificate authorities are of no use without a name",
		"TLS_FORWARD({ { '192.0.2.1', hostname = '' } })":                                                                       "policy.TLS_FORWARD: address 1: hostname: '' is no host name",
		"TLS_FORWARD({ { '192.0.2.1', hostname = 'a b' } })":                                                                    "policy.TLS_FORWARD: address 1: hostname: 'a b' is no host name",
		"TLS_FORWARD({ { '192.0.2.1', hostname = 'a..b' } })":                                                                   "policy.TLS_FORWARD: address 1: hostname: 'a..b' is no host name",
		"TLS_FORWARD({ { '192.0.2.1', hostname = 5 } })":                                                                        "policy.TLS_FORWARD: address 1: hostname: text or a list of texts expected",
		"TLS_FORWARD({ { '192.0.2.1', hostname = 'dns.example', ca_file = '/no/file' } })":                                      "policy.TLS_FORWARD: address 1: ca_file '/no/file': no such file or directory",
		"TLS_FORWARD({ { '192.0.2.1', hostname = 'dns.example', ca_file = '/dev/zero' } })":                                     "policy.TLS_FORWARD: address 1: ca_file '/dev/zero': not a regular file",
		"TLS_FORWARD({ { '192.0.2.1', hostname = 'dns.example', ca_file = '" + empty + "' } })":                                 "policy.TLS_FORWARD: address 1: ca_file '" + empty + "' has no certificate in PEM",
		"TLS_FORWARD({ { '192.0.2.1', hostname = 'dns.example', ca_file = '" + broken + "' } })":                                "policy.TLS_FORWARD: address 1: ca_file '" + broken + "': certificate 1 cannot be read…",
		"TLS_FORWARD({ { '192.0.2.1', insecure = 1 } })":                                                                        "policy.TLS_FORWARD: address 1: insecure is true or false",
		"TLS_FORWARD({ { '192.0.2.1', pin = 'x' } })":                                                                           "policy.TLS_FORWARD: address 1: 'pin' means nothing here; there are pin_sha256, hostname, ca_file, insecure and address",
		"TLS_FORWARD({ { '192.0.2.1', insecure = true, address = '192.0.2.2' } })":                                              "policy.TLS_FORWARD: address 1: address belongs to a URL, and '192.0.2.1' is none",
		"FORWARD({ { '192.0.2.1', hostname = 'dns.example' } })":                                                                "policy.FORWARD: address 1: '192.0.2.1' is asked in plain DNS, which proves nothing: write 'tls://192.0.2.1', or policy.TLS_FORWARD",
		"FORWARD('https://dns.example/dns-query')":                                                                              "policy.FORWARD: address 1: the address of 'dns.example' has to be given, as nobody is asked for it: { 'https://dns.example/dns-query', address = '192.0.2.1' }",
		"FORWARD({ 'https://192.0.2.1/', address = '192.0.2.2' })":                                                              "policy.FORWARD: address 1: 'https://192.0.2.1/' names its address, and another is given",
		"FORWARD({ 'https://dns.example', address = '192.0.2.1@443' })":                                                         "policy.FORWARD: address 1: '192.0.2.1@443' has a port, which belongs into the URL",
		"FORWARD('http://192.0.2.1/')":                                                                                          "policy.FORWARD: address 1: 'http://192.0.2.1/' begins with none of tls://, https:// and quic://",
		"FORWARD('tls://192.0.2.1/path')":                                                                                       "policy.FORWARD: address 1: 'tls://192.0.2.1/path' has a path, which is for https:// only",
		"FORWARD('https://me@192.0.2.1/')":                                                                                      "policy.FORWARD: address 1: 'https://me@192.0.2.1/' has more than a host, a port and a path",
		"FORWARD('https://192.0.2.1:0/')":                                                                                       "policy.FORWARD: address 1: 'https://192.0.2.1:0/' has no port from 1 to 65535",
		"FORWARD('https://192.0.2.1:x/')":                                                                                       "policy.FORWARD: address 1: 'https://192.0.2.1:x/' is no URL…",
		"FORWARD({ { 'https://dns.example', address = { '192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4', '192.0.2.5' } } })": "policy.FORWARD: 5 addresses given, at most 4 are possible",
	} {
		w.expect(step{"policy." + lua, "ERROR error: " + want})
	}
}

func (w *rulesWorld) ca(t *testing.T) string { return proctest.NewCertificateAuthority(t).File }

// net.tls_client says how a server is spoken to where rules name it, also those that are
// in force already, and net.tls_client_clear ends that; what TLS_FORWARD means it does not
// change.
func TestTLSClient(t *testing.T) {
	ca := proctest.NewCertificateAuthority(t)
	cert := ca.Issue(t, time.Now().Add(time.Hour), "dns.test")
	w := newRulesWorld(t)
	w.expectFile("policy.add(policy.suffix(policy.FORWARD('192.0.2.1@853'), policy.todnames{'a.'}))\npolicy.add(policy.suffix(policy.STUB('192.0.2.1'), policy.todnames{'b.'}))", "")
	plainPrint := w.d.Policy.Fingerprint()
	protocols := func() string {
		a, b := w.askedAt("www.a.")[0], w.askedAt("www.b.")[0]
		return fmt.Sprintf("%v %v", a.Peer.Protocol(), b.Peer.Protocol())
	}
	if got := protocols(); got != "plain DNS plain DNS" {
		t.Errorf("at first they are asked by %s", got)
	}
	w.expect(
		step{"net.tls_client()", ""},
		step{"net.tls_client('192.0.2.1', '" + cert.Pin + "')", "true\n"},
		step{"net.tls_client()['192.0.2.1@853'].pin_sha256[1]", cert.Pin + "\n"},
	)
	if got := protocols(); got != "DNS over TLS plain DNS" {
		t.Errorf("then they are asked by %s", got)
	}
	if w.askedAt("www.a.")[0].Peer.Config().Pins[0] != cert.Hash || w.d.Policy.Fingerprint() == plainPrint {
		t.Error("the pin, or the fingerprint, is another")
	}
	w.expect(
		step{"net.tls_client('192.0.2.1@53', {}, 'dns.test')", "true\n"},
		step{"net.tls_client({ '192.0.2.2', insecure = true })", "true\n"},
		step{"net.tls_client('192.0.2.3', '" + cert.Pin + "', '" + ca.File + "', { 'dns.test' })", "true\n"},
		step{"net.tls_client('192.0.2.3', nil, nil, 'dns.test')", "true\n"},
		step{"net.tls_client('192.0.2.3', '" + ca.File + "', 'dns.test')", "true\n"},
		step{"net.tls_client()['192.0.2.3@853'].ca_file[1]", ca.File + "\n"},
		step{"net.tls_client()['192.0.2.2@853'].insecure", "true\n"},
		step{"policy.add(policy.suffix(policy.TLS_FORWARD({'192.0.2.2'}), policy.todnames{'c.'})).id > 0", "true\n"},
	)
	if got := protocols(); got != "DNS over TLS DNS over TLS" {
		t.Errorf("with port 53 they are asked by %s", got)
	}
	w.expect(
		step{"net.tls_client_clear('192.0.2.1@853')", "true\n"},
		step{"net.tls_client_clear('192.0.2.1@853')", "false\n"},
		step{"net.tls_client_clear('192.0.2.1#53')", "true\n"},
		step{"net.tls_client_clear('192.0.2.2')", "true\n"},
		step{"net.tls_client_clear('192.0.2.3')", "true\n"},
		step{"net.tls_client()", ""},
	)
	if got := protocols(); got != "plain DNS plain DNS" || w.d.Policy.Fingerprint() == 0 {
		t.Errorf("at last they are asked by %s", got)
	}
	if by := w.askedAt("www.c.")[0].Peer.Protocol(); by != zonecut.DoT {
		t.Errorf("TLS_FORWARD asks by %v", by)
	}
	w.expect(
		step{"net.tls_client('dns.example')", "ERROR error: net.tls_client: 'dns.example' is not an IP address with an optional @port"},
		step{"net.tls_client('192.0.2.1', 'x')", "ERROR error: net.tls_client: 'x' is no pin…"},
		step{"net.tls_client('192.0.2.1', 5)", "ERROR error: net.tls_client: argument 2: text or a list of texts expected"},
		step{"net.tls_client('192.0.2.1', {}, {})", "ERROR error: net.tls_client: neither pins nor host names are given…"},
		step{"net.tls_client('192.0.2.1', misspelt)", "ERROR error: net.tls_client: neither pins nor host names are given…"},
		step{"net.tls_client('192.0.2.1', '/no/file', 'dns.test')", "ERROR error: net.tls_client: ca_file '/no/file': no such file or directory"},
		step{"net.tls_client('192.0.2.1', {})", "ERROR error: net.tls_client: neither pins nor host names are given…"},
		step{"net.tls_client({ '192.0.2.1' })", "ERROR error: net.tls_client: nothing says how the server is authenticated: a name, a pin or insecure"},
		step{"net.tls_client({ '192.0.2.1', insecure = true }, 1)", "ERROR error: net.tls_client: the table has all that is to be said about a server: no further arguments expected"},
		step{"net.tls_client_clear()", "ERROR error: wrong number of arguments…"},
		step{"net.tls_client_clear('x')", "ERROR error: net.tls_client_clear: 'x' is not an IP address with an optional @port"},
	)
}

func TestTLSOpportunistic(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"net.tls_opportunistic()", "false\n"},
		step{"net.tls_opportunistic(true)", "true\n"},
		step{"net.tls_opportunistic()", "true\n"},
		step{"net.tls_opportunistic(1)", "ERROR error: bad argument #1 to 'net.tls_opportunistic' (boolean expected, got number)…"},
		step{"net.tls_opportunistic(false)", "false\n"},
	)
	if w.d.Settings.Opportunistic.Load() {
		t.Error("it is still on")
	}
}
