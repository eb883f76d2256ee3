package test

import (
	"bufio"
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

// fakenet is the fake Internet of the shared benchmark, generated once.
func fakenet(t *testing.T) string {
	t.Helper()
	gen := proctest.Shared(t, "bench/fakenet/gen.py")
	dir := filepath.Join(proctest.Root(t), ".build", "fakenet")
	// its files name their own place; a source tree that moved needs new ones
	if conf, err := os.ReadFile(filepath.Join(dir, "knot-leaf.conf")); err == nil && !strings.Contains(string(conf), dir+"/") {
		os.RemoveAll(dir)
	}
	out, err := exec.Command("python3", gen, dir, "--small").CombinedOutput()
	if err != nil {
		t.Fatalf("generating the fake Internet: %v\n%s", err, out)
	}
	return dir
}

// background runs a server until the test's end.
func background(t *testing.T, name string, args ...string) {
	t.Helper()
	var log strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s %v wrote:\n%s", name, args, log.String())
		}
	})
}

// serve starts the fake Internet's name servers in this namespace.
func serve(t *testing.T, dir string) {
	t.Helper()
	proctest.Run(t, "ip", "route", "add", "local", "198.18.0.0/15", "dev", "lo")
	for name, probe := range map[string]string{"root": "198.18.0.1:53", "tld": "198.18.1.1:53", "leaf": "198.18.2.1:53"} {
		run := proctest.RunDir(t)
		text, err := os.ReadFile(filepath.Join(dir, "knot-"+name+".conf"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(run, name), 0o700); err != nil {
			t.Fatal(err)
		}
		conf := filepath.Join(run, "knot.conf")
		if err := os.WriteFile(conf, []byte(strings.ReplaceAll(string(text), "@RUN@", run)), 0o600); err != nil {
			t.Fatal(err)
		}
		background(t, "knotd", "-c", conf)
		up(t, probe)
	}
}

// up waits until a server answers.
func up(t *testing.T, addr string) {
	t.Helper()
	proctest.Eventually(t, 30*time.Second, addr+" answers", func() bool {
		c := &dns.Client{Timeout: time.Second}
		_, _, err := c.Exchange(proctest.Query(".", dns.TypeNS, 0), addr)
		return err == nil
	})
}

// unbound starts Debian's Unbound over the fake Internet, which validates from its root
// keys.
func unbound(t *testing.T, dir string) netip.AddrPort {
	t.Helper()
	at := netip.MustParseAddrPort("127.0.0.2:5300")
	run := proctest.RunDir(t)
	conf := filepath.Join(run, "unbound.conf")
	text := fmt.Sprintf(`server:
  directory: "%s"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: %s@%d
  do-ip6: no
  root-hints: "%[4]s/root.hints"
  trust-anchor-file: "%[4]s/root.keys"
  module-config: "validator iterator"
  aggressive-nsec: no
  do-not-query-localhost: no
  minimal-responses: yes
  harden-below-nxdomain: no
remote-control:
  control-enable: no
`, run, at.Addr(), at.Port(), dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, "unbound", "-d", "-c", conf)
	up(t, at.String())
	return at
}

// questions takes some of the benchmark's names and adds ones that do not exist,
// types that names do not have, aliases over zones, and other types.
func questions(t *testing.T, dir string) (out []*dns.Msg) {
	t.Helper()
	for file, n := range map[string]int{"hit": 150, "miss": 30, "smiss": 30, "nxnsec": 30, "nxnsec3": 30, "cold": 50} {
		f, err := os.Open(filepath.Join(dir, "queries", file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); n > 0 && lines.Scan(); n-- {
			name, qtype, _ := strings.Cut(lines.Text(), " ")
			out = append(out, proctest.Query(name, dns.StringToType[qtype], 1232))
			if file == "hit" && n%3 == 0 {
				out = append(out, proctest.Query("no."+name, dns.TypeA, 1232), proctest.Query(name, dns.TypeSRV, 0))
			}
		}
	}
	for i := range 20 {
		zone := fmt.Sprintf("u%04d.com", i)
		out = append(out, proctest.Query("x."+zone, dns.TypeAAAA, 1232), proctest.Query("c1."+zone, dns.TypeMX, 512),
			proctest.Query(zone, dns.TypeNS, 1232), proctest.Query(zone, dns.TypeSOA, 0))
	}
	for _, name := range []string{"com", "org", "nosuchtld", "www.nosuchtld", "."} {
		out = append(out, proctest.Query(name, dns.TypeA, 1232))
	}
	for _, q := range out {
		q.AuthenticatedData = true // so that AD is told (RFC 6840, section 5.7)
	}
	return out
}

// Answers over the fake Internet are those of Unbound, asked side by side: RCODE, AD,
// answer section, SOA of negative answers; TTLs no greater than the zone's. They
// stay the same from the cache, from any worker, over TCP.
func TestSameAnswersAsUnbound(t *testing.T) {
	dir := fakenet(t)
	if !proctest.InNamespace(t) {
		return
	}
	serve(t, dir)
	peer := unbound(t, dir)
	at := netip.MustParseAddrPort("127.0.0.1:5300")
	g := proctest.Start(t, proctest.Config{Workers: 4, Addr: at, Lua: fmt.Sprintf(
		"net.ipv6 = false\nnet.listen('%s', %d)\ncache.size = 50 * MB\nmodules = { 'hints' }\nhints.root_file('%[3]s/root.hints')\ntrust_anchors.add_file('%[3]s/root.keys', true)\n", at.Addr(), at.Port(), dir)})
	asked := questions(t, dir)
	if len(asked) < 300 {
		t.Fatalf("only %d questions", len(asked))
	}
	for round, network := range []string{"udp", "udp", "tcp"} {
		for _, q := range asked {
			compare(t, fmt.Sprintf("round %d, %s", round+1, network), network, q, g.Addr, peer)
		}
	}
}

func compare(t *testing.T, what, network string, q *dns.Msg, ours, peer netip.AddrPort) {
	t.Helper()
	got, err := proctest.Exchange(network, ours, q)
	if err != nil {
		t.Errorf("%s: %s: %v", what, q.Question[0].String(), err)
		return
	}
	want, err := proctest.Exchange(network, peer, q)
	if err != nil {
		t.Fatal(net.JoinHostPort(peer.Addr().String(), "unbound"), err)
	}
	if want.Rcode == dns.RcodeServerFailure {
		t.Errorf("%s: %s: unbound has no answer to compare with", what, q.Question[0].String())
	}
	if a, b := proctest.Shape(got), proctest.Shape(want); a != b {
		t.Errorf("%s: %s\nkresd:\n%s\nunbound:\n%s", what, q.Question[0].String(), a, b)
	}
	if got.AuthenticatedData != want.AuthenticatedData {
		t.Errorf("%s: %s: AD %t, unbound %t", what, q.Question[0].String(), got.AuthenticatedData, want.AuthenticatedData)
	}
	for _, rr := range got.Answer {
		if ttl := rr.Header().Ttl; ttl > 86400 || ttl < 86400-600 {
			t.Errorf("%s: TTL of %s: not 86400 minus the time elapsed", what, rr)
		}
	}
}
