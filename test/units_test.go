package test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// units is the directory of unit files.
func units(t *testing.T) string { return filepath.Join(proctest.Root(t), "packaging", "systemd") }

// unitFiles are the unit files by their names, with %i in those of templates as it is.
func unitFiles(t *testing.T) (names []string) {
	t.Helper()
	for _, kind := range []string{"service", "socket", "target", "slice"} {
		paths, _ := filepath.Glob(filepath.Join(units(t), "*."+kind))
		for _, p := range paths {
			names = append(names, filepath.Base(p))
		}
	}
	want := []string{"kresd-supervisor.service", "kresd@.service", "kresd-control@.socket", "kresd-doh.socket", "kresd-tls.socket", "kresd.socket", "kresd.target", "system-kresd.slice"}
	if !slices.Equal(names, want) {
		t.Fatalf("the units are %v, want %v", names, want)
	}
	return names
}

// installed copies the units to a directory where systemd's programs find them, with
// the programs under test in the place of installed ones.
func installed(t *testing.T) string {
	t.Helper()
	dir := proctest.RunDir(t)
	for _, name := range unitFiles(t) {
		text, err := os.ReadFile(filepath.Join(units(t), name))
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.ReplaceAll(string(text), "/usr/sbin/", proctest.Bin("")+"/"))
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The drop-ins of the manual's chapter on sockets.
var dropIns = map[string]string{
	"kresd.socket.d/public.conf": `[Socket]
ListenDatagram=192.0.2.115:53
ListenStream=192.0.2.115:53
`,
	"kresd.socket.d/zz-other-port.conf": `[Socket]
ListenDatagram=
ListenStream=
ListenDatagram=127.0.0.1:53000
ListenStream=127.0.0.1:53000
ListenDatagram=[::1]:53000
ListenStream=[::1]:53000
`,
	"kresd-tls.socket.d/override.conf": `[Socket]
ListenStream=192.0.2.115:853
`,
	"kresd@.service.d/doh.conf": `[Service]
Sockets=kresd-doh.socket
`,
	"kresd-supervisor.service.d/workers.conf": `[Service]
Environment=WORKERS=4
`,
}

// systemd finds nothing to object to, with the drop-ins of the manual and without.
func TestUnitsAreVerified(t *testing.T) {
	for _, with := range []bool{false, true} {
		dir := installed(t)
		for path, text := range dropIns {
			path = filepath.Join(dir, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); with && err == nil {
				err = os.WriteFile(path, []byte(text), 0o644)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		args := []string{"verify", "--man=no"}
		for _, name := range unitFiles(t) {
			args = append(args, strings.Replace(name, "@.", "@1.", 1))
		}
		cmd := exec.Command("systemd-analyze", args...)
		cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":/lib/systemd/system")
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("with drop-ins: %v: %v\n%s", with, err, out)
		}
	}
}

// The exposure that systemd computes is at most 1.5.
func TestUnitsAreHardened(t *testing.T) {
	for _, name := range []string{"kresd@.service", "kresd-supervisor.service"} {
		cmd := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=15", filepath.Join(units(t), name))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// An empty line of a drop-in forgets what the unit says.
func TestDropInsOfTheManual(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) string {
		path := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(path, []byte(dropIns[name]), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	unit := filepath.Join(units(t), "kresd.socket")
	both := proctest.ReadUnit(t, "", unit, write("kresd.socket.d/public.conf"))
	if got := fmt.Sprint(both["Socket.ListenDatagram"]); got != "[[::1]:53 127.0.0.1:53 192.0.2.115:53]" {
		t.Errorf("with a public address: %s", got)
	}
	moved := proctest.ReadUnit(t, "", unit, write("kresd.socket.d/zz-other-port.conf"))
	if got := fmt.Sprint(moved["Socket.ListenStream"]); got != "[127.0.0.1:53000 [::1]:53000]" {
		t.Errorf("with another port: %s", got)
	}
}

// The user and group as which a sandboxed test runs kresd; it needs no entry anywhere.
const sandboxUser = 4242

// activation plays systemd for socket units: their sockets, under their names.
func activation(t *testing.T, sockets ...proctest.Unit) (names string, files []*os.File) {
	t.Helper()
	var list []string
	add := func(u proctest.Unit, l interface{ File() (*os.File, error) }, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		list, files = append(list, u.Last("Socket.FileDescriptorName")), append(files, f)
	}
	for _, u := range sockets {
		for _, at := range u["Socket.ListenDatagram"] {
			l, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
			add(u, l, err)
		}
		for _, at := range u["Socket.ListenStream"] {
			if strings.HasPrefix(at, "/") {
				l, err := net.ListenUnix("unix", &net.UnixAddr{Name: at, Net: "unix"})
				l.SetUnlinkOnClose(false)
				add(u, l, err)
				continue
			}
			l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort(at)))
			add(u, l, err)
		}
	}
	return strings.Join(list, ":"), files
}

// service starts what a unit says, under its restrictions, in a cache directory and
// with a configuration of the test's.
func service(t *testing.T, u proctest.Unit, c proctest.Config) *proctest.Group {
	t.Helper()
	if c.Dir == "" {
		c.Dir = proctest.RunDir(t)
	}
	if err := os.Chown(c.Dir, sandboxUser, sandboxUser); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(proctest.RunDir(t), "kresd.conf")
	if err := os.WriteFile(config, []byte(c.Lua), 0o644); err != nil {
		t.Fatal(err)
	}
	c.Lua = ""
	if err := os.Chmod(filepath.Dir(config), 0o755); err != nil {
		t.Fatal(err)
	}
	under, env := u.Sandbox(t, sandboxUser, sandboxUser, []string{c.Dir}, []string{proctest.Bin(""), filepath.Dir(config)})
	c.Under, c.Env = append(c.Under, under...), append(c.Env, env)
	words := strings.Fields(u.Last("Service.ExecStart"))
	c.Program = filepath.Base(words[0])
	if last := words[len(words)-1]; last != u.Last("Service.WorkingDirectory") {
		t.Errorf("it works in %s, and runs in %s", u.Last("Service.WorkingDirectory"), last)
	}
	for _, w := range words[1 : len(words)-1] {
		w = strings.Replace(w, "/etc/knot-resolver/kresd.conf", config, 1)
		if !strings.HasPrefix(w, "--forks=") { // the test's own
			c.Args = append(c.Args, w)
		}
	}
	c.Env = append(c.Env, u["Service.Environment"]...)
	return proctest.Launch(t, c)
}

// judgeSandbox looks at a process from outside: it has the user and
// the restrictions of its unit, these capabilities, could have no others than those of the
// bounding set, and gives none to programs.
func judgeSandbox(t *testing.T, pid int, capabilities, bounding string) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t4242\t4242", "Gid:\t4242\t4242", "NoNewPrivs:\t1", "Seccomp:\t2",
		"CapEff:\t" + capabilities, "CapPrm:\t" + capabilities, "CapBnd:\t" + bounding, "CapInh:\t" + bounding, "CapAmb:\t0000000000000000"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("process %d lacks %q:\n%s", pid, want, text)
		}
	}
}

// Two instances of kresd@.service serve the sockets of the units, on their true ports,
// as the user and under the restrictions that the unit gives them.
func TestInstancesUnderTheirUnits(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("becoming another user needs root (scripts/notrun.sh)")
	}
	if !proctest.InNamespace(t) {
		return
	}
	n := proctest.SmallInternet(t)
	base := proctest.On(t, n, 1)
	base.Addr = netip.MustParseAddrPort("127.0.0.1:53")
	base.Lua = afterFirstLine(base.Lua) // the addresses are the sockets'
	read := func(instance, name string) proctest.Unit {
		return proctest.ReadUnit(t, instance, filepath.Join(units(t), name))
	}
	names, files := activation(t, read("", "kresd.socket"), read("", "kresd-tls.socket"), read("", "kresd-doh.socket"))
	var consoles []string
	for _, instance := range []string{"1", "2"} {
		control := read(instance, "kresd-control@.socket")
		path := filepath.Join(proctest.RunDir(t), filepath.Base(control.Last("Socket.ListenStream")))
		if control.Last("Socket.ListenStream") != "/run/knot-resolver/control@"+instance {
			t.Errorf("the console is at %s", control.Last("Socket.ListenStream"))
		}
		control["Socket.ListenStream"] = []string{path}
		name, file := activation(t, control)
		service(t, read(instance, "kresd@.service"), base.Activated(names+":"+name, append(slices.Clone(files), file...)...))
		consoles = append(consoles, path)
	}
	for i, path := range consoles {
		consoleSays(t, path, "env.SYSTEMD_INSTANCE", fmt.Sprint(i+1))
		var pid int
		c, err := proctest.Dial(path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		text, err := c.Do("worker.pid")
		if _, bad := fmt.Sscan(text, &pid); err != nil || bad != nil {
			t.Fatalf("worker.pid: %q, %v", text, err)
		}
		judgeSandbox(t, pid, "0000000000000000", "0000000000000000")
		for command, want := range map[string]string{
			"(select(2, io.open('/etc/x', 'w')))": "Read-only file system",
			"io.open('/tmp/written', 'w')":        "file",
			"net.listen('127.0.0.1', 1023)":       "ermission denied",
			"cache.count() >= 0":                  "true",
			"#net.interfaces().lo.addr > 0":       "true",
			"os.execute('unshare -U true') == 0":  "false",
		} {
			if got, err := c.Do(command); err != nil || !strings.Contains(got, want) {
				t.Errorf("%s on instance %d: %q, %v; want %q", command, i+1, got, err, want)
			}
		}
	}
	for _, at := range []string{"@127.0.0.1", "@::1"} {
		for range 4 {
			if got := kdig(t, at, "+tls", "www.example.com"); !strings.Contains(got, "status: NOERROR") || !strings.Contains(got, ";; TLS session") {
				t.Errorf("by TLS at %s: %s", at, got)
			}
			if got := kdig(t, at, "-p", "44353", "+https", "www.example.com"); !strings.Contains(got, "status: NOERROR") || !strings.Contains(got, ";; HTTP session") {
				t.Errorf("by HTTPS at %s: %s", at, got)
			}
		}
	}
	for _, at := range []string{"127.0.0.1:53", "[::1]:53"} {
		for _, network := range []string{"udp", "tcp"} {
			for range 8 {
				r, err := proctest.Exchange(network, netip.MustParseAddrPort(at), proctest.Query("www.example.com", dns.TypeA, 0))
				if err != nil || r.Rcode != dns.RcodeSuccess || len(r.Answer) == 0 {
					t.Fatalf("by %s at %s: %v, %v", network, at, r, err)
				}
			}
		}
	}
}

// kdig asks as users do, and returns what it says.
func kdig(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("kdig", append(args, "+timeout=10", "+retry=0")...).CombinedOutput()
	if err != nil {
		t.Errorf("kdig %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// afterFirstLine is a text without its first line.
func afterFirstLine(text string) string {
	_, rest, _ := strings.Cut(text, "\n")
	return rest
}

// The supervised group binds port 53 by itself, as a user with that one capability, which
// the supervisor alone has: no worker has any, at any time. The workers, which see no
// process but their own, know each other's UNIX sockets.
func TestGroupUnderItsUnit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("becoming another user needs root (scripts/notrun.sh)")
	}
	if !proctest.InNamespace(t) {
		return
	}
	config := proctest.On(t, proctest.SmallInternet(t), 3)
	config.Addr = netip.MustParseAddrPort("127.0.0.1:53")
	config.Dir = proctest.RunDir(t)
	path := filepath.Join(config.Dir, "stream")
	config.Lua = afterFirstLine(config.Lua) + fmt.Sprintf("\nnet.listen({ '127.0.0.1', '%s' })\n", path) + hintHere
	notify, config := manager(t, config)
	if err := os.Chmod(filepath.Dir(notify.LocalAddr().String()), 0o755); err != nil {
		t.Fatal(err)
	}
	unit := proctest.ReadUnit(t, "", filepath.Join(units(t), "kresd-supervisor.service"))
	if got := unit.Last("Service.ExecStart"); !strings.Contains(got, " --forks=${WORKERS} ") || unit.Last("Service.Environment") != "WORKERS=2" {
		t.Errorf("the number of workers is not set by WORKERS: %s", got)
	}
	g := service(t, unit, config)
	proctest.Eventually(t, 30*time.Second, "three workers answer", func() bool { return len(g.Workers()) == 3 })
	judged := func() {
		t.Helper()
		judgeSandbox(t, g.PID(), "0000000000000400", "0000000000000400")
		for _, w := range g.Workers() {
			judgeSandbox(t, w.PID, "0000000000000000", "0000000000000400")
		}
	}
	judged()
	servesAt(t, g)
	kill(t, g.Worker(t, 1).PID)
	g.Signal(syscall.SIGHUP) // ExecReload=
	proctest.Eventually(t, 30*time.Second, "all workers are replaced", func() bool {
		return strings.Contains(g.Log(), "rolling restart is complete") && len(g.Workers()) == 3
	})
	servesAt(t, g)
	if err := askUnix(path); err != nil || strings.Contains(g.Log(), "another program listens there") {
		t.Errorf("at the UNIX socket: %v; log:\n%s", err, g.Log())
	}
	judged()
	if got := proctest.Eval(t, g.Worker(t, 0).Socket, "net.listen('127.0.0.1', 854)"); !strings.Contains(got, "ermission denied") {
		t.Errorf("a worker that serves has bound a low port: %s", got)
	}
}
