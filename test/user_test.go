package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// A cache that is opened before user() leaves files that the other user cannot
// open. The log says which line to move and what to chown, both when it happens
// and when it hurts; and a run directory that belongs to the user whom kresd
// becomes is no matter to warn of.
func TestACacheOpenedBeforeUserSaysWhatToMove(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}

	at := proctest.FreePort(t)
	run := func(lua string) string {
		dir := proctest.RunDir(t)
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		listen := "net.listen('" + at.Addr().String() + "', " + strings.Split(at.String(), ":")[1] + ")\n"
		before := proctest.Start(t, proctest.Config{Dir: dir, Addr: at, Lua: listen + "cache.size = 10*MB\nuser('nobody')\n"})
		if _, err := before.Stop(); err != nil {
			t.Error(err)
		}
		want := "config:3: the cache is open already, and its files belong to user 0: move the line config:2, which opens it, below user('nobody'), and chown data.mdb and lock.mdb to nobody"
		if got := before.Log(); strings.Count(got, want) != 1 || strings.Contains(got, "run directory") {
			t.Errorf("want once %q, and nothing of the run directory's owner:\n%s", want, got)
		}
		after := proctest.Launch(t, proctest.Config{Dir: dir, Addr: at, Lua: listen + lua})
		if status, err := after.Wait(20 * time.Second); err != nil || status != 1 {
			t.Errorf("status %d, %v", status, err)
		}
		if got := after.Log(); strings.Count(got, dir) != 1 {
			t.Errorf("the directory is named other than once:\n%s", got)
		}
		for _, name := range []string{"data.mdb", "lock.mdb"} {
			if err := os.Chown(filepath.Join(dir, name), nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
		proctest.Start(t, proctest.Config{Dir: dir, Addr: at, Lua: listen + lua}).Stop()
		return after.Log()
	}
	for _, lua := range []string{"user('nobody')\ncache.size = 10*MB\n", "user('nobody')\n"} {
		got := run(lua)
		for _, want := range []string{"permission denied: data.mdb belongs to user 0, and this process is user 65534; chown data.mdb and lock.mdb to that user", "above user(), move that line below it"} {
			if !strings.Contains(got, want) {
				t.Errorf("after %q: log lacks %q:\n%s", lua, want, got)
			}
		}
	}
}

// A cache in a directory of its own, which root made and the other user may not enter, is
// not seen by that user at all. It is named with its directory.
func TestACacheBeforeUserInADirectoryOfRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}

	at := proctest.FreePort(t)
	dir := proctest.RunDir(t)
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	sub := filepath.Join(dir, "sub")
	listen := "net.listen('" + at.Addr().String() + "', " + strings.Split(at.String(), ":")[1] + ")\n"
	open := "cache.open(10*MB, 'lmdb://" + sub + "')\n"
	before := proctest.Start(t, proctest.Config{Dir: dir, Addr: at, Lua: listen + open + "user('nobody')\n"})
	if _, err := before.Stop(); err != nil {
		t.Error(err)
	}
	want := "config:3: the cache is open already, and its files belong to user 0: move the line config:2, which opens it, below user('nobody'), and chown '" + sub + "', data.mdb and lock.mdb to nobody"
	if got := before.Log(); strings.Count(got, want) != 1 {
		t.Errorf("want once %q:\n%s", want, got)
	}
	after := proctest.Launch(t, proctest.Config{Dir: dir, Addr: at, Lua: listen + "user('nobody')\n" + open})
	if status, err := after.Wait(20 * time.Second); err != nil || status != 1 {
		t.Errorf("status %d, %v", status, err)
	}
	want = "cache in '" + sub + "': permission denied: the directory belongs to user 0, and this process is user 65534; chown it, data.mdb and lock.mdb to that user"
	if got := after.Log(); !strings.Contains(got, want) {
		t.Errorf("want %q:\n%s", want, got)
	}
}

// Root that opens a cache of the user whom it becomes is about to be the owner: at no
// start is anybody warned of the owner of that directory, nor of files that are the
// user's. A directory that stays somebody else's is named once.
func TestTheOwnerOfTheCacheIsNoMatterBeforeUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}

	at := proctest.FreePort(t)
	dir, cache := proctest.RunDir(t), proctest.RunDir(t)
	for _, d := range []string{dir, cache} {
		if err := os.Chown(d, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	start := func(lua string) string {
		g := proctest.Start(t, proctest.Config{Dir: dir, Addr: at, Workers: 2, Lua: "net.listen('" + at.Addr().String() + "', " + strings.Split(at.String(), ":")[1] + ")\n" + lua})
		if _, err := g.Stop(); err != nil {
			t.Error(err)
		}
		return g.Log()
	}
	start("user('nobody')\ncache.open(10*MB, 'lmdb://" + cache + "')\n")
	for range 2 {
		if got := start("cache.open(10*MB, 'lmdb://" + cache + "')\nuser('nobody')\n"); strings.Contains(got, "belong") {
			t.Errorf("a start that becomes the owner warns of it:\n%s", got)
		}
	}
	got := start("cache.open(10*MB, 'lmdb://" + cache + "')\n")
	for _, want := range []string{"run directory '" + dir + "' belongs to user 65534, not to 0", "cache directory '" + cache + "' belongs to user 65534, not to 0"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("want once %q:\n%s", want, got)
		}
	}
}
