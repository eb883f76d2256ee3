package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// A share is how much of the processors a group and this process, which plays its clients
// and servers, got of what they wanted. What is lost in sockets while others have the
// processors is no fault of the resolver's: many losses are judged only where the machine
// was there for the test.
type share struct {
	pids        []int
	ran, waited time.Duration
}

// leastShare is that of a machine on which what was lost tells something.
const leastShare = 0.5

// watchShare begins to watch.
func watchShare(t *testing.T, g *proctest.Group) *share {
	s := &share{pids: []int{os.Getpid()}}
	for _, w := range g.Workers() {
		s.pids = append(s.pids, w.PID)
	}
	s.ran, s.waited = s.sum(t)
	return s
}

// sum is how long the threads of the processes have run and have waited to run
// (Documentation/scheduler/sched-stats.rst of the kernel).
func (s *share) sum(t *testing.T) (ran, waited time.Duration) {
	t.Helper()
	for _, pid := range s.pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, task := range tasks {
			text, err := os.ReadFile(task)
			f := strings.Fields(string(text))
			if err != nil || len(f) < 2 {
				continue // the thread has ended
			}
			r, _ := strconv.ParseInt(f[0], 10, 64)
			w, _ := strconv.ParseInt(f[1], 10, 64)
			ran, waited = ran+time.Duration(r), waited+time.Duration(w)
		}
	}
	return ran, waited
}

// got is the part of the wanted time since then, between 0 and 1.
func (s *share) got(t *testing.T) float64 {
	ran, waited := s.sum(t)
	ran, waited = ran-s.ran, waited-s.waited
	if ran <= 0 || waited <= 0 {
		return 1
	}
	return float64(ran) / float64(ran+waited)
}
