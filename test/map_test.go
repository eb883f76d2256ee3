package test

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kresd/internal/proctest"
	"kresd/internal/safe"
)

// map gives the same from every worker, ordered by worker id, with values of
// their own type.
func TestMapFromEveryWorker(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 4))
	for _, w := range g.Workers() {
		for in, want := range map[string]string{
			"map 'worker.id'":                    "[1] => 0\n[2] => 1\n[3] => 2\n[4] => 3\n",
			"type(map('worker.id')[2])":          "number\n",
			"#map 'worker.pid'":                  "4\n",
			"map 'worker.id > 1'":                "[1] => false\n[2] => false\n[3] => true\n[4] => true\n",
			"map('{ a = { 1 } }')[3].a":          "[1] => 1\n",
			"map [['a\\0b']]":                    "[1] => a\\0b\n[2] => a\\0b\n[3] => a\\0b\n[4] => a\\0b\n",
			"map 'marker = worker.id'":           "[1] => \n[2] => \n[3] => \n[4] => \n",
			"map 'marker'":                       "[1] => 0\n[2] => 1\n[3] => 2\n[4] => 3\n",
			"#map 'cache.stats()'":               "4\n",
			"map('hostname()')[1] == hostname()": "true\n",
		} {
			if strings.HasPrefix(in, "map 'marker'") {
				proctest.Eval(t, w.Socket, "map 'marker = worker.id'")
			}
			got := proctest.Eval(t, w.Socket, in)
			if got+"\n" != want && got != want {
				t.Errorf("worker %d, %s:\n got %q\nwant %q", w.ID, in, got, want)
			}
		}
	}
}

// A worker that raises an error, or hangs, shows in its own place; the others'
// results stand.
func TestMapShowsFailuresInTheirPlace(t *testing.T) {
	g := proctest.Start(t, patient(proctest.On(t, proctest.SmallInternet(t), 3)))
	got := g.Eval(t, `map 'worker.id == 1 and error("some reason") or worker.id'`)
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	if len(lines) != 3 || lines[0] != "[1] => 0" || !strings.Contains(lines[1], "some reason") || lines[2] != "[3] => 2" {
		t.Errorf("one error among three:\n%s", got)
	}

	begin := time.Now()
	got = g.Eval(t, `map 'worker.id == 1 and (function () while true do end end)() or worker.id'`)
	if want := "[1] => 0\n[2] => false\n[3] => 2"; strings.TrimSuffix(got, "\n") != want {
		t.Errorf("one of three computes for ever: %q, want %q", got, want)
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("map took %v with a worker that computes for ever, want about 2 s", took)
	}

	hung, asked := g.Worker(t, 2), g.Worker(t, 1)
	if err := syscall.Kill(hung.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin = time.Now()
	got = proctest.Eval(t, asked.Socket, "map 'worker.id'")
	if want := "[1] => 0\n[2] => 1\n[3] => false"; strings.TrimSuffix(got, "\n") != want {
		t.Errorf("one of three hangs: %q, want %q", got, want)
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("map took %v with a hanging worker, want about 2 s", took)
	}
	if err := syscall.Kill(hung.PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// Without its leader map is led by the lowest id alive.
func TestMapWithoutTheLeader(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 3))
	follower := g.Worker(t, 2)
	g.Signal(syscall.SIGSTOP) // so that worker 0 stays away
	defer g.Signal(syscall.SIGCONT)
	if err := syscall.Kill(g.Worker(t, 0).PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, 10*time.Second, "map answers for the two that are left", func() bool {
		got := strings.TrimSuffix(proctest.Eval(t, follower.Socket, "map 'worker.id'"), "\n")
		return got == "[1] => false\n[2] => 1\n[3] => 2"
	})
}

// Calls from all workers at once wait for each other, not for ever.
func TestMapFromAllWorkersAtOnce(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 3))
	var wg sync.WaitGroup
	for _, w := range g.Workers() {
		for range 4 {
			wg.Add(1)
			safe.Go("map", nil, func() {
				defer wg.Done()
				c, err := proctest.Dial(w.Socket)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				got, err := c.Do("map 'worker.id'")
				if want := "[1] => 0\n[2] => 1\n[3] => 2\n"; err != nil || got != want {
					t.Errorf("worker %d: %q, %v; want %q", w.ID, got, err, want)
				}
			})
		}
	}
	wg.Wait()
}

// map inside map, and map in the configuration, are errors.
func TestMapIsRefusedWhereItCannotWork(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	got := g.Eval(t, `map "map 'worker.id'"`)
	if strings.Count(got, "map") < 2 || strings.Contains(got, "{") {
		t.Errorf("map inside map: %q, want an error in each place", got)
	}
	config := proctest.On(t, proctest.SmallInternet(t), 2, "map 'worker.id'")
	bad := proctest.Launch(t, config)
	if status, err := bad.Wait(10 * time.Second); status == 0 || err != nil || !strings.Contains(bad.Log(), "map") {
		t.Errorf("map in the configuration: status %d, %v, log:\n%s", status, err, bad.Log())
	}
}
