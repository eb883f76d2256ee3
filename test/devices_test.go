package test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/proctest"
)

// byPath are the commands that open a file of somebody's choice; PATH stands for it. What
// they say of an empty file that is named so, they need not say of a device.
var byPath = []string{
	"dofile('PATH')",
	"assert(loadfile('PATH'))",
	"require('pipe')", // a FIFO in package.path
	"assert(io.open('PATH')):read('*a')",
	"assert(io.open('PATH')):read(1e9)",
	"io.lines('PATH')()",
	"modules.load('hints') hints.config('PATH')",
	"assert(hints.add_hosts('PATH'))",
	"hints.root_file('PATH')",
	"trust_anchors.add_file('PATH')",
	"trust_anchors.config('PATH')",
	"require('zonefile').file('PATH')",
	"net.tls('PATH', 'PATH')",
	"net.tls_sticket_secret_file('PATH')",
	"policy.add(policy.suffix(policy.TLS_FORWARD({{'127.0.0.1', hostname = 'a.example', ca_file = 'PATH'}}), {todname('a.')}))",
	"assert(require('ssl.https').request({url = 'https://127.0.0.1:1/', verify = 'peer', cafile = 'PATH'}))",
	"assert(require('ssl.https').request({url = 'https://127.0.0.1:1/', certificate = 'PATH', key = 'PATH'}))",
}

// A device that never ends and a FIFO that nobody writes to hold up neither the console nor
// Lua, whatever opens them, and no query.
func TestDevicesAndPipesHoldUpNobody(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 1, "package.path = './?.lua'"))
	warm(t, g)
	pipe := filepath.Join(g.Dir, "pipe.lua")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	load := proctest.Load(t, g.Addr, 200, names...)
	var longest time.Duration
	what := ""
	for _, path := range []string{"/dev/zero", pipe} {
		for _, command := range byPath {
			command = strings.ReplaceAll(command, "PATH", path)
			start := time.Now()
			got := g.Eval(t, command)
			took := time.Since(start)
			if took > longest {
				longest, what = took, command
			}
			if took > limits.LuaPipeTime+10*time.Second {
				t.Errorf("%s took %v: %.200q", command, took, got)
			}
			if strings.Contains(got, "with all that it waited for") || strings.Contains(got, "ran longer than") {
				t.Errorf("%s: %.200q", command, got)
			}
		}
	}
	t.Logf("%d commands with a device and a FIFO: the longest took %v, %s", 2*len(byPath), longest.Round(time.Millisecond), what)
	lossless(t, "devices and pipes", load.Stop(), 0)
	if got := strings.TrimSpace(g.Eval(t, "1 + 1")); got != "2" {
		t.Errorf("the console shows %q", got)
	}
}
