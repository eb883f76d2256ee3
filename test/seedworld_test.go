package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/authority"
	"kresd/internal/proctest"
)

// seedManual is the machine on which the manual's examples are tried: its interfaces,
// files and users, and an Internet whose root servers have the addresses of the real
// ones, signed by keys of its own.
type seedManual struct {
	n    *authority.Internet
	key  string // a file with the trust anchor
	bin  string // a directory with all programs
	home string // where shells begin
}

// newSeedManual makes the machine, in namespaces of its own. Outside of them it returns
// nil when the test is done.
func newSeedManual(t *testing.T, text string) *seedManual {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not run: files in /etc and /var are replaced, which needs root")
	}
	if !proctest.InNamespace(t) {
		return nil
	}
	m := &seedManual{bin: t.TempDir(), home: t.TempDir()}
	m.devices(t)
	m.files(t)
	m.internet(t, text)
	m.programs(t)
	return m
}

// devices makes the interfaces of the manual's examples.
func (m *seedManual) devices(t *testing.T) {
	t.Helper()
	for device, at := range map[string]string{"eth0": "192.168.0.1/24", "eth1": "10.1.0.1/24", "wan": "198.51.100.1/24"} {
		proctest.Run(t, "ip", "link", "add", device, "address", "de:ad:be:ef:aa:bb", "type", "bridge")
		proctest.Run(t, "ip", "link", "set", device, "addrgenmode", "none")
		proctest.Run(t, "ip", "addr", "add", at, "dev", device)
		proctest.Run(t, "ip", "link", "set", device, "up")
	}
	for _, z := range seedZones {
		proctest.Run(t, "ip", "addr", "add", z.server+"/32", "dev", "wan")
	}
}

// files gives the machine an /etc and a /var/cache of its own.
func (m *seedManual) files(t *testing.T) {
	t.Helper()
	etc := filepath.Join(t.TempDir(), "etc")
	proctest.Run(t, "cp", "-a", "/etc", etc)
	proctest.Run(t, "mount", "--bind", etc, "/etc")
	proctest.Run(t, "mount", "-t", "tmpfs", "none", "/var/cache")
	for _, add := range [][2]string{
		{"/etc/hosts", "127.0.0.1 parent"}, {"/etc/passwd", "knot-resolver:x:9053:9053::/:/bin/false"},
		{"/etc/group", "knot-resolver:x:9053:"}, {"/etc/group", "netgrp:x:9054:"},
	} {
		text, err := os.ReadFile(add[0])
		name, _, _ := strings.Cut(add[1], ":")
		if err == nil && !strings.Contains(string(text), "\n"+name+":") {
			err = os.WriteFile(add[0], append(text, "\n"+add[1]+"\n"...), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("USER", "root")
	if err := os.Mkdir("/var/cache/knot-resolver", 0o700); err != nil {
		t.Fatal(err)
	}
}

// seedZones are the zones of the Internet, each with one server.
var seedZones = []struct{ origin, ns, server string }{
	{".", "a.root-servers.net.", "198.41.0.4"},
	{"cz.", "a.ns.cz.", "194.0.12.1"},
	{"nic.cz.", "a.ns.nic.cz.", "194.0.13.1"},
	{"com.", "a.ns.com.", "192.5.6.30"},
	{"example.com.", "a.ns.example.com.", "199.43.135.53"},
}

// internet starts it. What nic.cz has is what the manual prints about it.
func (m *seedManual) internet(t *testing.T, text string) {
	t.Helper()
	files := fstest.MapFS{}
	for _, z := range seedZones {
		zone := fmt.Sprintf("$TTL 3600\n%[1]s SOA %[2]s admin.cz. 1 7200 3600 1209600 300\n%[1]s NS %[2]s\n%[2]s A %[3]s\n", z.origin, z.ns, z.server)
		for _, child := range seedZones {
			if child.origin != z.origin && parent(child.origin) == z.origin {
				zone += fmt.Sprintf("%[1]s NS %[2]s\n%[2]s A %[3]s\n", child.origin, child.ns, child.server)
			}
		}
		name := strings.TrimSuffix(z.origin, ".")
		if name == "" {
			name = "root"
		}
		files[name+".zone"] = &fstest.MapFile{Data: []byte(zone)}
	}
	add := func(zone string, lines ...string) {
		files[zone+".zone"].Data = append(files[zone+".zone"].Data, strings.Join(lines, "\n")+"\n"...)
	}
	add("nic.cz", "www.sub.nic.cz. A 192.0.2.1")
	for _, m := range regexp.MustCompile(`(?m)^(\S+\.) (has address|has IPv6 address|mail is handled by) (.*) \(secure\)$`).FindAllStringSubmatch(text, -1) {
		add("nic.cz", m[1]+" "+map[string]string{"has address": "A", "has IPv6 address": "AAAA", "mail is handled by": "MX"}[m[2]]+" "+m[3])
	}
	add("example.com", "example.com. AAAA 2001:db8::10", "www.example.com. A 192.0.2.80", "*.example.com. A 192.0.2.81")
	n, err := authority.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	now := uint32(time.Now().Unix())
	anchor := n.Secure(authority.Security{From: now - 86400, Until: now + 20*86400})
	if err := n.Start(0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	m.n, m.key = n, filepath.Join(t.TempDir(), "root.key")
	if err := os.WriteFile(m.key, []byte(anchor+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KRESD_UPSTREAM_PORT", fmt.Sprint(n.Port()))
	t.Setenv("KRESD_NO_EXPLORE", "1")
}

func parent(origin string) string {
	_, above, _ := strings.Cut(origin, ".")
	if above == "" {
		return "."
	}
	return above
}

// programs puts all that the manual's shell lines call into one directory.
func (m *seedManual) programs(t *testing.T) {
	t.Helper()
	for _, name := range []string{"kresd", "kresd-supervisor"} {
		if err := os.Symlink(proctest.Bin(name), filepath.Join(m.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"kresd-host.lua", "kresd-query.lua"} {
		text, err := os.ReadFile(filepath.Join(proctest.Root(t), "scripts", name))
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := strings.Cut(string(text), "\n")
		if err := os.WriteFile(filepath.Join(m.bin, name), []byte("#!"+proctest.Bin("kresd")+" --script\n"+body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", m.bin+":"+os.Getenv("PATH"))
}

// start starts a group with a configuration in a fresh run directory.
func (m *seedManual) start(t *testing.T, addr, lua string, workers int) *proctest.Group {
	t.Helper()
	return m.startIn(t, proctest.RunDir(t), addr, lua, workers)
}

func (m *seedManual) startIn(t *testing.T, dir, addr, lua string, workers int) *proctest.Group {
	t.Helper()
	key, err := os.ReadFile(m.key)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "root.key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	if !strings.Contains(lua, "trust_anchors") {
		args = append(args, "-K", "root.key")
	}
	return proctest.Start(t, proctest.Config{Dir: dir, Lua: lua, Workers: workers, Addr: address(addr), Args: args})
}

// lacks tells whether a group has nothing under an expression.
func (m *seedManual) lacks(t *testing.T, expression string) bool {
	t.Helper()
	g := m.start(t, loopback, "cache.size = 20*MB", 1)
	return g.Eval(t, "("+expression+") == nil") == "true"
}

// loopback is where a group listens by default.
const loopback = "127.0.0.1:53"

// bound lists where a worker listens.
const bound = "(function() local l, t = {}, {} for _, e in ipairs(net.endpoints()) do l[e.transport.ip .. '#' .. e.transport.port] = true end " +
	"for k in pairs(l) do t[#t + 1] = k end table.sort(t) return table.concat(t, ' ') end)()"

// config tries an example as the configuration of a group that is asked at addr.
// Expressions and what they are follow.
func config(addr string, holds ...string) func(*testing.T, *seedManual, string) {
	return func(t *testing.T, m *seedManual, text string) { m.configured(t, addr, text, holds...) }
}

func (m *seedManual) configured(t *testing.T, addr, text string, holds ...string) {
	t.Helper()
	g := m.start(t, addr, text+"\n", 1)
	for i := 0; i < len(holds); i += 2 {
		if got := g.Eval(t, holds[i]); got != holds[i+1] {
			t.Errorf("%s is %q, want %q", holds[i], got, holds[i+1])
		}
	}
	if wrong := regexp.MustCompile(`(?m)^.*[Ee]rror.*$`).FindString(g.Log()); wrong != "" {
		t.Errorf("the log says %q", wrong)
	}
}

// inLog tries an example as a configuration, and waits for what it prints.
func inLog(prints ...string) func(*testing.T, *seedManual, string) {
	return func(t *testing.T, m *seedManual, text string) {
		g := m.start(t, loopback, text+"\n", 1)
		for _, want := range prints {
			proctest.Eventually(t, 15*time.Second, want+" in the log", func() bool { return strings.Contains(g.Log(), want) })
		}
	}
}

// console tries each line of an example on a console; the last answer begins with want.
func console(want string) func(*testing.T, *seedManual, string) {
	return func(t *testing.T, m *seedManual, text string) {
		g := m.start(t, loopback, "cache.size = 100*MB", 1)
		got := m.say(t, g, text)
		if !strings.HasPrefix(got, want) || strings.Contains(got, "rror") {
			t.Errorf("%s\nsays %q, want %q", text, got, want)
		}
	}
}

// say types a text on the console of worker 0.
func (m *seedManual) say(t *testing.T, g *proctest.Group, text string) string {
	t.Helper()
	c, err := proctest.Dial(g.Worker(t, 0).Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, err := c.Do(text)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// prints tries what the manual shows as the output of a command.
func prints(command string) func(*testing.T, *seedManual, string) {
	return func(t *testing.T, m *seedManual, text string) {
		g := m.start(t, loopback, "net = { '127.0.0.1' }", 1)
		if got := m.say(t, g, command); !exactly(got, text) {
			t.Errorf("%s prints\n%s\nwant\n%s", command, got, text)
		}
	}
}

// commands are lines of a dialogue that are typed, where the manual shows no prompt.
var commands = regexp.MustCompile(`^(cache\.|map '|hostname\(\))`)

// dialogueOf types what the manual types, and compares the answers.
func dialogueOf(same func(got, want string) bool) func(*testing.T, *seedManual, string) {
	return func(t *testing.T, m *seedManual, text string) {
		g := m.start(t, loopback, "cache.size = 100*MB", 1)
		m.talk(t, g, dialogue(text, commands), same)
	}
}

func (m *seedManual) talk(t *testing.T, g *proctest.Group, list []said, same func(got, want string) bool) {
	t.Helper()
	c, err := proctest.Dial(g.Worker(t, 0).Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, s := range list {
		got, err := c.Do(s.command)
		if err != nil {
			t.Fatal(err)
		}
		if !same(got, s.answer) {
			t.Errorf("> %s\n%s\nwant\n%s", s.command, got, s.answer)
		}
	}
}

// exactly compares answers. The manual shows tables in the order of a hash, and no line
// for nil.
func exactly(got, want string) bool {
	sorted := func(text string) []string {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		slices.Sort(lines)
		return lines
	}
	return slices.Equal(sorted(strings.TrimSuffix(got, "nil\n")), sorted(want))
}

var numbers = regexp.MustCompile(`\d+`)

// numbersAlike compares answers in which numbers depend on what happened before.
func numbersAlike(got, want string) bool {
	return exactly(numbers.ReplaceAllString(got, "N"), numbers.ReplaceAllString(want, "N"))
}

// shell runs lines in a shell, in a directory, and returns what they print.
func (m *seedManual) shell(t *testing.T, dir, lines string) string {
	t.Helper()
	cmd := exec.Command("timeout", "120", "bash", "-c", lines)
	cmd.Dir = dir
	out, _ := cmd.Output() // the status is the last command's, and no failure of the shell
	return string(out)
}

// typed are the lines of an example behind "$ ", without their comments, and what the
// manual prints.
func typed(text string) (lines []string, output string) {
	for line := range strings.Lines(text) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			command, _, _ = strings.Cut(strings.TrimSuffix(command, "\n"), " # ")
			lines = append(lines, strings.TrimSpace(command))
		} else {
			output += line
		}
	}
	return lines, output
}

// resolves tells whether a question is answered there.
func resolves(t *testing.T, addr, qname string) bool {
	t.Helper()
	r, err := proctest.Exchange("udp", address(addr), proctest.Query(qname, dns.TypeA, 0))
	return err == nil && r.Rcode == dns.RcodeSuccess && len(r.Answer) > 0
}
