package test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// unanswered is far more than an answer may take while a file of the cache is
// damaged (a tenth of a second), for a machine that is busy with other tests.
const unanswered = 2 * time.Second

// overwrite puts garbage over the first n octets of a file.
func overwrite(path string, n int, rnd *rand.Rand) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	garbage := make([]byte, n)
	for i := range garbage {
		garbage[i] = byte(rnd.Uint32())
	}
	_, err = f.WriteAt(garbage, 0)
	return err
}

// What somebody writes to lock.mdb under a running group, 20 times, costs no answer,
// no worker and nothing of the cache. It left questions unanswered for good.
func TestGarbageInTheLockFileUnderLoad(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 4))
	warm(t, g)
	before := pids(g.Workers())
	path := filepath.Join(g.Dir, "lock.mdb")
	rnd := rand.New(rand.NewPCG(20, 7))
	s := proctest.Load(t, g.Addr, 1000, names...)
	for round := range 20 {
		var err error
		switch round % 4 {
		case 0, 2:
			err = overwrite(path, 1+rnd.IntN(1<<16), rnd)
		case 1:
			err = os.Truncate(path, 0)
		case 3:
			err = errors.Join(overwrite(path+".other", 8192, rnd), os.Rename(path+".other", path))
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 { // these are written to the cache, and read by the next worker
			g.Ask(t, "udp", fmt.Sprintf("lock%d-%d.wild.example.com", round, i), dns.TypeA, 1232)
		}
		time.Sleep(100 * time.Millisecond)
	}
	proctest.Eventually(t, 10*time.Second, "the log tells of it", func() bool {
		return strings.Contains(g.Log(), "lock.mdb was overwritten; put aside as lock.mdb.bad-")
	})
	answeredSoon(t, g, "garbage in lock.mdb", s.Stop())
	if after := pids(g.Workers()); !slices.Equal(before, after) {
		t.Errorf("workers %v became %v", before, after)
	}
	oneCache(t, g, 200)
}

// A data file that is damaged under a running group is given up by all of it, for one that they share.
func TestDataFileDamagedUnderLoad(t *testing.T) {
	for what, damage := range map[string]func(path string) error{
		"cut short":   func(p string) error { return os.Truncate(p, 20000) },
		"cut to none": func(p string) error { return os.Truncate(p, 0) },
		"garbage":     func(p string) error { return overwrite(p, 1<<20, rand.New(rand.NewPCG(1, 2))) },
	} {
		t.Run(what, func(t *testing.T) {
			g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 4))
			warm(t, g)
			count(t, g)
			before := pids(g.Workers())
			s := proctest.Load(t, g.Addr, 1000, names...)
			if err := damage(filepath.Join(g.Dir, "data.mdb")); err != nil {
				t.Fatal(err)
			}
			for i := range 50 {
				g.Ask(t, "udp", fmt.Sprintf("data%d.wild.example.com", i), dns.TypeA, 1232)
			}
			proctest.Eventually(t, 20*time.Second, "the log tells of it", func() bool {
				return strings.Contains(g.Log(), "cache in "+g.Dir+": ") && strings.Contains(g.Log(), ": opening the cache again")
			})
			time.Sleep(2 * time.Second) // every worker has looked at the file
			answeredSoon(t, g, "a data file "+what, s.Stop())
			if after := pids(g.Workers()); !slices.Equal(before, after) {
				t.Errorf("workers %v became %v:\n%s", before, after, g.Log())
			}
			for i := range 50 {
				g.Ask(t, "udp", fmt.Sprintf("later%d.wild.example.com", i), dns.TypeA, 1232)
			}
			oneCache(t, g, 50)
		})
	}
}

func answeredSoon(t *testing.T, g *proctest.Group, what string, r proctest.Report) {
	t.Helper()
	lossless(t, what, r, 0)
	if r.Wait(1) > unanswered {
		t.Errorf("%s: an answer took %v", what, r.Wait(1))
	}
	t.Logf("%s: of %d answers 99.9 %% within %v, all within %v", what, r.Answered, r.Wait(0.999), r.Wait(1))
}

// oneCache wants all workers to see the same entries, at least so many.
func oneCache(t *testing.T, g *proctest.Group, least int) {
	t.Helper()
	want := count(t, g)
	if want < least {
		t.Errorf("cache.count() is %d, want at least %d", want, least)
	}
	for _, w := range g.Workers() {
		if got := strings.TrimSpace(proctest.Eval(t, w.Socket, "cache.count()")); got != fmt.Sprint(want) {
			t.Errorf("worker %d counts %s entries, another one %d", w.ID, got, want)
		}
	}
}
