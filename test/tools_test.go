package test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// tools runs kresd-host.lua and kresd-query.lua in an empty directory, on a small
// Internet.
type tools struct {
	t    *testing.T
	n    *authority.Internet
	conf string // text for -C
	dir  string // where they run
	tmp  string // where they may make temporary files
}

func newTools(t *testing.T, n *authority.Internet) *tools {
	t.Helper()
	roots := n.Roots()
	var hints []string
	for _, name := range slices.Sorted(maps.Keys(roots)) {
		for _, a := range roots[name] {
			hints = append(hints, fmt.Sprintf("['%s'] = { '%s' }", name, a))
		}
	}
	return &tools{t: t, n: n, dir: t.TempDir(), tmp: t.TempDir(),
		conf: "option('ALLOW_LOCAL', true) hints.root({ " + strings.Join(hints, ", ") + " })"}
}

// command is a tool with the configuration of the small Internet in front of its
// arguments.
func (k *tools) command(tool string, args ...string) *exec.Cmd {
	k.t.Helper()
	script := filepath.Join(proctest.Root(k.t), "scripts", tool)
	cmd := exec.Command(proctest.Bin("kresd"), append([]string{"--script", script, "-C", k.conf}, args...)...)
	cmd.Dir = k.dir
	cmd.Env = append(os.Environ(), "TMPDIR="+k.tmp, fmt.Sprintf("KRESD_UPSTREAM_PORT=%d", k.n.Port()), "KRESD_NO_EXPLORE=1")
	return cmd
}

// run runs a tool to its end, which leaves nothing behind.
func (k *tools) run(tool string, args ...string) (status int, stdout, stderr string) {
	k.t.Helper()
	cmd := k.command(tool, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	before := snapshot(k.t, k.dir) + snapshot(k.t, k.tmp)
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait()
	if after := snapshot(k.t, k.dir) + snapshot(k.t, k.tmp); withoutTimes(after) != withoutTimes(before) {
		k.t.Errorf("%s %q left behind:\n%s", tool, args, after)
	}
	return cmd.ProcessState.ExitCode(), out.String(), withoutWarnings(errs.String())
}

// withoutTimes leaves out when a directory was changed: the temporary one is used.
func withoutTimes(snapshot string) string {
	var lines []string
	for line := range strings.Lines(snapshot) {
		if f := strings.Fields(line); len(f) > 1 && f[1][0] != 'd' {
			lines = append(lines, line)
		} else if len(f) > 0 {
			lines = append(lines, f[0])
		}
	}
	return strings.Join(lines, "\n")
}

// withoutWarnings leaves out what the log says of a laboratory.
func withoutWarnings(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "for tests only") && !strings.Contains(line, "laborator") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func TestHostTool(t *testing.T) {
	const hint = "hints['host.example']='10.1.2.3'"
	k := newTools(t, proctest.SmallInternet(t))
	for _, c := range []struct {
		args           string
		status         int
		stdout, stderr string
	}{
		{"www.example.com", 0, "www.example.com. has address 192.0.2.80\nwww.example.com. has address 192.0.2.81\nwww.example.com. has IPv6 address 2001:db8::80\n", ""},
		{"-v -t mx example.com.", 0, "example.com. mail is handled by 10 mail.example.com. (insecure)\nexample.com. mail is handled by 20 mail.example.net. (insecure)\n", ""},
		{"-tTXT -t CAA example.com", 0, "example.com. has TXT record …\nexample.com. has CAA record …\n", ""},
		{"-t A alias.example.com", 0, "alias.example.com. is an alias for …\n…is an alias for …\n…", ""},
		{"-C " + hint + " 10.1.2.3", 0, "3.2.1.10.in-addr.arpa. has PTR record host.example.\n", ""},
		{"-t PTR -C " + hint + " 10.1.2.3", 0, "3.2.1.10.in-addr.arpa. has PTR record host.example.\n", ""},
		{"-t A -C " + hint + " host.example", 0, "host.example. has address 10.1.2.3\n", ""},
		{"-4 -t SRV www.example.com", 0, "", "www.example.com has no SRV record\n"},
		{"nothere.example.com", 1, "", "nothere.example.com is not found: NXDOMAIN\n"},
		{"2001:db8::80", 1, "", "0.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. is not found: NXDOMAIN\n"},
		{"dead.example", 1, "", "dead.example could not be looked up: SERVFAIL\n"},
		{"-h", 0, "Usage: kresd-host.lua …", ""},
		{"", 1, "", "Usage: kresd-host.lua …"},
		{"-x example.com", 1, "", "Usage: kresd-host.lua …"},
		{"-t", 1, "", "Usage: kresd-host.lua …"},
		{"-t A a b", 1, "", "Usage: kresd-host.lua …"},
		{"-t NOSUCH a", 1, "", "kresd-host.lua: 'NOSUCH' is no type of DNS\n"},
		{"-c NOSUCH a", 1, "", "kresd-host.lua: 'NOSUCH' is no class of DNS\n"},
		{"-C x( a", 1, "", "kresd-host.lua: …"},
		{"-f gone/root.key a", 1, "", "kresd-host.lua: …gone/root.key: the directory gone cannot be written to (no such file or directory)…"},
	} {
		status, stdout, stderr := k.run("kresd-host.lua", strings.Fields(c.args)...)
		if status != c.status || !alike(stdout, c.stdout) || !alike(stderr, c.stderr) {
			t.Errorf("kresd-host.lua %s: status %d, output\n%serrors\n%swant %d\n%s%s", c.args, status, stdout, stderr, c.status, c.stdout, c.stderr)
		}
	}
}

// alike compares texts; each … in want stands for anything.
func alike(got, want string) bool {
	parts := strings.Split(want, "…")
	for i, part := range parts {
		at := strings.Index(got, part)
		if at < 0 || i == 0 && at > 0 {
			return false
		}
		got = got[at+len(part):]
	}
	return got == "" || len(parts) > 1 && parts[len(parts)-1] == ""
}

// With trust anchors in a file, which is left as it is.
func TestToolsValidate(t *testing.T) {
	n, err := authority.Load(os.DirFS(filepath.Join(proctest.Root(t), "testdata", "zones")))
	if err != nil {
		t.Fatal(err)
	}
	from := uint32(time.Now().Unix()) - 86400
	anchor := n.Secure(authority.Security{From: from, Until: from + 20*86400, Unsigned: []string{"example.org."}})
	if err := n.Start(0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	k := newTools(t, n)
	for _, name := range []string{"root.key", "root.keys"} {
		if err := os.WriteFile(filepath.Join(k.dir, name), []byte(anchor+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]string{
		"-v -f root.key -t MX example.com": "example.com. mail is handled by 10 mail.example.com. (secure)\nexample.com. mail is handled by 20 mail.example.net. (secure)\n",
		"-vD -t MX example.com":            "example.com. mail is handled by 10 mail.example.com. (secure)\nexample.com. mail is handled by 20 mail.example.net. (secure)\n",
		"-v -t MX example.com":             "example.com. mail is handled by 10 mail.example.com. (insecure)\nexample.com. mail is handled by 20 mail.example.net. (insecure)\n",
		"-vD -t SOA example.org":           "example.org. has SOA record …(insecure)\n",
	} {
		status, stdout, stderr := k.run("kresd-host.lua", strings.Fields(args)...)
		if status != 0 || !alike(stdout, want) {
			t.Errorf("kresd-host.lua %s: status %d, %q, errors %q; want %q", args, status, stdout, stderr, want)
		}
	}
	for script, want := range map[string]int{"assert(req:resolved().flags.DNSSEC_WANT)": 0, "assert(not req:resolved().flags.DNSSEC_WANT)": 1} {
		if status, _, stderr := k.run("kresd-query.lua", "-C", "trust_anchors.add_file('root.keys', true)", "example.com", script); status != want {
			t.Errorf("%s: status %d, %s", script, status, stderr)
		}
	}
}

func TestQueryTool(t *testing.T) {
	k := newTools(t, proctest.SmallInternet(t))
	for _, c := range []struct {
		args           []string
		status         int
		stdout, stderr string
	}{
		{[]string{"www.example.com", `assert(kres.dname2str(req:resolved().zone_cut.name) == "example.com.")`}, 0, "", ""},
		{[]string{"www.example.com", `assert(kres.dname2str(req:resolved().zone_cut.name) == "com.")`}, 1, "", "kresd-query.lua: …assertion failed!\n"},
		{[]string{"-t", "MX", "example.com", "print(pkt:rcode(),", "#pkt:section(kres.section.ANSWER))"}, 0, "0\t2\n", ""},
		{[]string{"-tTXT", "-cIN", "example.com", "print(pkt:qtype() == kres.type.TXT, pkt:qclass())"}, 0, "true\t1\n", ""},
		{[]string{"nothere.example.com", "print(pkt:rcode() == kres.rcode.NXDOMAIN)"}, 0, "true\n", ""},
		{[]string{"-C", "mine = 5", "example.com", "assert(mine == 5)"}, 0, "", ""},
		{[]string{"example.com", "error({})"}, 1, "", "kresd-query.lua: …"},
		{[]string{"example.com", "os.exit(7)"}, 7, "", ""},
		{[]string{"example.com", "assert("}, 1, "", "kresd-query.lua: …unexpected symbol near <eof>\n"},
		{[]string{"-C", "mode('lax')", "example.com", "x = 1"}, 1, "", "kresd-query.lua: …mode: 'lax' is not one of strict, normal, permissive\n"},
		{[]string{"-h"}, 0, "Usage: kresd-query.lua …", ""},
		{[]string{"example.com"}, 1, "", "Usage: kresd-query.lua …"},
		{nil, 1, "", "Usage: kresd-query.lua …"},
		{[]string{"-z", "example.com", "x = 1"}, 1, "", "Usage: kresd-query.lua …"},
	} {
		status, stdout, stderr := k.run("kresd-query.lua", c.args...)
		if status != c.status || !alike(stdout, c.stdout) || !alike(stderr, c.stderr) {
			t.Errorf("kresd-query.lua %q: status %d, output\n%serrors\n%swant %d\n%s%s", c.args, status, stdout, stderr, c.status, c.stdout, c.stderr)
		}
	}
}

// A script or a configuration that does not end is ended, and so is the command.
func TestToolsWithEndlessCode(t *testing.T) {
	k := newTools(t, proctest.SmallInternet(t))
	const endless = "while true do end"
	for _, args := range [][]string{
		{"kresd-query.lua", "www.example.com", endless},
		{"kresd-query.lua", "-C", endless, "www.example.com", "assert(pkt)"},
		{"kresd-host.lua", "-C", endless, "www.example.com"},
	} {
		status, _, stderr := k.run(args[0], args[1:]...)
		if status != 1 || !strings.Contains(stderr, "it ran longer than 10s") {
			t.Errorf("%q: status %d, errors %q", args, status, stderr)
		}
	}
}

// While it waits for servers that are silent, a tool listens on nothing; a signal ends
// it at once, and nothing is left.
func TestToolsAreInterrupted(t *testing.T) {
	n := proctest.SmallInternet(t)
	for _, h := range n.Hosts() {
		h.Play(func(x *authority.Exchange) { x.Reply = nil })
	}
	for tool, args := range map[string][]string{"kresd-host.lua": {"example.com"}, "kresd-query.lua": {"example.com", "x = 1"}} {
		k := newTools(t, n)
		before := n.Queries()
		cmd := k.command(tool, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		proctest.Eventually(t, 10*time.Second, "it asks", func() bool { return n.Queries() > before })
		if got := listening(t, cmd.Process.Pid); got != "" {
			t.Errorf("%s listens:\n%s", tool, got)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if got, want := cmd.ProcessState.ExitCode(), 128+int(syscall.SIGTERM); got != want {
			t.Errorf("%s: status %d after SIGTERM, want %d", tool, got, want)
		}
		if left, _ := filepath.Glob(k.tmp + "/*"); len(left) > 0 {
			t.Errorf("%s left %v", tool, left)
		}
	}
}

// listening are the sockets of a process to which others may come, as the kernel lists
// them.
func listening(t *testing.T, pid int) string {
	t.Helper()
	inodes := map[string]bool{}
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, "socket:[") {
			inodes[strings.Trim(to, "socket:[]")] = true
		}
	}
	var out []string
	for file, waits := range map[string]func(f []string) string{
		"tcp": ofIP("0A"), "tcp6": ofIP("0A"), "udp": ofIP("07"), "udp6": ofIP("07"),
		"unix": func(f []string) string {
			if len(f) > 6 && f[3] == "00010000" {
				return f[6]
			}
			return ""
		},
	} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, file))
		if err != nil {
			continue // no IPv6
		}
		for line := range strings.Lines(string(text)) {
			if inodes[waits(strings.Fields(line))] {
				out = append(out, file+" "+line)
			}
		}
	}
	return strings.Join(out, "")
}

// ofIP is the inode of a socket in that state.
func ofIP(state string) func([]string) string {
	return func(f []string) string {
		if len(f) > 9 && f[3] == state {
			return f[9]
		}
		return ""
	}
}

// make install puts them beside the programs, and they find the kresd that was
// installed with them.
func TestInstalledTools(t *testing.T) {
	prefix := t.TempDir()
	proctest.Run(t, "make", "-s", "-C", proctest.Root(t), "install", "PREFIX="+prefix)
	for _, tool := range []string{"kresd-host.lua", "kresd-query.lua"} {
		out, err := exec.Command(filepath.Join(prefix, "bin", tool), "-h").CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "Usage: "+tool) {
			t.Errorf("%s -h: %v, %s", tool, err, out)
		}
	}
}
