package test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// boundAt makes the two sockets of plain DNS at an address.
func boundAt(t *testing.T, at netip.AddrPort) (udp, tcp *os.File) {
	t.Helper()
	pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	udp, err = pc.File()
	if err == nil {
		tcp, err = ln.File()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { udp.Close(); tcp.Close() })
	return udp, tcp
}

// controlSocket makes a console's socket, as kresd-control@.socket does.
func controlSocket(t *testing.T) (path string, f *os.File) {
	t.Helper()
	path = filepath.Join(proctest.RunDir(t), "control@1")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	defer ln.Close()
	if f, err = ln.File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return path, f
}

// consoleSays runs a command on a console as soon as somebody serves it.
func consoleSays(t *testing.T, path, command, want string) {
	t.Helper()
	var got string
	proctest.Eventually(t, 20*time.Second, fmt.Sprintf("%s says %q to %q", path, want, command), func() bool {
		c, err := proctest.Dial(path)
		if err != nil {
			return false
		}
		defer c.Close()
		got, err = c.Do(command)
		return err == nil && strings.Contains(got, want)
	})
}

// servesAt wants an answer by UDP and by TCP.
func servesAt(t *testing.T, g *proctest.Group) {
	t.Helper()
	for _, network := range []string{"udp", "tcp"} {
		if r := g.Ask(t, network, "www.example.com", dns.TypeA, 0); r.Rcode != dns.RcodeSuccess || len(r.Answer) == 0 {
			t.Errorf("by %s: %v", network, r)
		}
	}
}

// One process serves what it inherits, tells where it listens, has no console on its
// input nor a file of its own for one, and leaves the sockets to who comes after.
func TestInheritedSocketsOfOneProcess(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 1)
	config.Dir = proctest.RunDir(t)
	udp, tcp := boundAt(t, config.Addr)
	path, control := controlSocket(t)
	for range 2 {
		g := proctest.Launch(t, config.Activated("dns:anything:CONTROL", udp, tcp, control))
		consoleSays(t, path, "worker.id", "0")
		servesAt(t, g)
		consoleSays(t, path, "net.list()", fmt.Sprintf("[port] => %d", config.Addr.Port()))
		if files, _ := filepath.Glob(filepath.Join(g.Dir, "tty", "*")); len(files) > 0 {
			t.Errorf("a control socket was passed, and there is %v, too", files)
		}
		if status, err := g.Stop(); status != 0 || err != nil {
			t.Fatalf("status %d, %v; log:\n%s", status, err, g.Log())
		}
	}
}

// All workers of a group serve what the supervisor inherits, those too that come
// later: after one was killed, after all were replaced. The console is that of the
// worker that leads.
func TestInheritedSocketsOfAGroup(t *testing.T) {
	for _, program := range []string{"kresd", "kresd-supervisor"} {
		t.Run(program, func(t *testing.T) {
			config := proctest.On(t, proctest.SmallInternet(t), 3)
			config.Program = program
			udp, tcp := boundAt(t, config.Addr)
			path, control := controlSocket(t)
			g := proctest.Start(t, config.Activated("::control", udp, tcp, control))
			servesAt(t, g)
			consoleSays(t, path, "worker.id", "0")
			consoleSays(t, path, "map 'worker.pid'", "[3] => ")
			for id := range 3 {
				if got := proctest.Eval(t, g.Worker(t, id).Socket, "net.list()"); !strings.Contains(got, config.Addr.Addr().String()) {
					t.Errorf("worker %d listens on %s", id, got)
				}
			}
			s := proctest.Load(t, g.Addr, 300, "www.example.com")
			first := g.Worker(t, 0).PID
			kill(t, first)
			consoleSays(t, path, "worker.id", "")
			proctest.Eventually(t, 20*time.Second, "worker 0 is back", func() bool {
				list := g.Workers()
				return len(list) == 3 && list[0].PID != first
			})
			consoleSays(t, path, "worker.id", "0")
			before := g.Workers()
			g.Signal(syscall.SIGHUP)
			proctest.Eventually(t, 30*time.Second, "all workers are replaced", func() bool {
				return strings.Contains(g.Log(), "rolling restart is complete")
			})
			consoleSays(t, path, "worker.id", "0")
			servesAt(t, g)
			for _, w := range g.Workers() {
				for _, old := range before {
					if w.PID == old.PID {
						t.Errorf("worker %d was not replaced", w.ID)
					}
				}
			}
			// The killed worker takes along what it had received.
			if r := s.Stop(); len(r.Lost) > inside || r.Failed > 0 {
				t.Errorf("of %d queries %d were lost, %d failed", r.Sent, len(r.Lost), r.Failed)
			}
		})
	}
}

// Several instances serve the same sockets, as kresd@1 and kresd@2 do, and share the
// cache; one that ends leaves everything to the other.
func TestSeveralInstancesOnTheSameSockets(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 1)
	config.Dir = proctest.RunDir(t)
	udp, tcp := boundAt(t, config.Addr)
	config = config.Activated("dns:dns", udp, tcp)
	one, two := proctest.Start(t, config), proctest.Start(t, config)
	s := proctest.Load(t, config.Addr, 300, "www.example.com")
	servesAt(t, two)
	if status, err := one.Stop(); status != 0 || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
	three := proctest.Start(t, config)
	two.Signal(syscall.SIGTERM)
	if status, err := two.Wait(10 * time.Second); status != 0 || err != nil {
		t.Errorf("status %d, %v", status, err)
	}
	servesAt(t, three)
	if r := s.Stop(); len(r.Lost) > 0 || r.Failed > 0 {
		t.Errorf("of %d queries %d were lost, %d failed", r.Sent, len(r.Lost), r.Failed)
	}
}

// -S takes what a shell or another program leaves open.
func TestSocketsByOption(t *testing.T) {
	for _, workers := range []int{1, 2} {
		config := proctest.On(t, proctest.SmallInternet(t), workers)
		udp, tcp := boundAt(t, config.Addr)
		config.Lua = config.Activated("").Lua
		config.Files, config.Args = []*os.File{udp, tcp}, []string{"-S", "3", "--fd=4:dns"}
		servesAt(t, proctest.Start(t, config))
	}
}

// Sockets are served by what their names or options say, by all workers of a group.
func TestInheritedSocketsForEncryption(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 2)
	_, plain := boundAt(t, config.Addr)
	at, web := proctest.FreePort(t), proctest.FreePort(t)
	quic, tls := boundAt(t, at)
	_, https := boundAt(t, web)
	options := config
	options.Lua, options.Files = config.Activated("").Lua, []*os.File{plain, tls, https, quic}
	options.Args = []string{"-S", "3", "-T", "4", "-S", "5:doh2", "--fd=6:doq"}
	for _, c := range []proctest.Config{config.Activated("dns:TLS:DoH:doq", options.Files...), options} {
		g := proctest.Launch(t, c)
		proctest.Eventually(t, 20*time.Second, "both workers answer", func() bool { return len(g.Workers()) == 2 })
		for _, by := range []struct {
			at   netip.AddrPort
			how  string
			says string
		}{{at, "+tls", ";; TLS session"}, {web, "+https", ";; HTTP session"}, {at, "+quic", ";; QUIC session"}} {
			got := kdig(t, "@"+by.at.Addr().String(), "-p", fmt.Sprint(by.at.Port()), by.how, "www.example.com")
			if !strings.Contains(got, "status: NOERROR") || !strings.Contains(got, by.says) {
				t.Errorf("by %s: %s", by.how, got)
			}
		}
		if status, err := g.Stop(); status != 0 || err != nil {
			t.Errorf("status %d, %v", status, err)
		}
	}
}

// streamSocket gives a UNIX socket that listens, as systemd makes it of ListenStream= with a
// path.
func streamSocket(t *testing.T) (path string, socket *os.File) {
	t.Helper()
	path = filepath.Join(proctest.RunDir(t), "stream")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	if socket, err = ln.File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return path, socket
}

// UNIX sockets that are passed are served as their names say, by one process and by a
// group, which leave their files to who made them.
func TestInheritedUnixSocketsAreServed(t *testing.T) {
	plain, dnsSocket := streamSocket(t)
	encrypted, tlsSocket := streamSocket(t)
	for _, program := range []string{"kresd", "kresd-supervisor"} {
		for _, workers := range []int{1, 3} {
			config := withPort(t, workers, hintHere)
			config.Program = program
			g := proctest.Launch(t, config.Activated("dns:tls", dnsSocket, tlsSocket))
			ask := func(what string) {
				t.Helper()
				proctest.Eventually(t, 20*time.Second, what+": answers on both", func() bool {
					if askUnix(plain) != nil {
						return false
					}
					raw, err := net.Dial("unix", encrypted)
					if err != nil {
						return false
					}
					c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"dot"}})
					defer c.Close()
					return askHere(c) == nil
				})
			}
			ask("at first")
			if workers > 1 {
				proctest.Eventually(t, 20*time.Second, "all are there", func() bool { return len(g.Workers()) == workers })
				kill(t, g.Worker(t, 1).PID)
				ask("after a death")
				before := g.Workers()
				g.Signal(syscall.SIGHUP)
				proctest.Eventually(t, 60*time.Second, "all are replaced", func() bool {
					now := g.Workers()
					return len(now) == workers && !slices.ContainsFunc(now, func(w proctest.Worker) bool {
						return slices.ContainsFunc(before, func(b proctest.Worker) bool { return b.PID == w.PID })
					})
				})
				ask("after a restart")
			}
			if got := g.Eval(t, "net.endpoints()"); !strings.Contains(got, plain) || !strings.Contains(got, encrypted) {
				t.Errorf("net.endpoints() says %s", got)
			}
			if status, err := g.Stop(); status != 0 || err != nil {
				t.Errorf("status %d, %v; log:\n%s", status, err, g.Log())
			}
			for _, path := range []string{plain, encrypted} {
				if _, err := os.Lstat(path); err != nil {
					t.Errorf("%s, %d workers: the file of who made it: %v", program, workers, err)
				}
			}
		}
	}
}

// What cannot serve as its name says is refused by number and name, by a process and
// by a supervisor alike.
func TestWrongInheritedSockets(t *testing.T) {
	at := proctest.FreePort(t)
	udp, tcp := boundAt(t, at)
	_, control := controlSocket(t)
	for _, workers := range []int{1, 2} {
		for _, c := range []struct {
			names string
			files []*os.File
			says  string
		}{
			{"dns:tls", []*os.File{tcp, udp}, "inherited socket 4 cannot serve as 'tls': it is a datagram socket"},
			{"control:control", []*os.File{control, control}, "inherited sockets 3 and 4 are all named 'control'"},
			{"webmgmt", []*os.File{tcp}, "inherited socket 3 is named 'webmgmt'"},
		} {
			config := proctest.Config{Workers: workers, Addr: at, Lua: "-- nothing\n"}
			g := proctest.Launch(t, config.Activated(c.names, c.files...))
			status, err := g.Wait(20 * time.Second)
			if log := g.Log(); err != nil || status != 1 || strings.Count(log, "\n") != 1 || !strings.Contains(log, c.says) {
				t.Errorf("%d workers, %s: status %d, %v, log %q; want 1 and one line with %q", workers, c.names, status, err, log, c.says)
			}
		}
	}
}

// systemd's own program passes a socket when the first client comes, and it is served.
func TestSystemdSocketActivate(t *testing.T) {
	config := proctest.On(t, proctest.SmallInternet(t), 1)
	config.Lua = config.Activated("").Lua
	config.Under = []string{"systemd-socket-activate", "--listen=" + config.Addr.String(), "--fdname=dns"}
	for _, v := range config.Env {
		config.Under = append(config.Under, "--setenv="+v)
	}
	g := proctest.Launch(t, config)
	var r *dns.Msg
	proctest.Eventually(t, 20*time.Second, "an answer over TCP", func() (ok bool) {
		var err error
		r, err = proctest.Exchange("tcp", g.Addr, proctest.Query("www.example.com", dns.TypeA, 0))
		return err == nil
	})
	if r.Rcode != dns.RcodeSuccess || len(r.Answer) == 0 {
		t.Errorf("the answer is %v", r)
	}
}
