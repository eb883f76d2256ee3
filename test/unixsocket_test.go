package test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

const hintHere = "modules.load('hints') hints.set('here.example 192.0.2.99')\n"

// withPort is a group that has a port, too, by which it is known to be there.
func withPort(t *testing.T, workers int, lua string) proctest.Config {
	at := proctest.FreePort(t)
	return proctest.Config{Workers: workers, Addr: at, Args: []string{"-a", fmt.Sprintf("%s@%d", at.Addr(), at.Port())}, Lua: lua}
}

// askUnix asks for here.example at the UNIX socket of a path.
func askUnix(path string) error {
	c, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	defer c.Close()
	return askHere(c)
}

// askHere asks for here.example on a connection.
func askHere(c net.Conn) error {
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	co := &dns.Conn{Conn: c}
	if err := co.WriteMsg(proctest.Query("here.example", dns.TypeA, 0)); err != nil {
		return err
	}
	m, err := co.ReadMsg()
	if err == nil && len(m.Answer) != 1 {
		return errors.New("no answer in " + m.String())
	}
	return err
}

// A UNIX socket answers through the lives of its workers, kill -9 and rolling
// restart, and its file goes with the group.
func TestAUnixSocketOutlivesItsWorkers(t *testing.T) {
	path := filepath.Join(proctest.RunDir(t), "dns")
	g := proctest.Start(t, withPort(t, 3, hintHere+"net.listen('"+path+"', nil, { mode = '660' })"))
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o660 || info.Mode()&fs.ModeSocket == 0 {
		t.Fatalf("the file: %v, %v", info, err)
	}
	if !strings.Contains(g.Log(), "listening on "+path) {
		t.Error("the log does not name the path")
	}
	if got := g.Eval(t, "net.endpoints()["+"#net.endpoints()].transport.path"); strings.TrimSpace(got) != path {
		t.Errorf("net.endpoints() says %q", got)
	}
	for _, w := range g.Workers() { // one of them has the path
		if err := syscall.Kill(w.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		proctest.Eventually(t, 20*time.Second, "it is answered after kill -9", func() bool { return askUnix(path) == nil })
		proctest.Eventually(t, 20*time.Second, "the group is whole again", func() bool { return len(g.Workers()) == 3 })
	}
	g.Signal(syscall.SIGHUP)
	old := g.Workers()
	proctest.Eventually(t, 60*time.Second, "all workers are others", func() bool {
		if err := askUnix(path); err != nil {
			t.Errorf("while workers were replaced: %v", err)
		}
		for _, w := range g.Workers() {
			for _, o := range old {
				if w.PID == o.PID {
					return false
				}
			}
		}
		return len(g.Workers()) == 3
	})
	if _, err := g.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
}

// Another group is refused a path that one listens on, takes a stale file's place,
// and never that of another file.
func TestAUnixSocketIsNotTakenFromOthers(t *testing.T) {
	path := filepath.Join(proctest.RunDir(t), "dns")
	lua := hintHere + "\nnet.listen('" + path + "')"
	first := proctest.Start(t, withPort(t, 2, lua))
	for _, workers := range []int{1, 2} {
		second := proctest.Launch(t, proctest.Config{Workers: workers, Lua: lua})
		status, err := second.Wait(20 * time.Second)
		if want := "config:3: bind to '" + path + "': another program listens there (process "; err != nil || status != 1 || !strings.Contains(second.Log(), want) {
			t.Errorf("%d workers: status %d, %v, log %s; want %q", workers, status, err, second.Log(), want)
		}
	}
	if err := askUnix(path); err != nil {
		t.Error(err)
	}
	var workers []proctest.Worker
	proctest.Eventually(t, 20*time.Second, "both workers are known", func() bool { workers = first.Workers(); return len(workers) == 2 })
	for _, w := range workers {
		_ = syscall.Kill(w.PID, syscall.SIGSTOP) // so that none removes the file
	}
	first.Signal(syscall.SIGKILL)
	for _, w := range workers {
		_ = syscall.Kill(w.PID, syscall.SIGKILL)
	}
	proctest.Eventually(t, 20*time.Second, "nobody listens", func() bool { return errors.Is(askUnix(path), syscall.ECONNREFUSED) })
	third := proctest.Start(t, withPort(t, 1, lua))
	if err := askUnix(path); err != nil {
		t.Errorf("in the place of a stale file: %v", err)
	}
	if _, err := third.Stop(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fourth := proctest.Launch(t, proctest.Config{Workers: 1, Lua: lua})
	if status, err := fourth.Wait(20 * time.Second); err != nil || status != 1 || !strings.Contains(fourth.Log(), "there is a file, and it is not a socket") {
		t.Errorf("status %d, %v, log %s", status, err, fourth.Log())
	}
}

// What people have at hand speaks to it.
func TestAUnixSocketBySocat(t *testing.T) {
	path := filepath.Join(proctest.RunDir(t), "dns")
	proctest.Start(t, withPort(t, 1, hintHere+"net.listen('"+path+"')"))
	at := proctest.FreePort(t)
	relay := exec.Command("socat", "TCP-LISTEN:"+fmt.Sprint(at.Port())+",bind=127.0.0.1,fork,reuseaddr", "UNIX-CONNECT:"+path)
	if err := relay.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = relay.Process.Kill(); _ = relay.Wait() })
	proctest.Eventually(t, 20*time.Second, "dig is answered through socat", func() bool {
		out, _ := exec.Command("dig", "+tcp", "+short", "@127.0.0.1", "-p", fmt.Sprint(at.Port()), "here.example").Output()
		return strings.TrimSpace(string(out)) == "192.0.2.99"
	})
}
