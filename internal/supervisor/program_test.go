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

// script makes a program of a text for the shell.
func script(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// A program's version is the first line that it prints, short enough to be told.
func TestWhatAProgramSaysOfItsVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kresd")
	long := strings.Repeat("x", 90)
	for text, want := range map[string]string{
		"echo kresd, version 7; echo more":    "kresd, version 7",
		"echo ' kresd, version 7 '; exit 1":   "kresd, version 7",
		"exit 3":                              "nothing (exit status 3)",
		"echo; exit 0":                        "",
		"echo " + long:                        long[:80],
		"cat; echo end of input":              "end of input",
		`test "$1" = --version && echo asked`: "asked",
	} {
		if got := saidVersion(script(t, path, text)); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// The program of this version is found behind others of its name; where there is none, the
// error names what was found.
func TestTheProgramIsFoundByItsVersion(t *testing.T) {
	const name, version = "kresd-that-only-this-test-has", "kresd, version 7"
	other, empty, right := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("PATH", strings.Join([]string{other, empty, other, os.Getenv("PATH")}, ":"))
	if _, err := Beside(name, version); err == nil || err.Error() != "program '"+name+"' is neither beside this one nor in PATH" {
		t.Errorf("where there is none: %v", err)
	}
	wrong := script(t, filepath.Join(other, name), "echo kresd, version 6")
	if err := os.Mkdir(filepath.Join(empty, name), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Beside(name, version); err == nil || strings.Count(err.Error(), "'"+wrong+"' says kresd, version 6") != 1 || strings.Contains(err.Error(), empty) {
		t.Errorf("where there is another: %v", err)
	}
	if err := os.WriteFile(filepath.Join(right, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", os.Getenv("PATH")+":"+right)
	if _, err := Beside(name, version); err == nil || strings.Contains(err.Error(), right) {
		t.Errorf("where the right one may not be executed: %v", err)
	}
	path := script(t, filepath.Join(right, name), "echo "+version)
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if p, err := Beside(name, version); err != nil || p.name != path {
		t.Errorf("found %+v, %v", p, err)
	}
}

// A program of which nothing is known, and the one that runs here, are not replaced.
func TestWhatIsReplaced(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	another := script(t, filepath.Join(t.TempDir(), "another"), "")
	for path, want := range map[string]bool{"": false, own: false, another: true, another + ".gone": false} {
		if got := replaced(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
	if (&Program{name: self}).replaced() {
		t.Error("the program that runs is not itself")
	}
	(*Program)(nil).close()
}

// A new program takes over a group if it says that it knows the form in which it is left.
func TestWhichProgramTakesOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kresd-supervisor")
	const older = "it is of a version that cannot take over a group which runs; restart the service"
	for text, want := range map[string]string{
		"echo version 8; echo " + layout:                                                    "",
		"echo version 8; echo group layout 1; echo " + layout:                               "",
		"test \"$KRESD_GROUP $1\" = 'layout --version' && echo version 8 && echo " + layout: "",
		"echo version 8":                                            older,
		"echo " + layout:                                            older,
		"echo version 8; echo " + layout + "0":                      older,
		"echo version 8; echo " + layout + "; exit 3":               "exit status 3",
		"echo version 8; echo '" + obstacle + "no program'; exit 3": "exit status 3",
	} {
		err := takesOver(script(t, path, text))
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || err.Error() != "the program '"+path+"' was replaced by one that does not take its place: "+want):
			t.Errorf("%s: %v; want %s", text, err, want)
		}
	}
}
