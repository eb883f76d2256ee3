package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"kresd/internal/authority"
	"kresd/internal/safe"
)

// small starts the demonstration's Internet.
func small(t *testing.T) *authority.Internet {
	t.Helper()
	n, _, err := start("../../../../testdata/zones")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func at(n *authority.Internet, host string) string {
	return netip.AddrPortFrom(netip.MustParseAddr(host), n.Port()).String()
}

func TestProbeFindsARootServerAndNothingElse(t *testing.T) {
	n := small(t)
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for what, tc := range map[string]struct {
		servers []string
		want    bool
	}{
		"none":              {nil, false},
		"silence":           {[]string{silent.LocalAddr().String()}, false},
		"not a root server": {[]string{at(n, "127.53.2.1")}, false},
		"one of two":        {[]string{silent.LocalAddr().String(), at(n, "127.53.0.2")}, true},
	} {
		if got := probe(context.Background(), tc.servers, 500*time.Millisecond); got != tc.want {
			t.Errorf("%s: %t, want %t", what, got, tc.want)
		}
	}
}

func TestTheConfigurationNamesTheRoots(t *testing.T) {
	got := smallConfig(map[string][]netip.Addr{"b.example.": {netip.MustParseAddr("127.0.0.2")}, "a.example.": {netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}},
		". 3600 IN DS 1 2 3 AB")
	want := "hints.root({\n  ['a.example.'] = { '127.0.0.1', '::1' },\n  ['b.example.'] = { '127.0.0.2' },\n})\n"
	if !strings.Contains(got, want) || !strings.Contains(got, "ALLOW_LOCAL") || !strings.Contains(got, "trust_anchors.add('. 3600 IN DS 1 2 3 AB')\n") {
		t.Errorf("configuration:\n%s\nwant in it:\n%s", got, want)
	}
}

func TestATakenPortIsSaidInOneLine(t *testing.T) {
	c, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	port := c.Addr().(*net.TCPAddr).Port
	err = prepare(options{rundir: t.TempDir(), addr: "127.0.0.1", port: uint(port), workers: 1})
	if err == nil || !strings.Contains(err.Error(), "taken") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want one line saying that the port is taken", err)
	}
	if err := prepare(options{rundir: t.TempDir(), addr: "127.0.0.1", port: 0, workers: 1}); err == nil {
		t.Error("port 0 accepted")
	}
}

// The exit status and the end of the child are what make(1) and Ctrl-C see.
func TestTheChildsStatusIsOurs(t *testing.T) {
	dir := t.TempDir()
	script := func(body string) string {
		path := dir + "/kresd"
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	o := options{rundir: dir, addr: "127.0.0.1", port: 1, workers: 1}
	o.kresd = script("exit 3")
	if status, err := resolve(context.Background(), o, nil); status != 3 || err != nil {
		t.Errorf("status %d, %v; want 3", status, err)
	}
	o.kresd = script("trap 'exit 0' TERM; echo up > " + dir + "/up; while :; do sleep 0.05; done")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stopWhen(t, dir+"/up", cancel)
	if status, err := resolve(ctx, o, os.Environ()); status != 0 || err != nil {
		t.Errorf("after a signal: status %d, %v; want 0", status, err)
	}
}

// stopWhen calls stop as soon as the file exists.
func stopWhen(t *testing.T, file string, stop func()) {
	t.Helper()
	timer := time.NewTicker(10 * time.Millisecond)
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	safe.Go("stopWhen", nil, func() {
		defer close(done)
		defer timer.Stop()
		for range timer.C {
			if _, err := os.Stat(file); err == nil {
				stop()
				return
			}
		}
	})
}
