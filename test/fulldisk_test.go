package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"kresd/internal/proctest"
)

// A start on a full disk serves without a cache, says so once, and has a cache when there
// is room.
func TestStartOnAFullDisk(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	for name, line := range map[string]string{"by default": "", "by the configuration": "cache.size = 4 * MB"} {
		t.Run(name, func(t *testing.T) {
			disk := proctest.RunDir(t)
			proctest.Run(t, "mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", disk)
			defer proctest.Run(t, "umount", "-l", disk)
			config := proctest.On(t, proctest.SmallInternet(t), 2)
			config.Lua = strings.ReplaceAll(config.Lua, "cache.size = 20 * MB", line)
			config.Dir = filepath.Join(disk, "run")
			if err := os.Mkdir(config.Dir, 0o700); err != nil {
				t.Fatal(err)
			}
			fill := filepath.Join(disk, "fill")
			if err := os.WriteFile(filepath.Join(config.Dir, "config"), []byte(config.Lua), 0o600); err != nil {
				t.Fatal(err)
			}
			config.Lua = ""
			fillUp(t, fill)
			g := proctest.Start(t, config)
			for range 3 {
				for _, name := range names {
					g.Ask(t, "udp", name, dns.TypeA, 1232)
				}
			}
			if n := strings.Count(g.Log(), "answering without a cache until there is room"); n != 1 {
				t.Errorf("that there is no room is said %d times", n)
			}
			if got := g.Eval(t, "cache.current_size"); got != "0" {
				t.Errorf("a cache of %s is said to be there", got)
			}
			if err := os.Remove(fill); err != nil {
				t.Fatal(err)
			}
			proctest.Eventually(t, 60*time.Second, "both workers have a cache", func() bool {
				return strings.Count(g.Eval(t, "map 'cache.current_size > 0'"), "=> true") == 2
			})
			g.Ask(t, "udp", names[0], dns.TypeA, 1232)
			proctest.Eventually(t, 10*time.Second, "the cache has entries", func() bool { return g.Eval(t, "cache.count() > 0") == "true" })
			if log := g.Log(); strings.Count(log, "there is room again: cache of ") != 1 {
				t.Error("that there is room again is not said once")
			}
		})
	}
}

// fillUp writes a file until there is no room left.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(path), &st); err != nil || st.Bavail != 0 {
		t.Fatalf("%d blocks are left, %v", st.Bavail, err)
	}
}
