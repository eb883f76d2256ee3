package test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// A long script in the style of those for LuaJIT does on the real program what it does
// there: its rules answer clients, and all that it looks at is what it says.
func TestAScriptWithDNSObjects(t *testing.T) {
	script := filepath.Join(proctest.Root(t), "test", "testdata", "objects.lua")
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1, "modules = { 'policy' }", "dofile('"+script+"')"))
	proctest.Eventually(t, 30*time.Second, "the script's own questions are answered", func() bool {
		return strings.TrimSpace(g.Eval(t, "finished.packet and finished.question and finished.zone")) == "true"
	})
	if got := g.Ask(t, "udp", "www.my.example.cz", dns.TypeA, 1232); len(got.Answer) != 1 || !strings.HasSuffix(got.Answer[0].String(), "900\tIN\tA\t192.168.1.3") || !got.Authoritative {
		t.Errorf("the made-up answer is\n%v", got)
	}
	for range 2 {
		got := g.Ask(t, "udp", "x.counted.example.org", dns.TypeA, 1232)
		if got.Rcode != dns.RcodeRefused || !strings.Contains(got.String(), "not for you") {
			t.Errorf("the refusal is\n%v", got)
		}
	}
	if got := strings.TrimSpace(g.Eval(t, "return last_client:match('^127.0.0.1#%d+$') and tostring(last_count)")); got != "2" {
		t.Errorf("the script has counted %q", got)
	}
	got := g.Ask(t, "udp", "www.example.org", dns.TypeA, 1232)
	if !strings.Contains(got.String(), "annotated") || len(got.Answer) == 0 {
		t.Errorf("the answer with a note is\n%v", got)
	}
	if got := strings.TrimSpace(g.Eval(t, "return table.concat(failures, '\\n')")); got != "" {
		t.Errorf("the script has found:\n%s", got)
	}
	if got := strings.TrimSpace(g.Eval(t, "checks >= 30")); got != "true" {
		t.Errorf("the script has checked little: %s", g.Eval(t, "checks"))
	}
	if log := g.Log(); strings.Contains(log, "error") {
		t.Errorf("the log says\n%s", log)
	}
}
