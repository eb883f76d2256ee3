package test

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// manager plays the service manager that is told things, with a watchdog of 2 s.
func manager(t *testing.T, c proctest.Config) (*net.UnixConn, proctest.Config) {
	t.Helper()
	path := filepath.Join(proctest.RunDir(t), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c.Env = append(c.Env, "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=2000000")
	return conn, c
}

// A process tells that it answers itself, whatever its rules make of the question.
func TestWatchdogOfOneProcess(t *testing.T) {
	notify, config := manager(t, proctest.On(t, proctest.SmallInternet(t), 1, "policy.add(policy.all(policy.DROP))"))
	proctest.Launch(t, config)
	expect(t, notify, "READY=1")
	expect(t, notify, "WATCHDOG=1")
	expect(t, notify, "WATCHDOG=1")
}

// A worker that is frozen is replaced under a watchdog, and its siblings are not. What
// waited in its sockets is answered.
func TestWatchdogReplacesAFrozenWorker(t *testing.T) {
	notify, config := manager(t, proctest.On(t, proctest.SmallInternet(t), 2))
	g := proctest.Start(t, config)
	expect(t, notify, "WATCHDOG=1")
	inCustody(t, g)
	frozen, other := g.Worker(t, 1).PID, g.Worker(t, 0).PID
	if err := syscall.Kill(frozen, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s := proctest.Load(t, g.Addr, 50, "www.example.com")
	proctest.Eventually(t, 30*time.Second, "worker 1 is another process", func() bool {
		return !proctest.Running(frozen)
	})
	proctest.Eventually(t, 30*time.Second, "both workers answer", func() bool { return len(g.Workers()) == 2 })
	if now := g.Worker(t, 0).PID; now != other {
		t.Errorf("worker 0 was replaced, too: %d, %d before", now, other)
	}
	if r := s.Stop(); len(r.Lost) > inside {
		t.Errorf("of %d queries %d were lost", r.Sent, len(r.Lost))
	}
}
