package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Another product's kresd, first in PATH, is never run as a worker; the one of
// this version behind it is.
func TestAForeignKresdInPathIsNotRun(t *testing.T) {
	foreign, ran := t.TempDir(), filepath.Join(t.TempDir(), "ran")
	script := "#!/bin/sh\n[ \"$1\" = --version ] && echo 'Knot Resolver, version 5.7.1' && exit 0\ntouch " + ran + "\nexec /bin/sleep 600\n"
	if err := os.WriteFile(filepath.Join(foreign, "kresd"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	alone := command(t, false, "-f", "2", ".")
	alone.Env = append(alone.Env, "PATH="+foreign)
	out, _ := alone.CombinedOutput()
	for _, want := range []string{"kresd-supervisor: no program 'kresd' of this version (kresd, version ", "'" + foreign + "/kresd' says Knot Resolver, version 5.7.1"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("output %q lacks %q", out, want)
		}
	}
	if status := alone.ProcessState.ExitCode(); status != 1 || strings.Count(string(out), "\n") != 1 {
		t.Errorf("status %d, output %q; want 1 and one line", status, out)
	}

	run := t.TempDir() + "/run"
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	g := startGroup(t, run, 1, foreign)
	g.ready(1)
	if _, err := os.Stat(ran); err == nil {
		t.Error("the foreign program was run as a worker")
	}
}

// A program that never says its version is ended, with what it has started.
func TestAKresdThatSaysNothingIsNotWaitedFor(t *testing.T) {
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	mute := t.TempDir()
	if err := os.WriteFile(filepath.Join(mute, "kresd"), []byte("#!/bin/sh\n/bin/sleep 600\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, false, ".")
	cmd.Env = append(cmd.Env, "PATH="+mute)
	out, _ := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "nothing within 5s") {
		t.Errorf("status %d, output %q", cmd.ProcessState.ExitCode(), out)
	}
}

func TestSIGQUITEndsTheGroupInOrder(t *testing.T) {
	run := t.TempDir() + "/run"
	if err := os.Mkdir(run, 0o700); err != nil {
		t.Fatal(err)
	}
	g := startGroup(t, run, 2)
	g.ready(2)
	if err := g.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	if err := g.end(); err != nil {
		t.Errorf("ended with %v, want status 0", err)
	}
}
