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

// Events that loop, left over by whoever tried something, kept the console away from the next
// one for half a minute each, and a client gave up.
func TestTheConsoleComesBetweenEventsThatLoop(t *testing.T) {
	g := configured(t, "ids = {} for i = 1, 5 do ids[i] = event.recurrent(0, function() while true do n = (n or 0) + 1 end end) end")
	socket := g.Workers()[0].Socket
	proctest.Eventually(t, time.Minute, "the first loop", func() bool { return strings.TrimSpace(proctest.Eval(t, socket, "return tostring(n ~= nil)")) == "true" })
	for i := 1; i <= 5; i++ {
		if got := strings.TrimSpace(proctest.Eval(t, socket, fmt.Sprintf("event.cancel(ids[%d])", i))); got != "true" {
			t.Errorf("event %d: %q", i, got)
		}
	}
	if got := strings.TrimSpace(proctest.Eval(t, socket, "m = n return 'all'")); got != "all" {
		t.Errorf("%q", got)
	}
	if got := strings.TrimSpace(proctest.Eval(t, socket, "return tostring(m == n)")); got != "true" {
		t.Errorf("a loop goes on: %q", got)
	}
	if m := g.Ask(t, "udp", "example.com.", 1, 1232); len(m.Answer) == 0 {
		t.Errorf("no answer: %v", m)
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

// A script that runs long is told of with its line. It runs until the log tells of it.
func TestAScriptThatRunsLongIsToldOf(t *testing.T) {
	enough := filepath.Join(t.TempDir(), "enough")
	g := configured(t, "function long()\nwhile not io.open('"+enough+"') do end\nend\nline = debug.getinfo(long, 'S').linedefined + 1")
	at := strings.TrimSpace(g.Eval(t, "line"))
	g.Eval(t, "event.after(0, long)")
	logged(t, g, " seconds, now at config:"+at+"; other scripts and the console wait for it")
	if m := g.Ask(t, "udp", "example.com.", 1, 1232); len(m.Answer) == 0 {
		t.Errorf("the answer is %v", m)
	}
	if err := os.WriteFile(enough, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
