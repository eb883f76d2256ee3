package test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// A worker that is frozen under load is noticed within two seconds and replaced, and what
// waits in its sockets is answered by another.
func TestAFrozenWorkerIsReplaced(t *testing.T) {
	const rate = 1000
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 3))
	warm(t, g)
	inCustody(t, g)
	others := []int{g.Worker(t, 0).PID, g.Worker(t, 2).PID}
	s := proctest.Load(t, g.Addr, rate, names...)
	frozen := g.Worker(t, 1).PID
	if err := syscall.Kill(frozen, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	proctest.Eventually(t, 30*time.Second, "the frozen worker is gone", func() bool { return !proctest.Running(frozen) })
	took := time.Since(begun)
	proctest.Eventually(t, 30*time.Second, "its successor serves", func() bool {
		ws := g.Workers()
		return len(ws) == 3 && ws[1].PID != frozen
	})
	report := s.Stop()
	lossless(t, "a frozen worker", report, inside)
	t.Logf("gone after %v; of %d queries %d were lost, the slowest answer took %v", took, report.Sent, len(report.Lost), report.Wait(1))
	if !strings.Contains(g.Log(), "hangs: it has not said that it is alive for") {
		t.Error("the log does not say that it hangs")
	}
	if g.Worker(t, 0).PID != others[0] || g.Worker(t, 2).PID != others[1] {
		t.Error("a worker that answers was replaced, too")
	}
}

// A worker that a debugger holds is left alone.
func TestATracedWorkerIsLeftAlone(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	held := g.Worker(t, 1).PID
	runtime.LockOSThread() // which is the tracer
	defer runtime.UnlockOSThread()
	var threads []int
	defer func() { release(threads) }()
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", held))
	for _, e := range entries {
		thread, _ := strconv.Atoi(e.Name())
		if err := syscall.PtraceAttach(thread); err != nil {
			t.Skipf("not run: a process cannot be traced here: %v", err)
		}
		_, _ = syscall.Wait4(thread, nil, syscall.WALL, nil)
		threads = append(threads, thread)
	}
	proctest.Eventually(t, 30*time.Second, "the log says that it is traced", func() bool { return strings.Contains(g.Log(), "traces it") })
	time.Sleep(time.Second)
	if !proctest.Running(held) {
		t.Fatal("it was killed")
	}
	release(threads)
	threads = nil
	proctest.Eventually(t, 30*time.Second, "it answers again", func() bool { return len(g.Workers()) == 2 })
	if g.Worker(t, 1).PID != held {
		t.Error("it was replaced")
	}
}

// release lets threads go on that are traced.
func release(threads []int) {
	for _, thread := range threads {
		_ = syscall.PtraceDetach(thread)
	}
}

// The thread that receives hangs, as one does that waits for a lock: that is noticed
// although all other threads live.
func TestAWorkerWhoseListenerHangsIsReplaced(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2))
	warm(t, g)
	inCustody(t, g)
	s := proctest.Load(t, g.Addr, 500, names...)
	w := g.Worker(t, 1).PID
	runtime.LockOSThread() // which is the tracer
	defer runtime.UnlockOSThread()
	thread := 0
	proctest.Eventually(t, 30*time.Second, "a thread receives", func() bool { thread = receiver(t, w, g.Addr.Port()); return thread != 0 })
	if thread == w {
		t.Skip("not run: the first thread receives, and its tracer would be seen")
	}
	if err := syscall.PtraceAttach(thread); err != nil {
		t.Skipf("not run: a thread cannot be stopped here: %v", err)
	}
	begun := time.Now()
	_, _ = syscall.Wait4(thread, nil, syscall.WALL, nil)
	proctest.Eventually(t, 30*time.Second, "the log says that it hangs", func() bool { return strings.Contains(g.Log(), fmt.Sprintf("(pid %d) hangs", w)) })
	t.Logf("noticed after %v", time.Since(begun))
	_, _ = syscall.Wait4(thread, nil, syscall.WALL, nil) // the tracer hears of its end first
	proctest.Eventually(t, 30*time.Second, "its successor serves", func() bool {
		ws := g.Workers()
		return len(ws) == 2 && ws[1].PID != w
	})
	if !strings.Contains(g.Log(), "nobody receives what comes to "+g.Addr.Addr().String()) {
		t.Error("the log does not say what hangs")
	}
	lossless(t, "a listener that hangs", s.Stop(), inside)
}

// receiver is the thread of a process that waits for datagrams on a port.
func receiver(t *testing.T, pid int, port uint16) (thread int) {
	t.Helper()
	fds := map[string]bool{}
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	for _, e := range entries {
		to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, e.Name()))
		inode := strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")
		if n, err := strconv.Atoi(e.Name()); err == nil && slices.Contains(sockets(t, port), inode) {
			fds[fmt.Sprintf("%#x", n)] = true
		}
	}
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, e := range threads {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/syscall", pid, e.Name()))
		if f := strings.Fields(string(text)); len(f) > 1 && f[0] == strconv.Itoa(syscall.SYS_RECVFROM) && fds[f[1]] {
			thread, _ = strconv.Atoi(e.Name())
		}
	}
	return thread
}

// Scripts that take their time over every question, or hold up all others, are no reason
// to take a worker for one that hangs.
func TestSlowScriptsDoNotHang(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2,
		"policy.add(function() if slow then worker.sleep(1.8) end end)", "event.after(3000, function() slow = true end)", "event.after(8000, function() worker.sleep(4) end)"))
	old := pids(g.Workers())
	time.Sleep(14 * time.Second)
	if now := pids(g.Workers()); !slices.Equal(now, old) || strings.Contains(g.Log(), "hangs") {
		t.Errorf("the workers are %v, and were %v", now, old)
	}
}

// That the servers are dead to which rules send every question is no fault of the workers.
func TestADeadForwarderIsNoHang(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2, "event.after(2000, function() policy.add(policy.all(policy.FORWARD('127.0.0.9@9'))) end)"))
	old := pids(g.Workers())
	time.Sleep(15 * time.Second)
	if now := pids(g.Workers()); !slices.Equal(now, old) || strings.Contains(g.Log(), "hangs") {
		t.Errorf("the workers are %v, and were %v", now, old)
	}
}
