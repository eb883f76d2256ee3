package test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// A tlsServer starts another program's server of DNS over TLS and over HTTPS, which
// answers all questions below example. with one address.
type tlsServer struct {
	name, path string
	conf       string // with @IP@, @PORT@, @HTTPS@, @CERT@, @KEY@ and @FREE@, a port for what else it listens on
	args       []string
}

const toldByTLS = "192.0.2.77"

func tlsServers() []tlsServer {
	return []tlsServer{
		{"Unbound", "/usr/sbin/unbound", `server:
  directory: "@DIR@"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: @IP@@@PORT@
  interface: @IP@@@HTTPS@
  tls-port: @PORT@
  https-port: @HTTPS@
  incoming-num-tcp: 100 # of 10 connections it gives each 200 ms, once a few are taken
  tls-service-pem: "@CERT@"
  tls-service-key: "@KEY@"
  local-zone: "example." redirect
  local-data: "example. 300 A ` + toldByTLS + `"
remote-control:
  control-enable: no
`, []string{"-d", "-c"}},
		{"Knot Resolver", "/usr/sbin/kresd", `net.listen('@IP@', @PORT@, { kind = 'tls' })
net.listen('@IP@', @HTTPS@, { kind = 'doh2' })
net.tls('@CERT@', '@KEY@')
cache.size = 10 * MB
modules.unload('priming')
modules.unload('detect_time_skew')
trust_anchors.remove('.')
policy.add(policy.suffix(policy.ANSWER({ [kres.type.A] = { rdata = kres.str2ip('` + toldByTLS + `'), ttl = 300 } }), { todname('example.') }))
`, []string{"-n", "-c"}},
		{"dnsdist", "/usr/bin/dnsdist", `setLocal('@IP@:@FREE@')
addTLSLocal('@IP@:@PORT@', '@CERT@', '@KEY@')
addDOHLocal('@IP@:@HTTPS@', '@CERT@', '@KEY@', '/dns-query')
setSecurityPollSuffix('')
setMaxTCPQueriesPerConnection(1)
addAction(makeRule('silent.example.'), DropAction())
addAction(AllRule(), SpoofAction('` + toldByTLS + `'))
`, []string{"--supervised", "--disable-syslog", "-C"}},
	}
}

// start runs the server with a certificate until the end of the test.
func (p *tlsServer) start(t *testing.T, cert *proctest.Certificate) (at, https netip.AddrPort) {
	t.Helper()
	dir := proctest.RunDir(t)
	at, https = proctest.FreePort(t), proctest.FreePort(t)
	text := strings.NewReplacer("@IP@", at.Addr().String(), "@PORT@", fmt.Sprint(at.Port()), "@HTTPS@", fmt.Sprint(https.Port()), "@FREE@", fmt.Sprint(proctest.FreePort(t).Port()),
		"@CERT@", cert.CertFile, "@KEY@", cert.KeyFile, "@DIR@", dir).Replace(p.conf)
	conf := filepath.Join(dir, "its.conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(append([]string{}, p.args...), conf)
	if p.name == "Knot Resolver" {
		args = append(args, dir)
	}
	background(t, p.path, args...)
	for _, at := range []netip.AddrPort{at, https} {
		proctest.Eventually(t, time.Minute, p.name+" shakes hands", func() bool {
			c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", at.String(), &tls.Config{InsecureSkipVerify: true})
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	}
	return at, https
}

// A relay stands before a server and sees what is sent to it: all connections have to
// begin with a handshake of TLS, and nothing may come by UDP.
type relay struct {
	at       netip.AddrPort
	conns    atomic.Int32
	inClear  atomic.Int32 // connections and datagrams that were no TLS
	delay    time.Duration
	udp      net.PacketConn
	tcp      net.Listener
	server   netip.AddrPort
	mu       sync.Mutex
	open     []net.Conn
	finished sync.WaitGroup
}

func relayTo(t *testing.T, server netip.AddrPort, delay time.Duration) *relay {
	t.Helper()
	r := &relay{at: proctest.FreePort(t), delay: delay, server: server}
	var err error
	if r.udp, err = net.ListenPacket("udp", r.at.String()); err != nil {
		t.Fatal(err)
	}
	if r.tcp, err = net.Listen("tcp", r.at.String()); err != nil {
		t.Fatal(err)
	}
	r.finished.Go(r.datagrams)
	r.finished.Go(r.connections)
	t.Cleanup(r.close)
	return r
}

func (r *relay) close() {
	r.udp.Close()
	r.tcp.Close()
	r.mu.Lock()
	for _, c := range r.open {
		c.Close()
	}
	r.mu.Unlock()
	r.finished.Wait()
}

func (r *relay) datagrams() {
	for {
		if _, _, err := r.udp.ReadFrom(make([]byte, 512)); err != nil {
			return
		}
		r.inClear.Add(1)
	}
}

func (r *relay) connections() {
	for {
		client, err := r.tcp.Accept()
		if err != nil {
			return
		}
		r.conns.Add(1)
		server, err := net.Dial("tcp", r.server.String())
		if err != nil {
			client.Close()
			continue
		}
		r.mu.Lock()
		r.open = append(r.open, client, server)
		r.mu.Unlock()
		first := true
		r.finished.Go(func() {
			r.carry(server, client, func(b []byte) {
				const handshake = 22 // RFC 8446, section 5.1
				if first && b[0] != handshake {
					r.inClear.Add(1)
				}
				first = false
			})
		})
		r.finished.Go(func() { r.carry(client, server, func([]byte) {}) })
	}
}

// carry brings octets from one end to the other, as late as the relay is.
func (r *relay) carry(to, from net.Conn, see func([]byte)) {
	defer to.Close()
	type parcel struct {
		octets []byte
		due    time.Time
	}
	parcels := make(chan parcel, 1024)
	r.finished.Go(func() {
		for p := range parcels {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.octets); err != nil {
				from.Close()
			}
		}
		to.Close()
	})
	defer close(parcels)
	for {
		b := make([]byte, 16<<10)
		n, err := from.Read(b)
		if n > 0 {
			see(b[:n])
			parcels <- parcel{b[:n], time.Now().Add(r.delay)}
		}
		if err != nil {
			if err != io.EOF {
				from.Close()
			}
			return
		}
	}
}

// Questions are forwarded by TLS and HTTPS to other programs' servers: where they prove who they
// are there is an answer, and else an error that says what they showed. None of them is
// ever asked in the clear.
func TestForwardingByTLS(t *testing.T) {
	ca := proctest.NewCertificateAuthority(t)
	const host = "dns.test"
	good := ca.Issue(t, time.Now().Add(24*time.Hour), host)
	ended := ca.Issue(t, time.Now().Add(-30*time.Hour), host)
	self := (*proctest.CertificateAuthority)(nil).Issue(t, time.Now().Add(24*time.Hour), host)
	otherPin := self.Pin
	for _, p := range tlsServers() {
		t.Run(p.name, func(t *testing.T) {
			if _, err := exec.LookPath(p.path); err != nil {
				t.Logf("NOT RUN: %s is not installed (%s)", p.name, p.path)
				return
			}
			servers, https := map[*proctest.Certificate]netip.AddrPort{}, map[*proctest.Certificate]netip.AddrPort{}
			for _, cert := range []*proctest.Certificate{good, ended, self} {
				servers[cert], https[cert] = p.start(t, cert)
			}
			byName := fmt.Sprintf("hostname = '%s', ca_file = '%s'", host, ca.File)
			cases := map[string]struct {
				cert  *proctest.Certificate
				proof string
				delay time.Duration
				why   string // nothing: there is an answer
				https bool
			}{
				"hname":      {cert: good, proof: "ca_file = '" + ca.File + "'", https: true},
				"hpin":       {cert: self, proof: "pin_sha256 = '" + self.Pin + "'", https: true},
				"hfar":       {cert: good, proof: "ca_file = '" + ca.File + "'", delay: 100 * time.Millisecond, https: true},
				"hwrongpin":  {cert: good, proof: "pin_sha256 = '" + otherPin + "'", why: "the pin of its key is '" + good.Pin + "'", https: true},
				"hwrongname": {cert: good, proof: "hostname = 'www.test', ca_file = '" + ca.File + "'", why: "and not for www.test", https: true},
				"hended":     {cert: ended, proof: "ca_file = '" + ca.File + "'", why: "its certificate has ended on ", https: true},
				"pin":        {cert: good, proof: "pin_sha256 = '" + good.Pin + "'"},
				"pins":       {cert: good, proof: "pin_sha256 = { '" + otherPin + "', '" + good.Pin + "' }"},
				"name":       {cert: good, proof: byName},
				"anybody":    {cert: self, proof: "insecure = true"},
				"far":        {cert: good, proof: byName, delay: 100 * time.Millisecond},
				"endedpin":   {cert: ended, proof: "pin_sha256 = '" + ended.Pin + "'"},
				"wrongpin":   {cert: good, proof: "pin_sha256 = '" + otherPin + "'", why: "the pin of its key is '" + good.Pin + "', not '" + otherPin + "'"},
				"wrongname":  {cert: good, proof: "hostname = 'www.test', ca_file = '" + ca.File + "'", why: `its certificate is for "dns.test", and not for www.test`},
				"ended":      {cert: ended, proof: byName, why: "its certificate has ended on "},
				"self":       {cert: self, proof: byName, why: "its certificate is signed by itself"},
				"systemtold": {cert: good, proof: "hostname = '" + host + "'", why: "authorit"},
			}
			relays := map[string]*relay{}
			lines := []string{"modules.load('stats')"}
			for what, c := range cases {
				if c.https {
					relays[what] = relayTo(t, https[c.cert], c.delay)
					lines = append(lines, fmt.Sprintf("policy.add(policy.suffix(policy.FORWARD({ 'https://%s:%d/dns-query', address = '%s', %s }), { todname('%s.example.') }))",
						host, relays[what].at.Port(), relays[what].at.Addr(), c.proof, what))
					continue
				}
				relays[what] = relayTo(t, servers[c.cert], c.delay)
				lines = append(lines, fmt.Sprintf("policy.add(policy.suffix(policy.TLS_FORWARD({ { '%s@%d', %s } }), { todname('%s.example.') }))",
					relays[what].at.Addr(), relays[what].at.Port(), c.proof, what))
			}
			began := time.Now()
			g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1, lines...))
			var wg sync.WaitGroup
			for what, c := range cases {
				wg.Go(func() {
					for i := 0; i < 4 && toldByTLSServer(t, g, fmt.Sprintf("%s%d.%s.example.", what, i, what), c.why); i++ {
					}
				})
			}
			wg.Wait()
			for what, r := range relays {
				if n := r.inClear.Load(); n > 0 || r.conns.Load() == 0 {
					t.Errorf("%s: %d connections, %d times something in the clear", what, r.conns.Load(), n)
				}
			}
			n := 0 // it is asked once a second, to see whether it has changed
			trace := func(name string) string {
				n++
				return g.Eval(t, fmt.Sprintf("trace('trace%d.%s.example.', kres.type.A)", n, name))
			}
			proctest.Eventually(t, time.Minute, "trace tells of the wrong pin", func() bool {
				return strings.Contains(trace("wrongpin"), "by DNS over TLS, which is not asked: "+cases["wrongpin"].why)
			})
			proctest.Eventually(t, time.Minute, "trace tells of the right pin", func() bool {
				return strings.Contains(trace("pin"), "asked by DNS over TLS")
			})
			if got := g.Eval(t, "local s = worker.stats() return tostring(s.tls > 20 and s.https > 10 and s.out_handshakes > 5 and s.out_refused > 4)"); !strings.Contains(got, "true") {
				t.Errorf("worker.stats() is %s", g.Eval(t, "worker.stats()"))
			}
			said := fmt.Sprintf("[system] %s@%d is not the server that was meant: %s", relays["wrongpin"].at.Addr(), relays["wrongpin"].at.Port(), cases["wrongpin"].why)
			most := 1 + int(time.Since(began)/time.Minute) // it is told once a minute
			if n := strings.Count(g.Log(), said); n < 1 || n > most {
				t.Errorf("the log names the wrong pin %d times, not once a minute:\n%s", n, g.Log())
			}
		})
	}
}

// extendedText is what an answer tells in words.
func extendedText(r *dns.Msg) (text string) {
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				text = e.ExtraText
			}
		}
	}
	return text
}

// toldByTLSServer asks, and wants the answer, or an error whose text has why. It asks again
// where neither comes, as clients do: on a busy machine the server, or the resolver, may not
// come to its part of a handshake in time. What must not be said is wrong at once.
func toldByTLSServer(t *testing.T, g *proctest.Group, name, why string) (told bool) {
	t.Helper()
	said := ""
	for try, end := 0, time.Now().Add(time.Minute); try == 0 || time.Now().Before(end); try++ {
		// A failure is remembered for a while, so that it is another name each time.
		r, err := proctest.Exchange("udp", g.Addr, proctest.Query(fmt.Sprintf("try%d.%s", try, name), dns.TypeA, 1232))
		if err != nil {
			said = err.Error()
			continue
		}
		text := extendedText(r)
		said = fmt.Sprintf("%s, %q, %v", dns.RcodeToString[r.Rcode], text, r.Answer)
		switch {
		case why != "" && r.Rcode == dns.RcodeServerFailure && strings.Contains(text, why):
			return true
		case why == "" && r.Rcode == dns.RcodeSuccess && len(r.Answer) == 1 && strings.HasSuffix(r.Answer[0].String(), toldByTLS):
			return true
		case r.Rcode != dns.RcodeServerFailure:
			t.Errorf("%s: %s; want %q", name, said, why)
			return false
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Errorf("%s: after a minute still %s; want %q", name, said, why)
	return false
}

// Of several servers the one that answers is asked, whatever the others do: never answer,
// close after each answer, are not who they should be, or are far.
func TestForwardingByTLSFailsOver(t *testing.T) {
	dnsdist := tlsServers()[2]
	if _, err := exec.LookPath(dnsdist.path); err != nil {
		t.Logf("NOT RUN: %s is not installed (%s)", dnsdist.name, dnsdist.path)
		return
	}
	ca := proctest.NewCertificateAuthority(t)
	cert := ca.Issue(t, time.Now().Add(24*time.Hour), "dns.test")
	server, _ := dnsdist.start(t, cert)
	near, far := relayTo(t, server, 0), relayTo(t, server, 200*time.Millisecond)
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	at := func(a netip.AddrPort, pin string) string {
		return fmt.Sprintf("{ '%s@%d', pin_sha256 = '%s' }", a.Addr(), a.Port(), pin)
	}
	muteAt := at(mute.Addr().(*net.TCPAddr).AddrPort(), cert.Pin)
	wrong := "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	stranger := relayTo(t, server, 0)
	c := proctest.On(t, proctest.SmallInternet(t), 1,
		fmt.Sprintf("policy.add(policy.suffix(policy.TLS_FORWARD({ { '%s@%d', hostname = 'dns.test' } }), { todname('system.example.') }))", near.at.Addr(), near.at.Port()),
		fmt.Sprintf("policy.add(policy.suffix(policy.TLS_FORWARD({ %s, %s, %s, %s }), { todname('some.example.') }))", muteAt, at(far.at, cert.Pin), at(stranger.at, wrong), at(near.at, cert.Pin)),
		fmt.Sprintf("policy.add(policy.suffix(policy.TLS_FORWARD({ %s }), { todname('mute.example.') }))", muteAt),
		fmt.Sprintf("policy.add(policy.suffix(policy.TLS_FORWARD({ %s }), { todname('silent.example.') }))", at(near.at, cert.Pin)),
	)
	c.Env = append(c.Env, "SSL_CERT_FILE="+ca.File) // whom the system trusts
	g := proctest.Start(t, c)
	for i := range 20 {
		toldByTLSServer(t, g, fmt.Sprintf("a%d.some.example.", i), "")
	}
	toldByTLSServer(t, g, "a.system.example.", "")
	toldByTLSServer(t, g, "a.mute.example.", "no forwarder answer")
	toldByTLSServer(t, g, "silent.example.", "no forwarder")
	for what, r := range map[string]*relay{"near": near, "far": far, "stranger": stranger} {
		if n := r.inClear.Load(); n > 0 {
			t.Errorf("%s: %d times something in the clear", what, n)
		}
	}
	if far.conns.Load() > near.conns.Load() {
		t.Errorf("the far server has %d connections, the near one %d", far.conns.Load(), near.conns.Load())
	}
}

// A file of authorities is read again when it changes, by all workers and without a
// reload; a broken one leaves in force what was there, and the log and a reload say so.
func TestAuthoritiesAreReadAgainWhileForwarding(t *testing.T) {
	ca, other := proctest.NewCertificateAuthority(t), proctest.NewCertificateAuthority(t)
	server := scriptTLS(t, ca.Issue(t, time.Now().Add(24*time.Hour), "dns.test"), answerAll)
	file := filepath.Join(t.TempDir(), "ca.pem")
	become := func(from string) {
		t.Helper()
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(file+".new", text, 0o644)
		}
		if err == nil {
			err = os.Rename(file+".new", file)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	become(ca.File)
	for _, workers := range []int{1, 2} {
		become(ca.File)
		g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), workers, fmt.Sprintf(
			"policy.add(policy.suffix(policy.TLS_FORWARD({ { '%s@%d', hostname = 'dns.test', ca_file = '%s' } }), { todname('example.') }))", server.Addr(), server.Port(), file)))
		n := 0
		ask := func() bool {
			n++
			r, err := proctest.Exchange("udp", g.Addr, proctest.Query(fmt.Sprintf("a%d.example.", n), dns.TypeA, 1232))
			return err == nil && r.Rcode == dns.RcodeSuccess && len(r.Answer) == 1
		}
		all := func(want bool) func() bool {
			return func() bool {
				for range 8 { // whichever worker has them
					if ask() != want {
						return false
					}
				}
				return true
			}
		}
		proctest.Eventually(t, time.Minute, "the server is believed", all(true))
		if err := os.WriteFile(file, []byte("nothing"), 0o644); err != nil {
			t.Fatal(err)
		}
		proctest.Eventually(t, time.Minute, "the log tells of the broken file", func() bool {
			return strings.Contains(g.Log(), "the authorities that were read before stay in use: ca_file '"+file+"' has no certificate in PEM")
		})
		if !all(true)() {
			t.Error("a broken file has ended the old one's use")
		}
		g.Signal(syscall.SIGHUP)
		proctest.Eventually(t, time.Minute, "the reload fails", func() bool {
			return strings.Contains(g.Log(), "config:7: error: policy.TLS_FORWARD: address 1: ca_file '"+file+"' has no certificate in PEM")
		})
		if !all(true)() {
			t.Error("a reload that failed has ended the old one's use")
		}
		become(other.File)
		proctest.Eventually(t, time.Minute, "the server is no longer believed", all(false))
		become(ca.File)
		proctest.Eventually(t, time.Minute, "the server is believed again", all(true))
	}
}
