package test

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/doh"
	"kresd/internal/proctest"
)

// encryptedEnv is how many rounds make bench-encrypted wants; without it nothing is measured,
// and that all who are measured answer is tried in one short round.
const encryptedEnv = "KRESD_BENCH_ENCRYPTED"

// The names that are asked for, all cached, and the clients.
const (
	encryptedNames    = 200
	encryptedConns    = 20
	encryptedInFlight = 200
)

// A terminal is a server of an encrypted transport that is measured.
type terminal struct {
	name string
	pid  int
	ask  func(t *testing.T, length time.Duration) (answered uint64)
	cost []float64 // microseconds of processor time an answer, of each round
	rate []float64 // answers a second
}

// TestEncryptedBesidePeers measures, in turns, what an answer by HTTPS costs ours, dnsdist and
// Unbound in processor time, and one by QUIC ours: Debian's builds of the others speak no QUIC.
// All have the answers in their caches, and the same client.
func TestEncryptedBesidePeers(t *testing.T) {
	for _, name := range []string{"dnsdist", "/usr/sbin/unbound"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("not run: %v (scripts/testdeps.sh installs it)", err)
		}
	}
	rounds, _ := strconv.Atoi(os.Getenv(encryptedEnv))
	length := 5 * time.Second
	if rounds == 0 {
		rounds, length = 1, time.Second
	}
	all := terminals(t)
	for _, c := range all {
		c.ask(t, time.Second) // warm
	}
	for round := range rounds {
		for i := range all {
			c := all[(i+round)%len(all)]
			before := processorOf(t, c.pid)
			n := c.ask(t, length)
			used := processorOf(t, c.pid) - before
			if n == 0 {
				t.Fatalf("%s answers nothing", c.name)
			}
			c.cost = append(c.cost, float64(used.Microseconds())/float64(n))
			c.rate = append(c.rate, float64(n)/length.Seconds())
		}
	}
	ours, best := middle(all[0].cost), 0.0
	for _, c := range all {
		t.Logf("%-22s %6.1f us of processor an answer (%.1f to %.1f), %6.0f answers a second", c.name, middle(c.cost), slices.Min(c.cost), slices.Max(c.cost), middle(c.rate))
		if !strings.HasPrefix(c.name, "kresd") && (best == 0 || middle(c.cost) < best) {
			best = middle(c.cost)
		}
	}
	t.Logf("HTTPS: ours costs %.2f of the best peer", ours/best)
}

func middle(list []float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// terminals starts all that are measured, ours by HTTPS first, before one resolver.
func terminals(t *testing.T) []*terminal {
	cert := proctest.NewCertificateAuthority(t).Issue(t, time.Now().Add(24*time.Hour), "localhost", "127.0.0.1")
	n := proctest.SmallInternet(t)
	behind := proctest.Start(t, proctest.On(t, n, 1)).Addr
	https, quic := proctest.FreePort(t), proctest.FreePort(t)
	ours := proctest.Start(t, withPort(t, 1, fmt.Sprintf(`trust_anchors.remove('.')
net.tls('%s', '%s') net.listen('127.0.0.1', %d, { kind = 'doh2' }) net.listen('127.0.0.1', %d, { kind = 'doq' })
policy.add(policy.all(policy.FORWARD('%s@%d')))`, cert.CertFile, cert.KeyFile, https.Port(), quic.Port(), behind.Addr(), behind.Port())))
	pid := ours.Workers()[0].PID
	return []*terminal{
		{name: "kresd, HTTPS", pid: pid, ask: byHTTPS(https, http.MethodGet)},
		{name: "kresd, HTTPS, POST", pid: pid, ask: byHTTPS(https, http.MethodPost)},
		{name: "kresd, QUIC", pid: pid, ask: byQUIC(quic)},
		dnsdistHTTPS(t, cert, behind),
		unboundHTTPS(t, cert, behind),
	}
}

func dnsdistHTTPS(t *testing.T, cert *proctest.Certificate, behind netip.AddrPort) *terminal {
	at, https := proctest.FreePort(t), proctest.FreePort(t)
	pid := daemon(t, at, fmt.Sprintf(`setLocal('%s')
addDOHLocal('%s', '%s', '%s', '/dns-query')
newServer('%s')
getPool(''):setCache(newPacketCache(100000))
setSecurityPollSuffix('')
`, at, https, cert.CertFile, cert.KeyFile, behind), "dnsdist", "--supervised", "--disable-syslog", "-C")
	return &terminal{name: "dnsdist, HTTPS", pid: pid, ask: byHTTPS(https, http.MethodGet)}
}

func unboundHTTPS(t *testing.T, cert *proctest.Certificate, behind netip.AddrPort) *terminal {
	at, https := proctest.FreePort(t), proctest.FreePort(t)
	pid := daemon(t, at, fmt.Sprintf(`server:
 interface: %s@%d
 interface: %s@%d
 https-port: %[4]d
 tls-service-pem: "%[5]s"
 tls-service-key: "%[6]s"
 module-config: "iterator"
 do-not-query-localhost: no
 directory: "."
 chroot: ""
 username: ""
 pidfile: ""
 use-syslog: no
remote-control:
 control-enable: no
forward-zone:
 name: "."
 forward-addr: %[7]s@%[8]d
`, at.Addr(), at.Port(), https.Addr(), https.Port(), cert.CertFile, cert.KeyFile, behind.Addr(), behind.Port()), "/usr/sbin/unbound", "-d", "-c")
	return &terminal{name: "unbound, HTTPS", pid: pid, ask: byHTTPS(https, http.MethodGet)}
}

// daemon starts a program with a configuration, whose name follows its arguments, and waits
// until it answers by UDP.
func daemon(t *testing.T, at netip.AddrPort, conf, program string, args ...string) (pid int) {
	t.Helper()
	dir := proctest.RunDir(t)
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cmd := exec.Command(program, append(args, file)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", program, log.String())
		}
	})
	up(t, at.String())
	return cmd.Process.Pid
}

// inFlight asks with so many clients that each have some questions under way on one connection,
// and counts the answers. connect returns how such a client asks the question of that number.
func inFlight(t *testing.T, length time.Duration, connect func() func(i int) error) uint64 {
	t.Helper()
	var n atomic.Uint64
	var asking sync.WaitGroup
	end := time.Now().Add(length)
	for range encryptedConns {
		ask := connect()
		for i := range encryptedInFlight / encryptedConns {
			asking.Go(func() {
				for ; time.Now().Before(end); n.Add(1) {
					if err := ask(i); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	asking.Wait()
	return n.Load()
}

// benchQuery is a question for one of the names.
func benchQuery(t *testing.T, i int) []byte {
	q := proctest.Query(fmt.Sprintf("b%d.wild.example.com", i%encryptedNames), dns.TypeA, 1232)
	q.Id = 0
	wire, err := q.Pack()
	if err != nil {
		t.Error(err)
	}
	return wire
}

// byHTTPS asks by HTTP/2 as fast as it is answered.
func byHTTPS(at netip.AddrPort, method string) func(*testing.T, time.Duration) uint64 {
	return func(t *testing.T, length time.Duration) uint64 {
		url := fmt.Sprintf("https://%s/dns-query", at)
		return inFlight(t, length, func() func(int) error {
			tr := &http.Transport{ForceAttemptHTTP2: true, MaxConnsPerHost: 1, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			t.Cleanup(tr.CloseIdleConnections)
			client := &http.Client{Transport: tr, Timeout: 10 * time.Second}
			return func(i int) error {
				var resp *http.Response
				var err error
				wire := benchQuery(t, i)
				for tries := 0; tries == 0 || err != nil && tries < 3; tries++ { // Unbound ends connections now and then
					if method == http.MethodPost {
						resp, err = client.Post(url, doh.MediaType, bytes.NewReader(wire))
					} else {
						resp, err = client.Get(url + "?dns=" + base64.RawURLEncoding.EncodeToString(wire))
					}
				}
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				msg, err := io.ReadAll(resp.Body)
				if err == nil && (resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK || len(msg) < 12 || msg[7] == 0) {
					err = fmt.Errorf("%s by %s, %d octets", resp.Status, resp.Proto, len(msg))
				}
				return err
			}
		})
	}
}

// byQUIC does the same over QUIC.
func byQUIC(at netip.AddrPort) func(*testing.T, time.Duration) uint64 {
	return func(t *testing.T, length time.Duration) uint64 {
		return inFlight(t, length, func() func(int) error {
			c, err := dialDoQ(at, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			return func(i int) error {
				wire := benchQuery(t, i)
				st, err := c.Ask(t.Context(), append([]byte{byte(len(wire) >> 8), byte(len(wire))}, wire...), time.Now().Add(5*time.Second))
				if err == nil {
					_, err = st.Read(nil, time.Now().Add(5*time.Second))
				}
				return err
			}
		})
	}
}

// processorOf is the processor time that all threads of a process have taken.
func processorOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, ok := strings.Cut(string(text), ") ")
	if err != nil || !ok {
		t.Fatalf("process %d: %v", pid, err)
	}
	fields := strings.Fields(rest) // from the third on (proc_pid_stat(5))
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, other := strconv.ParseInt(fields[12], 10, 64)
	if err := cmp.Or(err, other); err != nil {
		t.Fatal(err)
	}
	const tick = 10 * time.Millisecond // of USER_HZ, 100 wherever Linux runs
	return time.Duration(user+system) * tick
}
