package hints

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The console hung, and Lua with it, while hints were read from /dev/zero.
func TestAHostsFileWithoutAnEndIsRefused(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/dev/zero", fifo} {
		_, err := new(table).loadHosts(path, func(string) {})
		if want := path + ": not a regular file"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
