package lfs

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kresd/internal/script"
	"kresd/internal/script/command"
)

func eval(t *testing.T, chunk string) string {
	t.Helper()
	vm, err := command.New(script.Options{Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	if err := vm.Do(t.Context(), func(*script.Call) error { vm.AddLibraries(Libraries()...); return nil }); err != nil {
		t.Fatal(err)
	}
	text, _ := vm.Eval(t.Context(), "local lfs = require('lfs') "+chunk)
	return text
}

// The process stays in its run directory, and a script is told what to do instead.
func TestChdirIsRefusedInWords(t *testing.T) {
	before, _ := os.Getwd()
	if got := eval(t, "return select(2, lfs.chdir('/'))"); !strings.Contains(got, "use whole paths") {
		t.Errorf("it says %q", got)
	}
	if got := eval(t, "return tostring(lfs.chdir('.'))"); got != "true" {
		t.Errorf("where it is already: %q", got)
	}
	if after, _ := os.Getwd(); after != before {
		t.Errorf("%s became %s", before, after)
	}
}

// A lock of a directory that nobody has freed is taken over when it is old.
func TestForgottenLocksOfDirectoriesAreTakenOver(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("1", filepath.Join(dir, "lockfile.lfs")); err != nil {
		t.Fatal(err)
	}
	if got := eval(t, "return select(2, lfs.lock_dir('"+dir+"', 3600))"); got != "File exists" {
		t.Errorf("a young one: %q", got)
	}
	if got := eval(t, "return tostring(lfs.lock_dir('"+dir+"', -1))"); got != "directory lock" {
		t.Errorf("an old one: %q", got)
	}
}

// What would wait for somebody else when it is opened is no directory.
func TestNoDirectoryIsWaitedFor(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := eval(t, "return select(2, pcall(lfs.dir, '"+fifo+"'))"); !strings.HasSuffix(got, "Not a directory") {
		t.Errorf("it says %q", got)
	}
	if got := eval(t, "return lfs.attributes('"+fifo+"', 'mode')"); got != "named pipe" {
		t.Errorf("it is a %q", got)
	}
}
