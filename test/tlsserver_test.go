package test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/certificate"
	"kresd/internal/proctest"
)

// dotHost is what the resolver of these tests is called.
const dotHost = "resolver.example"

// A dotGroup is a group that is asked by TLS.
type dotGroup struct {
	*proctest.Group
	at   netip.AddrPort
	cert *proctest.Certificate
	ca   *proctest.CertificateAuthority
}

// dotConfig is a group that listens by TLS too.
func dotConfig(t *testing.T, n *authority.Internet, workers int, extra ...string) (c proctest.Config, at netip.AddrPort) {
	t.Helper()
	at = proctest.FreePort(t)
	return proctest.On(t, n, workers, append([]string{fmt.Sprintf("net.listen('%s', %d, { tls = true })", at.Addr(), at.Port())}, extra...)...), at
}

// startDoT starts a group with a certificate.
func startDoT(t *testing.T, n *authority.Internet, workers int, extra ...string) *dotGroup {
	t.Helper()
	g := &dotGroup{ca: proctest.NewCertificateAuthority(t)}
	g.cert = g.ca.Issue(t, time.Now().Add(time.Hour), dotHost)
	c, at := dotConfig(t, n, workers, append(extra, fmt.Sprintf("net.tls('%s', '%s')", g.cert.CertFile, g.cert.KeyFile))...)
	g.Group, g.at = proctest.Start(t, c), at
	return g
}

// A dotClient keeps its sessions.
type dotClient struct{ conf *tls.Config }

func newDoTClient() *dotClient {
	return &dotClient{&tls.Config{ServerName: dotHost, InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(8)}}
}

// connect fails the test when there is no connection.
func (c *dotClient) connect(t *testing.T, at netip.AddrPort) *tls.Conn {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", at.String(), c.conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// askBy asks one question on a connection.
func askBy(conn net.Conn, name string) error {
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &dns.Conn{Conn: conn}
	if err := c.WriteMsg(proctest.Query(name, dns.TypeA, 1232)); err != nil {
		return err
	}
	m, err := c.ReadMsg()
	if err == nil && (m.Rcode != dns.RcodeSuccess || len(m.Answer) == 0) {
		err = errors.New(m.String())
	}
	return err
}

// visit connects, asks, and tells whether the session was an earlier one, and whose
// key the server has.
func (c *dotClient) visit(t *testing.T, at netip.AddrPort) (resumed bool, pin string) {
	t.Helper()
	conn := c.connect(t, at)
	defer conn.Close()
	if err := askBy(conn, "www.example.com."); err != nil { // by then the ticket has come
		t.Fatal(err)
	}
	state := conn.ConnectionState()
	return state.DidResume, certificate.Pin(state.PeerCertificates[0])
}

// ranFor runs a command that must not take long, and gives what it says.
func ranFor(name string, args ...string) string {
	cmd := exec.Command("timeout", append([]string{"30", name}, args...)...)
	out, _ := cmd.CombinedOutput() // what it says is judged
	return string(out)
}

// A kdigCase is what kdig is told, and whether it gets an answer.
type kdigCase struct {
	options []string
	ok      bool
}

// kdigs has kdig ask once for each case, with options that all have in common. With an
// answer it is to say by which session that came.
func kdigs(t *testing.T, at netip.AddrPort, session string, cases map[string]kdigCase, common ...string) {
	t.Helper()
	common = append(common, "@"+at.Addr().String(), "-p", strconv.Itoa(int(at.Port())), "+timeout=10", "+retry=0")
	for name, tc := range cases {
		args := append(append(slices.Clone(common), tc.options...), "www.example.com", "A")
		got := ranFor("kdig", args...)
		if strings.Contains(got, "status: NOERROR") != tc.ok || tc.ok && !strings.Contains(got, session) {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

func TestKdigAsksByTLS(t *testing.T) {
	g := startDoT(t, proctest.SmallInternet(t), 1, "modules = { 'stats' }", "verbose(true)")
	other := (*proctest.CertificateAuthority)(nil).Issue(t, time.Now().Add(time.Hour), dotHost)
	kdigs(t, g.at, "TLS session (TLS1.3)", map[string]kdigCase{
		"opportunistic":         {nil, true},
		"authority and name":    {[]string{"+tls-ca=" + g.ca.File, "+tls-hostname=" + dotHost}, true},
		"another name":          {[]string{"+tls-ca=" + g.ca.File, "+tls-hostname=other.example"}, false},
		"no known authority":    {[]string{"+tls-ca", "+tls-hostname=" + dotHost}, false},
		"pin":                   {[]string{"+tls-pin=" + g.cert.Pin}, true},
		"another pin":           {[]string{"+tls-pin=" + other.Pin}, false},
		"several on one":        {[]string{"+keepopen", "www.example.com", "A", "example.com", "A"}, true},
		"an answer of any size": {[]string{"+bufsize=512", "big.example.com", "TXT"}, true},
	}, "+tls")
	if got := g.Eval(t, "stats.get('request.dot4') >= 5 and stats.get('request.tcp4') == 0"); got != "true" {
		t.Errorf("requests by TLS are counted wrong: %s", g.Eval(t, "stats.list('request.')"))
	}
	if got := g.Eval(t, "worker.stats().handshakes >= 5"); got != "true" {
		t.Errorf("handshakes: %s", g.Eval(t, "worker.stats().handshakes"))
	}
	if !strings.Contains(g.Log(), " by TLS") {
		t.Error("the verbose log does not name the transport")
	}
}

// openssl speaks a session to its end and gives what it says. A session is kept in a
// file, or taken from it.
func openssl(t *testing.T, at netip.AddrPort, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command("timeout", append([]string{"30", "openssl", "s_client", "-connect", at.String()}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out lockedText
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, 20*time.Second, "openssl is connected", func() bool { return strings.Contains(out.String(), "\n---\n") })
	time.Sleep(200 * time.Millisecond) // for what the server says behind its handshake, which nothing waits for
	_, _ = io.WriteString(in, input)
	in.Close()
	_ = cmd.Wait() // what it says is judged
	return out.String()
}

func TestOpenSSLAsksByTLS(t *testing.T) {
	g := startDoT(t, proctest.SmallInternet(t), 2)
	session := filepath.Join(t.TempDir(), "session")
	for name, tc := range map[string]struct {
		args     []string
		input    string
		has, not string
	}{
		"1.3":           {[]string{"-tls1_3", "-alpn", "dot"}, "Q\n", "ALPN protocol: dot", "alert"},
		"1.2":           {[]string{"-tls1_2", "-alpn", "dot"}, "Q\n", "ALPN protocol: dot", "TLS session ticket:"},
		"no protocol":   {nil, "Q\n", "No ALPN negotiated", "alert"},
		"1.1":           {[]string{"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}, "", "Cipher is (NONE)", "Cipher is TLS"},
		"reconnect":     {[]string{"-reconnect"}, "Q\n", "drop connection and then reconnect", "alert"},
		"renegotiation": {[]string{"-tls1_2"}, "R\n", "alert unexpected message", "Cipher is (NONE)"},
		"key update":    {[]string{"-tls1_3"}, "K\nk\nQ\n", "KEYUPDATE", "alert"},
	} {
		got := openssl(t, g.at, tc.input, tc.args...)
		if !strings.Contains(got, tc.has) || strings.Contains(got, tc.not) {
			t.Errorf("%s: want %q and not %q:\n%s", name, tc.has, tc.not, got)
		}
	}
	if got := openssl(t, g.at, "Q\n", "-sess_out", session); !strings.Contains(got, "\nNew, TLSv1.3") {
		t.Errorf("a first session:\n%s", got)
	}
	for range 6 { // at whichever worker
		if got := openssl(t, g.at, "Q\n", "-sess_in", session); !strings.Contains(got, "\nReused, TLSv1.3") {
			t.Fatalf("the session was not resumed:\n%s", got)
		}
	}
}

// A client resumes its session at any worker of the group, also when the one that
// gave it the ticket was killed, and at another group that has the same secret.
func TestSessionsAreResumedAtEveryWorker(t *testing.T) {
	n := proctest.SmallInternet(t)
	g := startDoT(t, n, 3)
	c := newDoTClient()
	if resumed, _ := c.visit(t, g.at); resumed {
		t.Error("the first session was resumed")
	}
	visitUntil := func(when string, cond func() bool) {
		t.Helper()
		for range 200 { // the kernel chooses the worker
			if resumed, _ := c.visit(t, g.at); !resumed {
				t.Errorf("%s: a session was not resumed", when)
			}
			if cond() {
				return
			}
		}
		t.Errorf("%s: 200 connections were shared out as %v", when, handshakes(t, g.Group))
	}
	visitUntil("with all workers", func() bool { return !slices.Contains(handshakes(t, g.Group), 0) })
	before := handshakes(t, g.Group)
	c.visit(t, g.at)
	after := handshakes(t, g.Group)
	giver := 0
	for after[giver] == before[giver] {
		giver++
	}
	gone := g.Worker(t, giver)
	kill(t, gone.PID)
	proctest.Eventually(t, 20*time.Second, "another worker is in its place", func() bool {
		workers := g.Workers()
		return len(workers) == 3 && !slices.ContainsFunc(workers, func(w proctest.Worker) bool { return w.PID == gone.PID })
	})
	visitUntil("after the giver of the ticket was killed", func() bool { return handshakes(t, g.Group)[giver] > 0 })

	for _, w := range g.Workers() { // the group's secret is not seen from outside
		for _, file := range []string{"environ", "cmdline"} {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", w.PID, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range bytes.Split(text, []byte{0}) {
				if long := regexp.MustCompile(`[A-Za-z0-9+/=_-]{40,}`); long.Match(word) && !slices.Contains(os.Environ(), string(word)) {
					t.Errorf("%s of worker %d has %q", file, w.ID, word)
				}
			}
		}
	}
}

// handshakes are how many each worker has done.
func handshakes(t *testing.T, g *proctest.Group) (list []int) {
	t.Helper()
	for _, w := range g.Workers() {
		n, err := strconv.Atoi(strings.TrimSpace(proctest.Eval(t, w.Socket, "worker.stats().handshakes")))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, n)
	}
	return list
}

func TestGroupsWithOneSecretResumeEachOthersSessions(t *testing.T) {
	n := proctest.SmallInternet(t)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, bytes.Repeat([]byte("secret"), 10), 0o600); err != nil {
		t.Fatal(err)
	}
	one := startDoT(t, n, 1, "net.tls_sticket_secret(('secret'):rep(10))")
	two := startDoT(t, n, 1, "net.tls_sticket_secret_file('"+file+"')")
	three := startDoT(t, n, 1)
	c := newDoTClient()
	c.visit(t, one.at)
	if resumed, _ := c.visit(t, two.at); !resumed {
		t.Error("a group with the same secret did not resume the session")
	}
	if resumed, _ := c.visit(t, three.at); resumed {
		t.Error("a group with a secret of its own resumed the session")
	}
	if strings.Contains(one.Log(), "secretsecret") {
		t.Errorf("the log shows the secret:\n%s", one.Log())
	}
}

// A certificate is replaced while sessions go on, and a broken one replaces nothing.
func TestACertificateIsReplacedWhileSessionsGoOn(t *testing.T) {
	g := startDoT(t, proctest.SmallInternet(t), 2)
	lasting := newDoTClient().connect(t, g.at)
	ask := func() {
		t.Helper()
		if err := askBy(lasting, "www.example.com."); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	next := g.ca.Issue(t, time.Now().Add(time.Hour), dotHost)
	move(t, next.CertFile, g.cert.CertFile)
	move(t, next.KeyFile, g.cert.KeyFile)
	proctest.Eventually(t, 30*time.Second, "all see the next certificate", func() bool {
		ask()
		for range 6 {
			if _, pin := newDoTClient().visit(t, g.at); pin != next.Pin {
				return false
			}
		}
		return true
	})
	if err := os.WriteFile(g.cert.KeyFile, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, 30*time.Second, "the damage is told", func() bool {
		ask()
		return strings.Contains(g.Log(), "stays in use: '"+g.cert.KeyFile+"': there is no private key in it")
	})
	if _, pin := newDoTClient().visit(t, g.at); pin != next.Pin {
		t.Errorf("after the damage clients see pin %s, want %s", pin, next.Pin)
	}
	if got := g.Eval(t, "net.tls('nosuch.crt', 'nosuch.key')"); !strings.Contains(got, "net.tls: 'nosuch.crt': no such file or directory") {
		t.Errorf("a pair that is not there: %s", got)
	}
	if got := g.Eval(t, "net.tls().cert_file"); got != g.cert.CertFile {
		t.Errorf("net.tls() names %s, want %s", got, g.cert.CertFile)
	}
	ask()
}

func move(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = errors.Join(os.WriteFile(to+".new", text, 0o600), os.Rename(to+".new", to))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Without a certificate an ephemeral one serves, whose pin is one for all workers and
// groups of a run directory, whatever the host is called.
func TestTheEphemeralCertificateOfAGroup(t *testing.T) {
	n := proctest.SmallInternet(t)
	c, at := dotConfig(t, n, 3, "hostname('first.example')")
	g := proctest.Start(t, c)
	told := regexp.MustCompile(`an ephemeral certificate for 'first.example' serves clients until \d{4}-\d\d-\d\d, pin-sha256 '([A-Za-z0-9+/]{43}=)'`).FindAllStringSubmatch(g.Log(), -1)
	if len(told) != 1 {
		t.Fatalf("the pin is told %d times:\n%s", len(told), g.Log())
	}
	pin := told[0][1]
	if got := ranFor("kdig", "@"+at.Addr().String(), "-p", strconv.Itoa(int(at.Port())), "+tls", "+tls-pin="+pin, "www.example.com"); !strings.Contains(got, "status: NOERROR") {
		t.Errorf("by the pin that was told:\n%s", got)
	}
	for range 12 {
		if _, got := newDoTClient().visit(t, at); got != pin {
			t.Errorf("a worker has pin %s, want %s", got, pin)
		}
	}
	if info, err := os.Stat(filepath.Join(g.Dir, certificate.KeyFile)); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}

	beside, there := dotConfig(t, n, 1)
	beside.Dir = g.Dir
	proctest.Start(t, beside)
	if _, got := newDoTClient().visit(t, there); got != pin {
		t.Errorf("another group of the directory has pin %s, want %s", got, pin)
	}

	g.Eval(t, "map [[hostname('second.example')]]")
	leaf := newDoTClient().connect(t, at).ConnectionState().PeerCertificates[0]
	if leaf.VerifyHostname("second.example") != nil || certificate.Pin(leaf) != pin {
		t.Errorf("after hostname('second.example'): %v, pin %s, want %s", leaf.Subject, certificate.Pin(leaf), pin)
	}
}

// Connections that wait at a worker that is killed are served by its sibling.
func TestTLSConnectionsOfAKilledWorkerAreServed(t *testing.T) {
	g := startDoT(t, proctest.SmallInternet(t), 2)
	proctest.Eventually(t, 20*time.Second, "all sockets are in custody", func() bool {
		for _, inode := range sockets(t, g.at.Port()) {
			if holders(inode, family(g.Group)) < 2 {
				return false
			}
		}
		return true
	})
	w := pause(t, g.Group, 1)
	var waiting []net.Conn
	for range 30 {
		conn, err := net.DialTimeout("tcp", g.at.String(), 20*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		waiting = append(waiting, conn)
	}
	kill(t, w.PID)
	for i, conn := range waiting {
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if err := askBy(tls.Client(conn, newDoTClient().conf), "www.example.com."); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}

// Who replaces its workers answers on connections by TLS what was asked.
func TestTLSConnectionsEndInOrder(t *testing.T) {
	g := startDoT(t, proctest.SmallInternet(t), 2)
	conn := newDoTClient().connect(t, g.at)
	if err := askBy(conn, "www.example.com."); err != nil {
		t.Fatal(err)
	}
	if status, err := g.Stop(); status != 0 || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF { // and not a reset: the end is authentic
		t.Errorf("the connection ended with %v, want %v", err, io.EOF)
	}
}

// Sockets and addresses that are named outside of the configuration.
func TestTLSByOptionsAndInheritedSockets(t *testing.T) {
	n := proctest.SmallInternet(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	socket, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	inherited := netip.MustParseAddrPort(ln.Addr().String())
	for name, prepare := range map[string]func(c *proctest.Config) netip.AddrPort{
		"-t": func(c *proctest.Config) netip.AddrPort {
			at := proctest.FreePort(t)
			c.Args = []string{"-t", fmt.Sprintf("%s@%d", at.Addr(), at.Port())}
			return at
		},
		"-S 3:tls": func(c *proctest.Config) netip.AddrPort {
			c.Files, c.Args = []*os.File{socket}, []string{"-S", "3:tls"}
			return inherited
		},
		"-T": func(c *proctest.Config) netip.AddrPort {
			c.Files, c.Args = []*os.File{socket}, []string{"-T", "3"}
			return inherited
		},
	} {
		c := proctest.On(t, n, 1)
		at := prepare(&c)
		g := proctest.Start(t, c)
		newDoTClient().visit(t, at)
		if got := g.Eval(t, fmt.Sprintf("local e = net.list()['%s'] for _, m in ipairs(e.more or {}) do if m.port == %d then e = m end end return tostring(e.tls)", at.Addr(), at.Port())); got != "true" {
			t.Errorf("%s: net.list() says %s", name, got)
		}
		if status, err := g.Stop(); status != 0 || err != nil {
			t.Errorf("%s: status %d, %v", name, status, err)
		}
	}
}

func TestTLSFilesAreChecked(t *testing.T) {
	good := (*proctest.CertificateAuthority)(nil).Issue(t, time.Now().Add(time.Hour), dotHost)
	empty, large := filepath.Join(t.TempDir(), "empty"), filepath.Join(t.TempDir(), "large")
	if err := errors.Join(os.WriteFile(empty, nil, 0o600), os.WriteFile(large, make([]byte, 1<<20), 0o600)); err != nil {
		t.Fatal(err)
	}
	for line, says := range map[string]string{
		fmt.Sprintf("net.tls('%s', '%s')", good.CertFile, good.KeyFile): "",
		fmt.Sprintf("net.tls('%s', '%s')", good.KeyFile, good.CertFile): "config:1: error: net.tls: '" + good.KeyFile + "': there is no certificate in it",
		"net.tls('nosuch.crt', 'nosuch.key')":                           "config:1: error: net.tls: 'nosuch.crt': no such file or directory",
		"net.tls_sticket_secret('short')":                               "config:1: error: net.tls_sticket_secret: a secret of at least 32 octets is needed",
		"net.tls_sticket_secret_file('" + empty + "')":                  "config:1: error: net.tls_sticket_secret_file: '" + empty + "' has 0 octets: a secret of at least 32 octets is needed",
		"net.tls_sticket_secret_file('" + large + "')":                  "",
		"net.tls_sticket_secret_file('nosuch')":                         "config:1: error: net.tls_sticket_secret_file: 'nosuch': no such file or directory",
	} {
		dir := proctest.RunDir(t)
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(proctest.Bin("kresd"), "--check-config", dir).CombinedOutput()
		if (err == nil) != (says == "") || !strings.Contains(string(out), says) {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
		if _, err := os.Stat(filepath.Join(dir, certificate.KeyFile)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the check made a key: %v", line, err)
		}
	}
}

// The first address for TLS may be opened from a console, of whichever worker: the log
// tells by which pin clients know it.
func TestThePinIsToldWhenTLSIsOpenedFromAConsole(t *testing.T) {
	g := proctest.Start(t, withPort(t, 2, hintHere))
	proctest.Eventually(t, 20*time.Second, "both workers are there", func() bool { return len(g.Workers()) == 2 })
	if strings.Contains(g.Log(), "pin-sha256") {
		t.Errorf("a pin is told where nothing is encrypted:\n%s", g.Log())
	}
	for id := range 2 {
		at, before := proctest.FreePort(t), strings.Count(g.Log(), "pin-sha256")
		if got := proctest.Eval(t, g.Worker(t, id).Socket, fmt.Sprintf("net.listen('%s', %d, { tls = true })", at.Addr(), at.Port())); got != "true" {
			t.Fatalf("worker %d: %s", id, got)
		}
		_, err := tls.Dial("tcp", at.String(), &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(c tls.ConnectionState) error {
			if pin := certificate.Pin(c.PeerCertificates[0]); strings.Count(g.Log(), "pin-sha256 '"+pin+"'") != before+1 {
				t.Errorf("worker %d: the log does not tell the pin %s once:\n%s", id, pin, g.Log())
			}
			return nil
		}})
		if err != nil {
			t.Error(err)
		}
	}
}

// A client asks a thousand questions at once by TLS and reads the answers slowly, of
// which some are known and some are not: it gets each once, and others are served as if
// it were not there.
func TestAThousandPipelinedQuestionsByTLSAreAnsweredToASlowReader(t *testing.T) {
	g := startDoT(t, proctest.SmallInternet(t), 1)
	const all = 1000
	conn := newDoTClient().connect(t, g.at)
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
	slow := &dns.Conn{Conn: conn}
	sent := make(chan error, 1)
	go func() {
		for id := range all {
			name := "www.example.com."
			if id%2 == 1 {
				name = fmt.Sprintf("n%d.example.com.", id)
			}
			m := proctest.Query(name, dns.TypeA, 1232)
			m.Id = uint16(id)
			if err := slow.WriteMsg(m); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	answered := make([]bool, all)
	for i := range all {
		m, err := slow.ReadMsg()
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if int(m.Id) >= all || answered[m.Id] || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
			t.Fatalf("answer %d: %v", i, m)
		}
		answered[m.Id] = true
		time.Sleep(2 * time.Millisecond)
		if i%100 == 0 {
			newDoTClient().visit(t, g.at)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// Debian's stubs and forwarders use the resolver with all their checks on.
func TestStubbyAndUnboundForwardByTLS(t *testing.T) {
	g := startDoT(t, proctest.SmallInternet(t), 2)
	for name, config := range map[string]func(at netip.AddrPort) (program string, args []string, text string){
		"stubby": func(at netip.AddrPort) (string, []string, string) {
			return "stubby", []string{"-C"}, fmt.Sprintf(`resolution_type: GETDNS_RESOLUTION_STUB
dns_transport_list: [ GETDNS_TRANSPORT_TLS ]
tls_authentication: GETDNS_AUTHENTICATION_REQUIRED
idle_timeout: 10000
listen_addresses: [ %s@%d ]
upstream_recursive_servers:
  - address_data: %s
    tls_port: %d
    tls_pubkey_pinset:
      - digest: "sha256"
        value: %s
`, at.Addr(), at.Port(), g.at.Addr(), g.at.Port(), g.cert.Pin)
		},
		"unbound": func(at netip.AddrPort) (string, []string, string) {
			return "unbound", []string{"-d", "-p", "-c"}, fmt.Sprintf(`server:
  username: ""
  chroot: ""
  directory: "%s"
  use-syslog: no
  interface: %s@%d
  do-not-query-localhost: no
  module-config: iterator
  tls-cert-bundle: "%s"
forward-zone:
  name: .
  forward-tls-upstream: yes
  forward-addr: %s@%d#%s
`, t.TempDir(), at.Addr(), at.Port(), g.ca.File, g.at.Addr(), g.at.Port(), dotHost)
		},
	} {
		at := proctest.FreePort(t)
		program, args, text := config(at)
		file := filepath.Join(t.TempDir(), "config.yml") // stubby wants the suffix
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, append(args, file)...)
		var out lockedText
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		before := handshakes(t, g.Group)
		var m *dns.Msg
		proctest.Eventually(t, 20*time.Second, name+" answers", func() bool {
			var err error
			m, err = proctest.Exchange("udp", at, proctest.Query("www.example.com.", dns.TypeA, 1232))
			return err == nil && m.Rcode == dns.RcodeSuccess && len(m.Answer) > 0
		})
		for i := range 20 {
			if _, err := proctest.Exchange("udp", at, proctest.Query(fmt.Sprintf("n%d.example.com.", i), dns.TypeA, 1232)); err != nil {
				t.Errorf("%s, question %d: %v\n%s", name, i, err, out.String())
			}
		}
		if slices.Equal(before, handshakes(t, g.Group)) {
			t.Errorf("%s did not ask by TLS", name)
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // it was told to end
	}
}
