package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// guide is the operator's guide.
func guide(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(proctest.Root(t), "docs", "operation.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every configuration of the guide is one that a start takes, and all that its tables
// show of Lua exists.
func TestConfigurationsOfTheGuide(t *testing.T) {
	text := guide(t)
	var parts []string
	for _, m := range regexp.MustCompile("(?s)```lua\n(.*?)```").FindAllStringSubmatch(text, -1) {
		parts = append(parts, m[1])
	}
	for _, m := range regexp.MustCompile("`((?:net|modules|cache)\\.[a-z_]+ ?[=(][^`]*)`").FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[1], "path") && !strings.HasPrefix(m[1], "cache.stats") && !strings.HasPrefix(m[1], "net.ipv4") && !strings.HasPrefix(m[1], "net.core") {
			parts = append(parts, m[1])
		}
	}
	if len(parts) < 8 {
		t.Fatalf("only %d pieces of configuration: %q", len(parts), parts)
	}
	for _, lua := range parts {
		dir := proctest.RunDir(t)
		lua = strings.ReplaceAll(lua, "user('knot-resolver', 'knot-resolver')", "")
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte(lua), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(proctest.Bin("kresd"), "--check-config", dir).CombinedOutput(); err != nil {
			t.Errorf("%v for\n%s\n%s", err, lua, out)
		}
	}
}

// What the guide says is missing is missing, what it says works is taken.
func TestWhatTheGuideSaysOfKnotResolver(t *testing.T) {
	dir := proctest.RunDir(t)
	works := "trust_anchors.add_file('root.keys')\nlog_level('info')\nlog_groups({ 'cache' })\nverbose(false)\n" +
		"policy.add(policy.suffix(policy.STUB('192.0.2.1'), policy.todnames({ 'corp.example' })))\npolicy.add(policy.suffix(policy.TLS_FORWARD({ { '192.0.2.1', hostname = 'a.example' } }), { todname('x.example') }))\n"
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(works), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(proctest.Bin("kresd"), "--check-config", dir).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	passed := regexp.MustCompile("`modules = \\{ ([^`]*), … \\}` \\| not in this version; the configuration goes on").FindStringSubmatch(guide(t))
	if passed == nil {
		t.Fatal("the guide names no module without which a configuration goes on")
	}
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("modules = { "+passed[1]+" }"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(proctest.Bin("kresd"), "--check-config", dir).CombinedOutput(); err != nil || strings.Count(string(out), "goes on without it") != len(strings.Split(passed[1], ", ")) {
		t.Errorf("modules that are to be passed over: %v: %s", err, out)
	}
	missing := regexp.MustCompile("`modules = \\{ ([^`]*), … \\}` \\| not in this version; `--check-config`").FindStringSubmatch(guide(t))
	if missing == nil {
		t.Fatal("the guide names no module that is missing")
	}
	for _, name := range strings.Split(missing[1], ", ") {
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte("modules.load("+name+")"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(proctest.Bin("kresd"), "--check-config", dir).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "is not in this version") {
			t.Errorf("module %s is there, and the guide says it is not: %s", name, out)
		}
	}
}

// dnsdist as the guide has it: the resolver is told who asked, and dnsdist's health
// checks are answered.
func TestDnsdistInFront(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	c := proctest.On(t, proctest.SmallInternet(t), 2, "modules = { querylog = { file = 'queries.json', clients = true } }")
	g := proctest.Start(t, c)
	// Questions of the test's own at the start had no header; from here on they need one.
	if got := g.Eval(t, "map \"net.proxy_allowed({ '127.0.0.1' })\""); !strings.Contains(got, "127.0.0.1") {
		t.Fatalf("proxies: %s", got)
	}
	front := proctest.FreePort(t)
	conf := filepath.Join(proctest.RunDir(t), "dnsdist.conf")
	text := fmt.Sprintf("setLocal('%s')\nnewServer({ address = '%s', useProxyProtocol = true })\n", front, g.Addr)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, "dnsdist", "--supervised", "--disable-syslog", "-C", conf)
	client := &dns.Client{Timeout: 2 * time.Second, Dialer: nil}
	proctest.Eventually(t, time.Minute, "an answer through dnsdist", func() bool {
		r, _, err := client.Exchange(proctest.Query("www.example.com", dns.TypeA, 0), front.String())
		return err == nil && r.Rcode == dns.RcodeSuccess && len(r.Answer) == 2
	})
	proctest.Run(t, "dig", "+short", "-b", "127.0.0.77", "@"+front.Addr().String(), "-p", fmt.Sprint(front.Port()), "mail.example.com")
	proctest.Eventually(t, time.Minute, "the query log names the client behind dnsdist", func() bool {
		log, _ := os.ReadFile(filepath.Join(g.Dir, "queries.json"))
		return regexp.MustCompile(`"qname":"mail\.example\.com\.".*"client":"127\.0\.0\.77"`).Match(log)
	})
}
