package test

import (
	"fmt"
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

// A contender starts a resolver on 127.0.0.1; stop ends it.
type contender struct {
	name  string
	start func(t *testing.T, dir string, at netip.AddrPort) (stop func())
}

var ourselves = contender{"kresd", func(t *testing.T, dir string, at netip.AddrPort) func() {
	g := proctest.Start(t, proctest.Config{Dir: dir, Workers: 2, Addr: at, Lua: fmt.Sprintf(
		"net.listen('%s', %d)\ncache.size = 50*MB\nmodules = { 'hints' }\ntrust_anchors.remove('.')\nhints.root({ ['a.roots.'] = '198.18.0.1', ['b.roots.'] = '198.18.0.2' })\n", at.Addr(), at.Port())})
	return func() {
		if _, err := g.Stop(); err != nil {
			t.Error(err)
		}
	}
}}

const lossyHints = ". 3600 NS a.roots.\n. 3600 NS b.roots.\na.roots. 3600 A 198.18.0.1\nb.roots. 3600 A 198.18.0.2\n"

// A peer is another resolver: copies of it share a port and a directory.
type peer struct {
	name, path, args, config string
	copies                   int
}

// installedPeers are the other resolvers that this machine has, with two workers
// each, as ours.
func installedPeers(t *testing.T) (list []contender) {
	for _, p := range []peer{
		{"unbound", "/usr/sbin/unbound", "-d -c config", `server:
 interface: %[1]s@%[2]d
 num-threads: 2
 so-reuseport: yes
 module-config: "iterator"
 root-hints: "hints"
 directory: "."
 chroot: ""
 username: ""
 pidfile: ""
 use-syslog: no
remote-control:
 control-enable: no
`, 1},
		{"knot", "/usr/sbin/kresd", "-n -c config .", "net.listen('%[1]s', %[2]d)\ntrust_anchors.remove('.')\ncache.size = 50*MB\nmodules = { 'hints' }\nhints.root_file('hints')\n", 2},
	} {
		if _, err := os.Stat(p.path); err != nil {
			t.Logf("NOT RUN: %s is not installed (%s)", p.name, p.path)
			continue
		}
		list = append(list, contender{p.name, p.start})
	}
	return list
}

func (p peer) start(t *testing.T, dir string, at netip.AddrPort) func() {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "hints"), []byte(lossyHints), 0o600); err != nil {
		t.Fatal(err)
	}
	p.config = fmt.Sprintf(p.config, at.Addr(), at.Port())
	return p.run(t, dir, at)
}

// run starts the copies of a resolver with its configuration and returns when they
// answer.
func (p peer) run(t *testing.T, dir string, at netip.AddrPort) func() {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(p.config), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var running []*exec.Cmd
	for range p.copies {
		cmd := exec.Command(p.path, strings.Fields(p.args)...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	for range 8 * p.copies { // each of them has the port by then, very likely
		proctest.Eventually(t, 10*time.Second, p.name+" answers", func() bool {
			_, err := proctest.Exchange("udp", at, proctest.Query("version.bind", dns.TypeTXT, 0))
			return err == nil
		})
	}
	return func() {
		for _, cmd := range running {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
}
