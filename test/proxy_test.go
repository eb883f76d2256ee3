package test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// digFrom is what dig shows of the answer about here.example to an address of this
// machine.
func digFrom(from string, at netip.AddrPort, more ...string) string {
	args := append([]string{"-b", from, "@" + at.Addr().String(), "-p", fmt.Sprint(at.Port()), "+time=2", "+tries=1", "+noall", "+comments", "+answer", "here.example"}, more...)
	out, _ := exec.Command("dig", args...).Output()
	switch text := string(out); {
	case strings.Contains(text, "192.0.2.99"):
		return "answer"
	case strings.Contains(text, "status: REFUSED"):
		return "refused"
	case strings.Contains(text, "status: "):
		return text
	}
	return "nothing"
}

// Behind dnsdist a policy sees the client, by each transport that dnsdist asks by; the
// proxy itself is served nothing that it does not put a header in front of.
func TestClientsBehindDnsdist(t *testing.T) {
	front := map[string]netip.AddrPort{"udp": proctest.FreePort(t), "tcp": proctest.FreePort(t), "tls": proctest.FreePort(t)}
	encrypted := proctest.FreePort(t)
	g := proctest.Start(t, withPort(t, 2, fmt.Sprintf(`
		modules.load('hints') hints.set('here.example 192.0.2.99')
		policy.add(function (req)
			if string.find(tostring(req.qsource.addr), '127.0.0.66', 1, true) then return policy.REFUSE end
		end)
		net.listen('127.0.0.1', %d, { tls = true })
	`, encrypted.Port())))
	if got := strings.TrimSpace(g.Eval(t, "map \"#net.proxy_allowed('127.0.0.1')\"")); strings.Count(got, "1") < 2 {
		t.Fatalf("net.proxy_allowed: %q", got)
	}
	for how, at := range front {
		server := map[string]string{"udp": "", "tcp": ", tcpOnly=true", "tls": ", tls='openssl', subjectName='kresd', validateCertificates=false"}[how]
		to := g.Addr
		if how == "tls" {
			to = encrypted
		}
		conf := filepath.Join(proctest.RunDir(t), "dnsdist.conf")
		lua := fmt.Sprintf("addLocal('%s')\nsetACL('127.0.0.0/8')\nnewServer({address='%s', useProxyProtocol=true, checkName='here.example.', mustResolve=true%s})\n", at, to, server)
		if err := os.WriteFile(conf, []byte(lua), 0o600); err != nil {
			t.Fatal(err)
		}
		log := &strings.Builder{}
		cmd := exec.Command("dnsdist", "--supervised", "--disable-syslog", "-C", conf)
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if t.Failed() {
				t.Logf("dnsdist by %s: %s", how, log)
			}
		})
	}
	for how, at := range front {
		proctest.Eventually(t, 20*time.Second, how+": dnsdist answers", func() bool { return digFrom("127.0.0.5", at) == "answer" })
		for from, want := range map[string]string{"127.0.0.5": "answer", "127.0.0.66": "refused"} {
			for _, more := range [][]string{nil, {"+tcp"}} {
				if got := digFrom(from, at, more...); got != want {
					t.Errorf("%s: from %s %v through dnsdist: %s, want %s", how, from, more, got, want)
				}
			}
		}
	}
	for _, more := range [][]string{nil, {"+tcp"}} {
		if got := digFrom("127.0.0.1", g.Addr, more...); got != "nothing" {
			t.Errorf("the proxy without a header %v: %s", more, got)
		}
		if got := digFrom("127.0.0.5", g.Addr, more...); got != "answer" {
			t.Errorf("a client past the proxy %v: %s", more, got)
		}
	}
	if got := g.Eval(t, "map 'worker.limits().proxy_header'"); !strings.ContainsAny(got, "123456789") {
		t.Errorf("counted: %s", got)
	}
	m := proctest.Query("here.example", dns.TypeA, 0)
	if _, err := proctest.Exchange("tcp", g.Addr, m); err == nil {
		t.Error("the proxy is answered by TCP without a header")
	}
}

// What is designated (RFC 9462) to who asks through a proxy is what listens at the
// address that it has used, if that is this machine's.
func TestDesignationsThroughAProxy(t *testing.T) {
	dot := proctest.FreePort(t)
	g := proctest.Start(t, withPort(t, 1, fmt.Sprintf(`
		modules = { ddr = { announce = true } }
		hostname('%s')
		net.listen('0.0.0.0', %d, { tls = true })
	`, dotHost, dot.Port())))
	g.Eval(t, "net.proxy_allowed('127.0.0.5')")
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 5)}, net.UDPAddrFromAddrPort(g.Addr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	question, err := proctest.Query("_dns.resolver.arpa.", dns.TypeSVCB, 1232).Pack()
	if err != nil {
		t.Fatal(err)
	}
	for used, want := range map[string]string{
		"127.0.0.1":  fmt.Sprintf(`1 %s. alpn="dot" port="%d" ipv4hint="127.0.0.1"`, dotHost, dot.Port()),
		"192.0.2.53": "",
	} {
		header := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x12\x00\x0c"), 198, 51, 100, 7) // from where
		header = append(append(header, netip.MustParseAddr(used).AsSlice()...), 0x30, 0x39, 0, 53)
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Write(append(header, question...)); err != nil {
			t.Fatal(err)
		}
		answer, m := make([]byte, 4096), new(dns.Msg)
		n, err := c.Read(answer)
		if err == nil {
			err = m.Unpack(answer[:n])
		}
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, rr := range m.Answer {
			got += strings.TrimPrefix(rr.String(), rr.Header().String())
		}
		if got != want || m.Rcode != dns.RcodeSuccess {
			t.Errorf("through a proxy at %s: %s, want %s", used, got, want)
		}
	}
}
