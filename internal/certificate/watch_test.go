package certificate

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// watch has the files of a store looked after until the test ends.
func (h *host) watch(t *testing.T) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { h.Watch(ctx); close(ended) }()
	t.Cleanup(func() { end(); <-ended })
}

// shows tells whether clients see the certificate of a name.
func (h *host) shows(t *testing.T, name string) func() bool {
	return func() bool { return h.leaf(t).VerifyHostname(name) == nil }
}

func TestFilesThatChangeAreReadAgain(t *testing.T) {
	for _, linked := range []bool{false, true} {
		h := newHost(t)
		h.watch(t)
		dir := t.TempDir()
		if linked { // as certificates are mounted into containers: a link is turned
			dir = filepath.Join(dir, "now")
			turn(t, dir)
		}
		if err := h.Use(write(t, dir, "one.example", key(t), start)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the directory is watched", h.Store.watch.Seeing)
		if linked {
			next := t.TempDir()
			write(t, next, "two.example", key(t), start)
			if err := os.Symlink(next, dir+".new"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(dir+".new", dir); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, dir, "two.example", key(t), start)
		}
		eventually(t, "the new certificate is seen", h.shows(t, "two.example"))
		eventually(t, "its pin is told", func() bool { return strings.Contains(h.told(), Pin(h.leaf(t))) })
		put(t, filepath.Join(dir, "server.key"), "garbage")
		eventually(t, "the damage is told", func() bool {
			return strings.Contains(h.told(), "the certificate that was read before stays in use: '"+filepath.Join(dir, "server.key")+"': there is no private key in it")
		})
		if h.leaf(t).VerifyHostname("two.example") != nil {
			t.Errorf("clients see %v", h.leaf(t).Subject)
		}
		h.Reload() // says nothing twice
		if n := strings.Count(h.told(), "stays in use"); n != 1 {
			t.Errorf("told %d times:\n%s", n, h.told())
		}
	}
}

// turn makes a link to a directory.
func turn(t *testing.T, link string) {
	t.Helper()
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
}

// What changes between the reading of files and the watch on their directory is seen
// all the same.
func TestFilesThatChangeBeforeTheyAreWatchedAreReadAgain(t *testing.T) {
	h := newHost(t)
	if err := h.Use(write(t, t.TempDir(), "none.example", key(t), start)); err != nil {
		t.Fatal(err)
	}
	h.watch(t)
	eventually(t, "another directory is watched", h.Store.watch.Seeing)
	dir := t.TempDir()
	certFile, keyFile := write(t, dir, "one.example", key(t), start)
	f, err := readFiles(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	h.Store.mu.Lock() // who watches waits for the names
	err = h.takeLocked(f)
	h.renamed <- struct{}{}
	write(t, dir, "two.example", key(t), start)
	h.Store.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second certificate is seen", h.shows(t, "two.example"))
}

// A way of replacing a pair of files, each at a moment of its own.
type replacing struct {
	prepare func(t *testing.T, dir string) // makes of the files in dir what is replaced later
	replace func(t *testing.T, name, text string)
}

func waysOfReplacing() map[string]replacing {
	return map[string]replacing{
		"by renaming": {func(*testing.T, string) {}, put},
		"in place": {func(*testing.T, string) {}, func(t *testing.T, name, text string) {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		"as certbot does": {func(t *testing.T, dir string) {
			for _, name := range []string{"server.crt", "server.key"} {
				rename(t, filepath.Join(dir, name), filepath.Join(dir, "1-"+name))
				link(t, "1-"+name, filepath.Join(dir, name))
			}
		}, func(t *testing.T, name, text string) {
			put(t, filepath.Join(filepath.Dir(name), "2-"+filepath.Base(name)), text)
			link(t, "2-"+filepath.Base(name), name)
		}},
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// link makes a symbolic link, in the place of another if there is one.
func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name+".new"); err != nil {
		t.Fatal(err)
	}
	rename(t, name+".new", name)
}

// Programs replace a certificate and its key one after the other, in any way and
// order. What does not go together in between is in use at no time.
func TestPairsAreReplacedInAnyWayAndOrder(t *testing.T) {
	for name, way := range waysOfReplacing() {
		for _, order := range [][2]string{{"server.crt", "server.key"}, {"server.key", "server.crt"}} {
			t.Run(name+", "+order[0]+" first", func(t *testing.T) {
				t.Parallel()
				h, dir, next := newTenant(), t.TempDir(), t.TempDir()
				certFile, keyFile := write(t, dir, "one.example", key(t), start)
				way.prepare(t, dir)
				if err := h.Use(certFile, keyFile); err != nil {
					t.Fatal(err)
				}
				h.watch(t)
				eventually(t, "the directory is watched", h.Store.watch.Seeing)
				write(t, next, "two.example", key(t), start)
				for i, file := range order {
					text, err := os.ReadFile(filepath.Join(next, file))
					if err != nil {
						t.Fatal(err)
					}
					way.replace(t, filepath.Join(dir, file), string(text))
					if i == 0 {
						eventually(t, "the mismatch is told", func() bool { return strings.Contains(h.told(), "do not go together") })
						if !h.shows(t, "one.example")() {
							t.Fatal("the pair that was read before is not in use")
						}
					}
				}
				eventually(t, "the second certificate is seen", h.shows(t, "two.example"))
			})
		}
	}
}

// A certificate and key that are mounted into a container lie behind a link that is
// turned, so that both change at once: nothing is told of a mismatch.
func TestPairsAreReplacedAsKubernetesDoes(t *testing.T) {
	t.Parallel()
	h, dir := newTenant(), t.TempDir()
	volume := func(version, name string) {
		at := filepath.Join(dir, version)
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, at, name, key(t), start)
		link(t, version, filepath.Join(dir, "..data"))
	}
	volume("..1", "one.example")
	for _, file := range []string{"server.crt", "server.key"} {
		link(t, filepath.Join("..data", file), filepath.Join(dir, file))
	}
	if err := h.Use(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")); err != nil {
		t.Fatal(err)
	}
	h.watch(t)
	eventually(t, "the directory is watched", h.Store.watch.Seeing)
	for version, name := range []string{"two.example", "three.example"} {
		volume(".."+string(rune('2'+version)), name)
		if err := os.RemoveAll(filepath.Join(dir, ".."+string(rune('1'+version)))); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" is seen", h.shows(t, name))
	}
	if strings.Contains(h.told(), "stays in use") {
		t.Errorf("told:\n%s", h.told())
	}
}
