package test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// Where another program has port 53 the message names it, with its process, and what can
// be done, in one line; by the default addresses, by -a, and by the configuration.
func TestWhoHasPort53IsNamed(t *testing.T) {
	if !proctest.InNamespace(t) {
		return
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", "[::1]:53")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	for _, c := range []struct {
		lua  string
		args []string
	}{
		{"", nil},
		{"", []string{"-a", "127.0.0.1"}},
		{"", []string{"-a", "127.0.0.1", "-a", "::1", "-f", "2"}},
		{"net = { '127.0.0.1' }", []string{"-f", "1"}},
		{"net.listen('::1')", []string{"-f", "1"}},
	} {
		dir := proctest.RunDir(t)
		if err := os.WriteFile(filepath.Join(dir, "config"), []byte(c.lua), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(proctest.Bin("kresd"), append(append([]string{"-n"}, c.args...), dir)...)
		out, err := cmd.CombinedOutput()
		last := regexp.MustCompile(`(?m)^kresd: .*$`).FindString(string(out))
		if cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("%+v: %v", c, err)
		}
		holder := fmt.Sprintf("address already in use by %s (process %d): stop it (kill %d)", comm(t), os.Getpid(), os.Getpid())
		for _, want := range []string{holder, "or listen elsewhere (-a ", "@5353)", "systemd-resolved, put DNSStubListener=no into /etc/systemd/resolved.conf and restart it"} {
			if strings.Count(last, want) != 1 {
				t.Errorf("%+v: %q does not say %q once", c, last, want)
			}
		}
	}
}

// comm is what the system calls this process.
func comm(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// An ordinary user who starts kresd in an empty directory is told a command, which works
// as it stands, and a question that is answered.
func TestAnOrdinaryUserIsToldTheCommandThatWorks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	if !proctest.InNamespace(t) {
		return
	}
	dir, bin := proctest.RunDir(t), proctest.RunDir(t)
	if err := os.Chmod(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	proctest.Run(t, "install", "-m755", proctest.Bin("kresd"), filepath.Join(bin, "kresd"))
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	shell := func(command string) *exec.Cmd {
		cmd := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", "exec "+command)
		cmd.Env = append(os.Environ(), "PATH="+bin+":/usr/bin:/bin")
		cmd.Dir = dir
		return cmd
	}
	mdns, err := net.ListenPacket("udp", ":5353") // as on a desktop
	if err != nil {
		t.Fatal(err)
	}
	defer mdns.Close()
	out, _ := shell("kresd -f 2 .").CombinedOutput()
	told := regexp.MustCompile(`permission denied; ports below 1024 need privileges\. As this user run: (.*); and ask it by: dig @(\S+) -p (\d+) nic\.cz\n`).FindStringSubmatch(string(out))
	if told == nil || told[1] != "kresd -a 127.0.0.1@5300 -f 2 ." {
		t.Fatalf("told %q by\n%s", told, out)
	}
	daemon := shell(told[1])
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer daemon.Wait()
	defer daemon.Process.Signal(os.Interrupt)
	c := &dns.Client{Timeout: 20 * time.Second}
	proctest.Eventually(t, time.Minute, "the command serves", func() bool {
		_, _, err := c.Exchange(proctest.Query("localhost", dns.TypeA, 0), net.JoinHostPort(told[2], told[3]))
		return err == nil
	})
}
