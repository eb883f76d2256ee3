package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// saying puts a program into the place of path that says a version, as a binary that
// speaks by its own name would: a shell that was copied cannot, so this binary does.
func saying(t *testing.T, path string) (version string) {
	t.Helper()
	replaceProgram(t, path, 0)
	return saidVersion(path)
}

// What was found is executed as it was, whatever has its name by now.
func TestAProgramIsExecutedAsItWasFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kresd")
	version := saying(t, path)
	p, said := open(path, version)
	if p == nil {
		t.Fatalf("it says %q, want %q", said, version)
	}
	defer p.close()
	if p.replaced() {
		t.Error("it is said to be replaced, and is not")
	}
	if err := os.WriteFile(path+".new", []byte("#!/bin/sh\necho another\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(p.path(), "--version").Output()
	if err != nil || strings.TrimSpace(string(out)) != version || !p.replaced() {
		t.Errorf("after another file has got its name: %q, %v, replaced %t", out, err, p.replaced())
	}
	if err := os.Remove(path); err != nil || !p.replaced() {
		t.Errorf("without any file of its name: %v, replaced %t", err, p.replaced())
	}
	if p, said := open(path, version); p != nil {
		t.Errorf("a file that is not there says %q", said)
	}
}

// A script is opened again by what interprets it, so it is executed by its name.
func TestAScriptIsExecutedByItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kresd")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho kresd, version 7\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p, said := open(path, "kresd, version 7")
	if p == nil || p.path() != path {
		t.Fatalf("it says %q: %+v", said, p)
	}
	if open := openTo(t, path); open != 0 {
		t.Errorf("it is open %d times", open)
	}
}

// Children are not let to the files of a process that may not be dumped.
func TestAProgramOfAHiddenSupervisorIsExecutedByItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kresd")
	version := saying(t, path)
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	p, said := open(path, version)
	if p == nil || p.path() != path {
		t.Errorf("it says %q: %+v", said, p)
	}
	p.close()
}

// openTo counts this process's descriptors of a file.
func openTo(t *testing.T, path string) (n int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.HasPrefix(to, path) {
			n++
		}
	}
	return n
}

// A program that finds none for its workers says so, where it is asked what it takes over.
func TestAProgramSaysWhyItTakesOverNoGroup(t *testing.T) {
	t.Setenv(GroupVar, "layout")
	none := func() (*Program, error) { return nil, fmt.Errorf("no program 'kresd' of this version") }
	text := VersionText(none)
	path := filepath.Join(t.TempDir(), "kresd-supervisor")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ncat <<.\n"+text+".\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	err := takesOver(path)
	if want := "no program 'kresd' of this version; the workers stay of the version that runs: install kresd and kresd-supervisor of one version, both, and reload again"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v, want it to end with %q", err, want)
	}
	if all := VersionText(This); !strings.Contains(all, "\ngroup layout 1\n") || !strings.HasSuffix(all, "\n"+layout+"\n") {
		t.Errorf("it takes over %q", all)
	}
}
