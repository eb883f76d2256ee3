package hints

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/textfile"
	"kresd/internal/zonecut"
)

// noRoots are root hints that nobody touches.
type noRoots struct{ Roots }

func (noRoots) ReadRootHints(path string) (*zonecut.Cut, error) { return nil, os.ErrNotExist }

// lists tells what a name has, the addresses with blanks between.
func lists(t *testing.T, h *hints, name string) string {
	t.Helper()
	n, err := dnsname.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, a := range h.table.Load().addrs(n) {
		out = append(out, a.String())
	}
	return strings.Join(out, " ")
}

// Files that are read again are put together with what scripts changed between them, in
// the order in which that was done.
func TestFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := &hints{roots: noRoots{}, files: textfile.Disk, warn: func(string) {}}
	h.table.Store(newTable())
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	load := func(name string) {
		t.Helper()
		_, err := h.load(path(name))
		do(err)
	}
	write("a", "192.0.2.1 one.test gone.test back.test\n")
	write("b", "192.0.2.1 two.test back.test\n")
	do(h.set("early.test 192.0.2.1"))
	do(h.set("dropped.test 192.0.2.1"))
	do(h.del("dropped.test"))
	do(h.set("taken.test 192.0.2.1"))
	do(h.del("taken.test 192.0.2.1"))
	if _, err := h.load(path("none")); err == nil {
		t.Error("a file was loaded that is not there")
	}
	load("a")
	do(h.del("gone.test"))
	do(h.del("back.test"))
	do(h.set("one.test 192.0.2.9"))
	load("b")
	do(h.del("one.test 192.0.2.1"))
	do(h.set("late.test 192.0.2.1"))
	want := map[string]string{"early.test": "192.0.2.1", "dropped.test": "", "taken.test": "", "one.test": "192.0.2.9", "gone.test": "", "back.test": "192.0.2.1", "two.test": "192.0.2.1", "late.test": "192.0.2.1"}
	check := func(when string) {
		t.Helper()
		for name, addrs := range want {
			if got := lists(t, h, name); got != addrs {
				t.Errorf("%s: %s is %q, want %q", when, name, got, addrs)
			}
		}
	}
	check("as it was made")
	reread := func() {
		t.Helper()
		apply, err := h.reread()
		do(err)
		apply()
	}
	reread()
	check("read again")

	write("a", "192.0.2.1 one.test new.test gone.test\n")
	write("b", "192.0.2.2 two.test\n")
	apply, err := h.reread()
	do(err)
	check("before it is applied")
	apply()
	want["new.test"], want["two.test"], want["back.test"] = "192.0.2.1", "192.0.2.2", ""
	check("with other files")

	load("a") // now the last one
	want["one.test"], want["gone.test"] = "192.0.2.9 192.0.2.1", "192.0.2.1"
	check("loaded again")
	if len(h.sources.files) != 2 {
		t.Errorf("read again are %q", h.sources.files)
	}
	reread()
	check("loaded and read again")

	do(os.Remove(path("b")))
	if _, err := h.reread(); err == nil || !strings.Contains(err.Error(), "hints: "+path("b")) {
		t.Errorf("without a file: %v", err)
	}
	check("without a file")
}

// A hint that is set and removed for ever takes no room.
func TestEditsDoNotPileUp(t *testing.T) {
	h := &hints{roots: noRoots{}, files: textfile.Disk, warn: func(string) {}}
	h.table.Store(newTable())
	for stage := range 2 {
		for range 1000 {
			_ = h.set("x.test 192.0.2.1")
			_ = h.set("x.test 192.0.2.2")
			_ = h.del("x.test 192.0.2.1")
			_ = h.del("x.test")
		}
		if n := len(h.sources.edits); n > stage {
			t.Errorf("after %d files %d edits are kept", stage, n)
		}
		h.sources.loaded("file")
	}
}
