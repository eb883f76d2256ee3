package test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/proctest"
)

// A machine is a tree that systemd runs in, as a container of systemd-nspawn in the
// network of the test.
type machine struct {
	tree
	leader string // its first process, as this test sees it
}

// boot starts a machine and waits until it has started everything.
func (x tree) boot() machine {
	x.t.Helper()
	log, err := os.CreateTemp("", "machine")
	if err != nil {
		x.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=read-only", "--directory="+x.path, "--boot")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		x.t.Fatal(err)
	}
	m := machine{tree: x}
	x.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // has the machine halt
		end := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		end.Stop()
		if text, _ := os.ReadFile(log.Name()); m.leader == "" {
			x.t.Logf("the machine said:\n%s", text)
		}
		os.Remove(log.Name())
	})
	x.t.Cleanup(func() {
		if journal, _ := m.ask("journalctl", "--no-pager", "-n", "100", "-u", "kresd*"); x.t.Failed() {
			x.t.Logf("the journal of its services:\n%s", journal)
		}
	})
	proctest.Eventually(x.t, time.Minute, "the machine has started", func() bool {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
		m.leader = strings.TrimSpace(string(text))
		out, _ := m.ask("systemctl", "is-system-running")
		return strings.HasPrefix(out, "running") || strings.HasPrefix(out, "degraded")
	})
	return m
}

func (m machine) ask(args ...string) (string, error) {
	if m.leader == "" {
		return "", os.ErrProcessDone
	}
	cmd := exec.Command("nsenter", append([]string{"--target", m.leader, "--all"}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// do runs a command in the machine and wants it to succeed.
func (m machine) do(args ...string) string {
	m.t.Helper()
	out, err := m.ask(args...)
	if err != nil {
		m.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// dpkg installs or upgrades a package in the machine.
func (m machine) dpkg(deb string) {
	m.t.Helper()
	m.copy(deb, "/package.deb")
	m.do("dpkg", "--install", "/package.deb")
}

// dropIn writes a drop-in of a unit, as systemctl edit does.
func (m machine) dropIn(unit, text string) {
	m.t.Helper()
	dir := filepath.Join(m.path, "etc/systemd/system", unit+".d")
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "override.conf"), []byte(text), 0o644)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.do("systemctl", "daemon-reload")
}

// pid is the main process of a service, in the machine's own numbers.
func (m machine) pid(unit string) int {
	m.t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(m.do("systemctl", "show", "--property=MainPID", "--value", unit)))
	if err != nil {
		m.t.Fatal(err)
	}
	return pid
}

// moment is when a service changed last as a property says, in µs since the machine's start.
func (m machine) moment(unit, change string) int {
	m.t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(m.do("systemctl", "show", "--property="+change+"TimestampMonotonic", "--value", unit)))
	if err != nil {
		m.t.Fatal(err)
	}
	return n
}

// another waits until a service has another main process than before.
func (m machine) another(unit string, before int) {
	m.t.Helper()
	proctest.Eventually(m.t, time.Minute, unit+" has another process", func() bool {
		pid := m.pid(unit)
		return pid != 0 && pid != before && strings.HasPrefix(m.do("systemctl", "show", "--property=ActiveState", "--value", unit), "active")
	})
}

// machineMissing says why this machine can run none of systemd's, "" if it can.
func machineMissing() string {
	if os.Geteuid() != 0 {
		return "it needs root"
	}
	out, err := exec.Command("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--volatile=yes", "--directory=/", "/bin/true").CombinedOutput()
	if err != nil {
		return fmt.Sprintf("systemd-nspawn: %v: %s", err, out)
	}
	return ""
}

// The package on a machine with systemd: instances and a group, drop-ins of the manual,
// the watchdog, restarts, reloads and upgrades without a query lost, removal.
func TestPackageUnderSystemd(t *testing.T) {
	if why := machineMissing(); why != "" {
		t.Skip("no machine of systemd's can be had (scripts/notrun.sh): " + why)
	}
	if !proctest.InNamespace(t) {
		return
	}
	first, second := packageOf(t, "1.0"), packageOf(t, "1.1")
	n := proctest.SmallInternet(t)
	config := proctest.On(t, n, 1)
	m := debian(t).boot()
	m.dpkg(first)
	m.edit("\n" + afterFirstLine(config.Lua))
	laboratory := "[Service]\nWatchdogSec=3\nEnvironment=" + strings.Join(config.Env, " ") + "\n"
	m.dropIn("kresd@.service", laboratory)
	m.dropIn("kresd-supervisor.service", laboratory+"Environment=WORKERS=3\n")
	at := netip.MustParseAddrPort("127.0.0.1:53")

	m.do("systemctl", "enable", "--now", "kresd@1.service", "kresd@2.service")
	if !answersAt53("www.example.com", "") {
		t.Error("the instances do not answer")
	}
	if got := kdig(t, "@127.0.0.1", "+tls", "www.example.com"); !strings.Contains(got, "status: NOERROR") {
		t.Errorf("by TLS: %s", got)
	}
	if got := m.do("kresc", "status", "/run/knot-resolver"); strings.Count(got, "group ") != 2 {
		t.Errorf("kresc status: %s", got)
	}
	if got := m.do("systemctl", "show", "--property=Slice", "--value", "kresd@2.service"); got != "system-kresd.slice\n" {
		t.Errorf("the slice: %s", got)
	}

	// Enabled is what the machine starts with, and what the target restarts.
	if got := m.do("systemctl", "list-dependencies", "--no-pager", "multi-user.target"); !strings.Contains(got, "kresd@2.service") {
		t.Errorf("the machine starts %s", got)
	}
	one := m.pid("kresd@1.service")
	m.do("systemctl", "restart", "kresd.target")
	m.another("kresd@1.service", one)

	one = m.pid("kresd@1.service")
	m.do("sh", "-c", fmt.Sprintf("kill -STOP %d", one)) // the watchdog sees to it
	m.another("kresd@1.service", one)
	two := m.pid("kresd@2.service")
	m.do("sh", "-c", fmt.Sprintf("kill -KILL %d", two))
	m.another("kresd@2.service", two)

	one, two = m.pid("kresd@1.service"), m.pid("kresd@2.service")
	s := proctest.Load(t, at, 200, "www.example.com")
	m.dpkg(second)
	m.another("kresd@1.service", one)
	m.another("kresd@2.service", two)
	// One was back before the other went.
	back, went := m.moment("kresd@1.service", "ActiveEnter"), m.moment("kresd@2.service", "ActiveExit")
	if also, first := m.moment("kresd@2.service", "ActiveEnter"), m.moment("kresd@1.service", "ActiveExit"); back > went && also > first {
		t.Errorf("instances were restarted at once: 1 went at %d and was back at %d, 2 went at %d and was back at %d µs", first, back, went, also)
	}
	if r := s.Stop(); len(r.Lost) > 0 || r.Failed > 0 {
		t.Errorf("an upgrade of instances: of %d queries %d were lost, %d failed", r.Sent, len(r.Lost), r.Failed)
	}

	// As the manual has it: another port, and nothing on the old one.
	m.do("systemctl", "stop", "kresd@*.service", "kresd.socket", "kresd-tls.socket")
	m.dropIn("kresd.socket", dropIns["kresd.socket.d/zz-other-port.conf"])
	m.do("systemctl", "start", "kresd@1.service")
	if got := kdig(t, "@127.0.0.1", "-p", "53000", "www.example.com"); !strings.Contains(got, "status: NOERROR") {
		t.Errorf("on another port: %s", got)
	}
	if answersAt53("localhost", "") {
		t.Error("port 53 is still served")
	}

	// The group takes their place.
	m.do("systemctl", "start", "kresd-supervisor.service")
	if out, _ := m.ask("systemctl", "is-active", "kresd@1.service", "kresd.socket"); strings.Contains(out, "\nactive") || strings.HasPrefix(out, "active") {
		t.Errorf("beside the group there are still %s", out)
	}
	if got := m.do("kresc", "status", "/var/cache/knot-resolver"); !strings.Contains(got, "3 workers") {
		t.Errorf("kresc status: %s", got)
	}
	supervisor := m.pid("kresd-supervisor.service")
	s = proctest.Load(t, at, 200, "www.example.com")
	m.do("systemctl", "reload", "kresd-supervisor.service")
	replaced := func(times int) func() bool {
		return func() bool {
			return strings.Count(m.do("journalctl", "--no-pager", "-u", "kresd-supervisor"), "rolling restart is complete") == times
		}
	}
	proctest.Eventually(t, time.Minute, "the reload is complete", replaced(1))
	m.dpkg(first) // another version, and the workers become its
	proctest.Eventually(t, time.Minute, "the workers are those of the other version", replaced(2))
	if r := s.Stop(); len(r.Lost) > 0 || r.Failed > 0 {
		t.Errorf("a reload and an upgrade of the group: of %d queries %d were lost, %d failed", r.Sent, len(r.Lost), r.Failed)
	}
	if now := m.pid("kresd-supervisor.service"); now != supervisor {
		t.Errorf("the supervisor was restarted: %d, %d before", now, supervisor)
	}

	// A supervisor that dies takes its workers along, and the group is back at once.
	died := time.Now()
	m.do("sh", "-c", fmt.Sprintf("kill -KILL %d", supervisor))
	m.another("kresd-supervisor.service", supervisor)
	if !answersAt53("www.example.com", "") {
		t.Error("the group is not back after its supervisor has died")
	}
	t.Logf("the group is back %v after the death of its supervisor", time.Since(died))

	m.do("dpkg", "--purge", "kresd")
	if got := m.do("systemctl", "list-units", "--no-legend", "--no-pager", "--state=active", "kresd*"); strings.TrimSpace(got) != "" {
		t.Errorf("after its removal there are %s", got)
	}
	if got := m.do("find", "/etc/systemd/system", "-type", "l", "-name", "kresd*"); got != "" {
		t.Errorf("after its removal it is enabled still: %s", got)
	}
	if got := m.do("systemctl", "--failed", "--no-legend", "--no-pager"); strings.Contains(got, "kresd") {
		t.Errorf("failed units: %s", got)
	}
}
