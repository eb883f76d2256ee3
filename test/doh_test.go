package test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// A dohGroup is a group that is asked by HTTPS, with a certificate, and by HTTP.
type dohGroup struct {
	*proctest.Group
	at, clear netip.AddrPort
	ca        *proctest.CertificateAuthority
}

func startDoH(t *testing.T, n *authority.Internet, workers int, extra ...string) *dohGroup {
	t.Helper()
	g := &dohGroup{at: proctest.FreePort(t), clear: proctest.FreePort(t), ca: proctest.NewCertificateAuthority(t)}
	cert := g.ca.Issue(t, time.Now().Add(time.Hour), dotHost)
	g.Group = proctest.Start(t, proctest.On(t, n, workers, append(extra,
		fmt.Sprintf("net.listen('%s', %d, { kind = 'doh2' })", g.at.Addr(), g.at.Port()),
		fmt.Sprintf("net.listen('%s', %d, { kind = 'doh2', tls = false })", g.clear.Addr(), g.clear.Port()),
		fmt.Sprintf("net.tls('%s', '%s')", cert.CertFile, cert.KeyFile))...))
	return g
}

// browser is a client that keeps one connection by HTTP/2.
func (g *dohGroup) browser(t *testing.T) *http.Client {
	tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxConnsPerHost: 1}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

func (g *dohGroup) url() string { return "https://" + g.at.String() + "/dns-query" }

// byHTTP asks a question by a client of HTTP.
func byHTTP(c *http.Client, url, name string, qtype uint16) (*dns.Msg, *http.Response, error) {
	wire, err := proctest.Query(name, qtype, 1232).Pack()
	if err != nil {
		return nil, nil, err
	}
	resp, err := c.Get(url + "?dns=" + base64.RawURLEncoding.EncodeToString(wire))
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	if err != nil {
		return nil, resp, err
	}
	m := new(dns.Msg)
	return m, resp, m.Unpack(body)
}

func TestKdigAsksByHTTPS(t *testing.T) {
	g := startDoH(t, proctest.SmallInternet(t), 1, "modules = { 'stats' }", "verbose(true)")
	kdigs(t, g.at, "HTTP session (HTTP/2-", map[string]kdigCase{
		"GET":                   {[]string{"+https-get"}, true},
		"POST":                  {[]string{"+https"}, true},
		"authority and name":    {[]string{"+https", "+tls-ca=" + g.ca.File, "+tls-hostname=" + dotHost}, true},
		"another name":          {[]string{"+https", "+tls-ca=" + g.ca.File, "+tls-hostname=other.example"}, false},
		"the other path":        {[]string{"+https=/doh"}, true},
		"no such path":          {[]string{"+https=/other"}, false},
		"an answer of any size": {[]string{"+https", "big.example.com", "TXT"}, true},
	})
	if got := g.Eval(t, "stats.get('request.doh4') >= 5 and stats.get('request.tcp4') == 0"); got != "true" {
		t.Errorf("requests by HTTPS are counted wrong: %s", g.Eval(t, "stats.list('request.')"))
	}
	if got := g.Eval(t, "worker.stats().http_requests >= 6 and worker.stats().http_bad >= 1"); got != "true" {
		t.Errorf("requests: %s", g.Eval(t, "worker.stats()"))
	}
	if !strings.Contains(g.Log(), " by HTTPS") {
		t.Error("the verbose log does not name the transport")
	}
}

// curl finds the address of a web server by DNS over HTTPS, and shows what caches see.
func TestCurlAsksByHTTPS(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here I am") }))
	defer web.Close()
	_, port, _ := net.SplitHostPort(web.Listener.Addr().String())
	g := startDoH(t, proctest.SmallInternet(t), 1, "hints.set('web.example.com 127.0.0.1')", "hints.use_nodata(true)")
	if got := ranFor("curl", "-sS", "--doh-url", g.url(), "--doh-insecure", "http://web.example.com:"+port+"/"); got != "here I am" {
		t.Errorf("curl --doh-url: %q", got)
	}
	wire, err := proctest.Query("www.example.com.", dns.TypeA, 0).Pack()
	if err != nil {
		t.Fatal(err)
	}
	query := "?dns=" + base64.RawURLEncoding.EncodeToString(wire)
	for _, tc := range []struct {
		version string
		args    []string
	}{
		{"2", []string{"--cacert", g.ca.File, "--connect-to", dotHost + "::" + g.at.String(), "https://" + dotHost + "/dns-query" + query}},
		{"1.1", []string{"-k", "--http1.1", g.url() + query}},
		{"2", []string{"--http2-prior-knowledge", "http://" + g.clear.String() + "/dns-query" + query}},
		{"1.1", []string{"http://" + g.clear.String() + "/dns-query" + query}},
	} {
		args := append([]string{"-sS", "-o", "/dev/null", "-D", "-", "-w", "%{http_version} %{http_code} %{size_download}"}, tc.args...)
		got := strings.ToLower(ranFor("curl", args...))
		if !strings.Contains(got, "content-type: application/dns-message") || !strings.Contains(got, "cache-control: max-age=") || strings.Contains(got, "max-age=0") || !strings.Contains(got, tc.version+" 200 ") {
			t.Errorf("curl %q:\n%s", tc.args, got)
		}
	}
	for status, args := range map[string][]string{
		"404": {g.url() + "s" + query}, "405": {"-X", "DELETE", g.url() + query}, "400": {g.url() + "?dns=x!"}, "415": {"-d", "x=y", g.url()},
		"414": {g.url() + "?dns=" + strings.Repeat("A", 700)}, "431": {"-H", "X: " + strings.Repeat("x", 20000), "--http1.1", g.url() + query},
	} {
		if got := ranFor("curl", append([]string{"-sSk", "-o", "/dev/null", "-w", "%{http_code}"}, args...)...); got != status {
			t.Errorf("curl %.100q: %s, want %s", args, got, status)
		}
	}
}

// A browser has many questions at once on one connection, and reads what caches do.
func TestABrowserAsksByHTTP2(t *testing.T) {
	g := startDoH(t, proctest.SmallInternet(t), 1)
	c := g.browser(t)
	var wg sync.WaitGroup
	for i := range 300 {
		name, qtype := "www.example.com.", dns.TypeA
		if i%3 == 0 {
			name = fmt.Sprintf("nothing%d.example.com.", i)
		}
		wg.Go(func() {
			m, resp, err := byHTTP(c, g.url(), name, qtype)
			switch {
			case err != nil:
				t.Errorf("%s: %v", name, err)
			case resp.ProtoMajor != 2 || (m.Rcode == dns.RcodeSuccess) != (name == "www.example.com."):
				t.Errorf("%s: %s, %v", name, resp.Proto, m)
			case m.Rcode == dns.RcodeSuccess && resp.Header.Get("Cache-Control") != fmt.Sprintf("max-age=%d", m.Answer[0].Header().Ttl):
				t.Errorf("%s: %s, and the TTL is %d", name, resp.Header.Get("Cache-Control"), m.Answer[0].Header().Ttl)
			case resp.ContentLength%468 != 0:
				t.Errorf("%s: %d octets are not padded", name, resp.ContentLength)
			}
		})
	}
	wg.Wait()
	if got := g.Eval(t, "net.list()['127.0.0.1'].more[1].doh2 or net.list()['127.0.0.1'].doh2"); got != "true" {
		t.Errorf("net.list() shows no HTTPS: %s", g.Eval(t, "net.list()"))
	}
}

// Scripts see the headers that the operator names, and by which way a question came.
func TestScriptsSeeHeadersOfHTTP(t *testing.T) {
	g := startDoH(t, proctest.SmallInternet(t), 1, "net.doh_headers({ ':path', 'User-Agent' })", "net.doh_paths('/mine')", `
		seen = {}
		policy.add(policy.all(function (state, req)
			local from = req.qsource
			if not from.flags.http then return end
			for i = 0, tonumber(from.headers.len) - 1 do
				table.insert(seen, from.headers.at[i].name .. '=' .. require('ffi').string(from.headers.at[i].value))
			end
			table.insert(seen, tostring(from.flags.tls))
		end))`)
	wire, err := proctest.Query("www.example.com.", dns.TypeA, 0).Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"https://" + g.at.String(), "http://" + g.clear.String()} {
		req, err := http.NewRequestWithContext(context.Background(), "POST", url+"/mine?a", bytes.NewReader(wire))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Content-Type": {"application/dns-message"}, "User-Agent": {"me"}, "Cookie": {"secret"}}
		resp, err := g.browser(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatalf("%s: %s", url, resp.Status)
		}
	}
	if got, want := g.Eval(t, "table.concat(seen, ' ')"), ":path=/mine?a user-agent=me true :path=/mine?a user-agent=me false"; got != want {
		t.Errorf("scripts see %s, want %s", got, want)
	}
}

// A proxy in front may come by a UNIX socket.
func TestHTTPOnAUNIXSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doh")
	g := startDoH(t, proctest.SmallInternet(t), 1, fmt.Sprintf("net.listen('%s', 53, { kind = 'http' })", path))
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	defer tr.CloseIdleConnections()
	if m, _, err := byHTTP(&http.Client{Transport: tr, Timeout: 20 * time.Second}, "http://proxy/dns-query", "www.example.com.", dns.TypeA); err != nil || len(m.Answer) == 0 {
		t.Errorf("%v, %v\n%s", m, err, g.Log())
	}
}

// A worker that is replaced tells its clients, and no question is lost.
func TestHTTPClientsLiveThroughARollingRestart(t *testing.T) {
	g := startDoH(t, proctest.SmallInternet(t), 2)
	c := g.browser(t)
	c.Transport.(*http.Transport).MaxConnsPerHost = 0
	stop, failed := make(chan struct{}), make(chan error, 1)
	var wg sync.WaitGroup
	asked := make([]int, 4)
	for i := range asked {
		wg.Go(func() {
			for !done(stop) {
				if _, _, err := byHTTP(c, g.url(), "www.example.com.", dns.TypeA); err != nil {
					select {
					case failed <- err:
					default:
					}
					return
				}
				asked[i]++
			}
		})
	}
	before := g.Workers()
	g.Eval(t, "map 'worker.id'")
	g.Signal(syscall.SIGHUP)
	proctest.Eventually(t, time.Minute, "the workers are replaced", func() bool {
		now := g.Workers()
		return len(now) == 2 && now[0].PID != before[0].PID && now[1].PID != before[1].PID
	})
	close(stop)
	wg.Wait()
	select {
	case err := <-failed:
		t.Errorf("after %v questions: %v\n%s", asked, err, g.Log())
	default:
	}
}

// done tells whether a channel is closed.
func done(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// What clients are told of encrypted transports is what is listened on (RFC 9462).
func TestDesignationsFollowWhatIsListenedOn(t *testing.T) {
	g := startDoH(t, proctest.SmallInternet(t), 1, "hostname('"+dotHost+"')")
	told := func() string {
		var list []string
		for _, rr := range g.Ask(t, "udp", "_dns.resolver.arpa.", dns.TypeSVCB, 1232).Answer {
			list = append(list, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
		return strings.Join(list, " | ")
	}
	https := fmt.Sprintf(`2 %s. alpn="h2" port="%d" ipv4hint="127.0.0.1" dohpath="/dns-query{?dns}"`, dotHost, g.at.Port())
	if got := told(); got != https {
		t.Errorf("HTTPS: %s, want %s", got, https)
	}
	port := proctest.FreePort(t).Port()
	g.Eval(t, fmt.Sprintf("net.listen('127.0.0.1', %d, { tls = true })", port))
	dot := fmt.Sprintf(`1 %s. alpn="dot" port="%d" ipv4hint="127.0.0.1" | `, dotHost, port)
	proctest.Eventually(t, 20*time.Second, "TLS is told", func() bool { return told() == dot+https })
	g.Eval(t, "ddr.announce = false")
	if got := told(); got != "" {
		t.Errorf("with announce = false: %s", got)
	}
	for _, name := range []string{"resolver.arpa.", dotHost + "."} {
		m := g.Ask(t, "udp", name, dns.TypeRESINFO, 1232)
		if len(m.Answer) != 1 || !m.Authoritative || !strings.Contains(m.Answer[0].String(), "qnamemin") {
			t.Errorf("RESINFO at %s: %v", name, m)
		}
	}
	if m := g.Ask(t, "udp", "other.resolver.arpa.", dns.TypeA, 1232); m.Rcode != dns.RcodeNameError || !m.Authoritative {
		t.Errorf("the rest of the zone: %v", m)
	}
	g.Eval(t, "policy.add(policy.suffix(policy.DENY_MSG('mine'), { todname('resolver.arpa') }))")
	if m := g.Ask(t, "udp", "_dns.resolver.arpa.", dns.TypeSVCB, 1232); m.Rcode != dns.RcodeNameError {
		t.Errorf("a rule of the operator's: %v", m)
	}
}
