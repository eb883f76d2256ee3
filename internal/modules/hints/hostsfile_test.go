package hints

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"

	"kresd/internal/textfile"
)

// The console hung, and Lua with it, while hints were read from /dev/zero.
func TestAHostsFileWithoutAnEndIsRefused(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/dev/zero", fifo} {
		_, err := new(table).loadHosts(textfile.Disk, path, func(string) {})
		if want := path + ": not a regular file"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A disk may fail in the middle of a file. Of what was read by then nothing is added,
// neither to what is read in its place, nor where nothing is.
func TestOfAFileThatIsReadByHalfNothingIsAdded(t *testing.T) {
	broken := errors.New("input/output error")
	half := func() io.Reader {
		return io.MultiReader(strings.NewReader("192.0.2.1 half.test\n192.0.2.2 known.test\nwrong\n"), iotest.ErrReader(broken))
	}
	for _, c := range []struct {
		what  string
		texts []func() io.Reader
		want  string
		err   error
	}{
		{"it is replaced by what it said", []func() io.Reader{half, func() io.Reader { return strings.NewReader("192.0.2.1 old.test\n") }}, "known.test 192.0.2.1, old.test 192.0.2.1", nil},
		{"nothing is known of it", []func() io.Reader{half, half}, "known.test 192.0.2.1", broken},
	} {
		h := &hints{roots: noRoots{}, warn: func(string) {}}
		h.table.Store(newTable())
		if err := h.set("known.test 192.0.2.1"); err != nil {
			t.Fatal(err)
		}
		h.files = func(_ string, use textfile.Use) (err error) {
			for _, text := range c.texts {
				err = use(text(), nil)
			}
			return err
		}
		skipped, err := h.load("hosts")
		if !errors.Is(err, c.err) || c.err == nil && skipped != 0 {
			t.Errorf("%s: %d lines are skipped, %v", c.what, skipped, err)
		}
		var got []string
		for _, name := range []string{"half.test", "known.test", "old.test"} {
			if addrs := lists(t, h, name); addrs != "" {
				got = append(got, name+" "+addrs)
			}
		}
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, got, c.want)
		}
	}
}
