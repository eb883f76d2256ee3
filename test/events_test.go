package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// configured is a group of one worker whose configuration ends with text.
func configured(t *testing.T, text string) *proctest.Group {
	t.Helper()
	return proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1, text))
}

// logged waits until the log has a text.
func logged(t *testing.T, g *proctest.Group, text string) {
	t.Helper()
	proctest.Eventually(t, time.Minute, fmt.Sprintf("%q in the log", text), func() bool { return strings.Contains(g.Log(), text) })
}

// The manual's examples of events and coroutines, as they stand there but for the
// directory.
func TestExamplesOfEventsAndCoroutines(t *testing.T) {
	dir := t.TempDir()
	hosts := filepath.Join(dir, "hosts")
	if err := os.WriteFile(hosts, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := configured(t, strings.ReplaceAll(`
local notify = require('cqueues.notify')
local watcher = notify.opendir('/etc')
watcher:add('hosts')

-- Watch changes to /etc/hosts
worker.coroutine(function ()
  for flags, name in watcher:changes() do
    for flag in notify.flags(flags) do
      print(name, notify[flag])
    end
  end
end)

worker.coroutine(function ()
  for i = 0, 10 do
    print('executing', i)
    worker.sleep(0.1)
  end
end)

e = event.socket(0, function(e, status, nevents)
   print('activity detected')
end)
e.cancel(e)
`, "/etc", dir))
	logged(t, g, "executing\t0\n")
	if err := os.WriteFile(hosts, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	logged(t, g, "hosts\tMODIFY\n")
	logged(t, g, "executing\t10\n")
	if log := g.Log(); strings.Contains(log, "activity detected") || strings.Contains(log, "error:") {
		t.Errorf("the log has\n%s", log)
	}
}

// Whatever a script does with descriptors, the worker keeps its own.
func TestDescriptorsOfTheDaemonAreItsOwn(t *testing.T) {
	g := configured(t, "")
	socket := g.Workers()[0].Socket
	proctest.Eval(t, socket, "refused, watched = 0, 0")
	proctest.Eval(t, socket, "for fd = 0, 200 do local ok, why = pcall(event.socket, fd, function() end) if ok then watched = watched + 1 elseif why:match('belongs to the resolver') then refused = refused + 1 end end")
	if got := strings.TrimSpace(proctest.Eval(t, socket, "return tostring(watched <= 3 and refused > 5)")); got != "true" {
		t.Errorf("of the worker's descriptors %s could be watched", proctest.Eval(t, socket, "watched"))
	}
	if m := g.Ask(t, "udp", "example.com.", 1, 1232); len(m.Answer) == 0 {
		t.Errorf("the answer is %v", m)
	}
}

// A script that runs long is told of with its line.
func TestAScriptThatRunsLongIsToldOf(t *testing.T) {
	g := configured(t, "event.after(0, function()\n local till = os.clock() + 1.5\n while os.clock() < till do end\nend)")
	logged(t, g, "a script has been running for ")
	if m := g.Ask(t, "udp", "example.com.", 1, 1232); len(m.Answer) == 0 {
		t.Errorf("the answer is %v", m)
	}
}
