package test

import (
	"fmt"
	"io/fs"
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

// packageOf makes the packages of a version and returns the path of the .deb.
func packageOf(t *testing.T, version string) string {
	t.Helper()
	root := proctest.Root(t)
	cmd := exec.Command("make", "--no-print-directory", "package")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "VERSION="+version)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make package: %v\n%s", err, out)
	}
	list, _ := filepath.Glob(filepath.Join(root, ".build", "packages", "*.deb"))
	if len(list) != 1 {
		t.Fatalf("the packages are %v", list)
	}
	deb := filepath.Join(t.TempDir(), filepath.Base(list[0]))
	text, err := os.ReadFile(list[0])
	if err == nil {
		err = os.WriteFile(deb, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return deb
}

// Debian's own judge finds nothing in the package.
func TestPackageIsClean(t *testing.T) {
	out, err := exec.Command("lintian", "--allow-root", "--fail-on=error,warning", packageOf(t, "1.0")).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// rpmOf makes the packages of a version and returns the path of the .rpm.
func rpmOf(t *testing.T, version string) string {
	t.Helper()
	packageOf(t, version)
	list, _ := filepath.Glob(filepath.Join(proctest.Root(t), ".build", "packages", "*.rpm"))
	if len(list) != 1 {
		t.Fatalf("the packages for rpm are %v, want one", list)
	}
	kept := filepath.Join(t.TempDir(), filepath.Base(list[0]))
	proctest.Run(t, "cp", list[0], kept)
	return kept
}

// The life of the package for rpm: what it says of itself, installed, its programs run, the
// configuration edited, upgraded, erased. rpm, of this machine, keeps its records in a tree
// of Debian, which has none of the packages that it wants (--nodeps).
func TestPackageForRPM(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("installing a package needs root (scripts/notrun.sh)")
	}
	if !proctest.InNamespace(t) {
		return
	}
	first, second := rpmOf(t, "1.0"), rpmOf(t, "1.1")
	if got := proctest.Run(t, "rpm", "-qp", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE} %{LICENSE}\n", first); got != "kresd 1.0-1 all rights reserved; see /usr/share/doc/kresd/copyright\n" {
		t.Errorf("it says of itself %q", got)
	}
	if got := proctest.Run(t, "rpm", "-qp", "--requires", first); !strings.Contains(got, "glibc >= ") || !strings.Contains(got, "systemd\n") {
		t.Errorf("it needs %s", got)
	}
	if got := proctest.Run(t, "rpm", "-qpc", first); got != "/etc/knot-resolver/icann-ca.pem\n/etc/knot-resolver/kresd.conf\n/etc/knot-resolver/root.hints\n" {
		t.Errorf("its configuration is %s", got)
	}
	x := debian(t).entered()
	rpm := func(args ...string) string {
		t.Helper()
		return proctest.Run(t, "rpm", append([]string{"--root", x.path}, args...)...)
	}
	before := x.files()
	rpm("--install", "--nodeps", first)
	if got := rpm("--verify", "--nodeps", "kresd"); got != "" {
		t.Errorf("what is installed is not what the package has: %s", got)
	}
	for path, want := range map[string]string{
		"/var/cache/knot-resolver": "drwxr-x---", "/etc/knot-resolver/kresd.conf": "-rw-r--r--", "/usr/sbin/kresd": "-rwxr-xr-x",
		"/usr/share/zsh/site-functions/_kresc": "-rw-r--r--", "/usr/lib/systemd/system/kresd@.service": "-rw-r--r--",
	} {
		if info, err := os.Stat(x.path + path); err != nil || info.Mode().String() != want {
			t.Errorf("%s: %v, %v; want %s", path, info, err, want)
		}
	}
	if got := x.run("kresd", "--check-config", "-c", "/etc/knot-resolver/kresd.conf", "/var/cache/knot-resolver"); !strings.Contains(got, "no errors") {
		t.Errorf("the installed configuration: %s", got)
	}
	if got := x.run("stat", "-c", "%U", "/var/cache/knot-resolver"); got != "knot-resolver\n" {
		t.Errorf("the cache is of %s", got)
	}
	x.edit("\n-- mine\n")
	rpm("--upgrade", "--nodeps", second)
	if got := rpm("--query", "kresd"); !strings.HasPrefix(got, "kresd-1.1-1.") {
		t.Errorf("after the upgrade there is %s", got)
	}
	mine := func(path string) bool {
		text, err := os.ReadFile(x.path + path)
		return err == nil && strings.HasSuffix(string(text), "\n-- mine\n")
	}
	if !mine("/etc/knot-resolver/kresd.conf") {
		t.Error("the upgrade has changed the configuration")
	}
	rpm("--erase", "--nodeps", "kresd")
	if !mine("/etc/knot-resolver/kresd.conf.rpmsave") {
		t.Error("erasing has not saved the configuration")
	}
	left := slices.DeleteFunc(x.files(), func(name string) bool {
		info, err := os.Lstat(x.path + name)
		return slices.Contains(before, name) || err == nil && info.IsDir() || strings.HasPrefix(name, "/var/lib/rpm/") || strings.HasPrefix(name, "/usr/lib/sysimage/")
	})
	if !slices.Equal(left, []string{"/etc/knot-resolver/kresd.conf.rpmsave"}) {
		t.Errorf("erasing has left %v, want what was edited", left)
	}
}

// What a package says of rights agrees with what the project says.
func TestRightsAreSaidAlike(t *testing.T) {
	root := proctest.Root(t)
	if licences, _ := filepath.Glob(filepath.Join(root, "LICEN[CS]E*")); len(licences) > 0 {
		t.Fatalf("there is %v: have README.md, scripts/copyright.sh and packaging/nfpm.yaml name it", licences)
	}
	for file, want := range map[string]string{
		"README.md":            "Nobody has chosen a licence for kresd itself yet: its authors reserve all rights.",
		"scripts/copyright.sh": "Nobody has chosen a licence for kresd itself yet: its authors reserve all rights.",
		"packaging/nfpm.yaml":  "\nlicense: all rights reserved; see /usr/share/doc/kresd/copyright\n",
	} {
		if text, err := os.ReadFile(filepath.Join(root, file)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q (%v)", file, want, err)
		}
	}
}

// A tree is a Debian system that a test may change: a layer over a fresh one, or over
// this machine's where no fresh one can be had.
type tree struct {
	t    *testing.T
	path string
}

// debian makes a tree, in the mount namespace of the test.
func debian(t *testing.T) tree {
	t.Helper()
	root := proctest.Root(t)
	lower := filepath.Join(root, ".build", "debian-bookworm")
	if out, err := exec.Command("sh", filepath.Join(root, "scripts", "debiantree.sh"), lower).CombinedOutput(); err != nil {
		t.Logf("this machine's own tree takes the place of a fresh Debian: %v\n%s", err, out)
		lower = "/"
	}
	layers := proctest.RunDir(t)
	proctest.Run(t, "mount", "-t", "tmpfs", "tmpfs", layers)
	for _, dir := range []string{"upper", "work", "tree"} {
		if err := os.Mkdir(filepath.Join(layers, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	x := tree{t, filepath.Join(layers, "tree")}
	t.Cleanup(func() { _ = exec.Command("umount", "--recursive", "--lazy", layers).Run() })
	proctest.Run(t, "mount", "-t", "overlay", "overlay", "-o", fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, layers, layers), x.path)
	if lower == "/" {
		_, _ = x.try("dpkg", "--purge", "knot-resolver") // the tests' peer, with which it conflicts
		x.startNothing()
	}
	return x
}

// startNothing has a machine with this tree start none of the services that were
// installed before, such as the tests' peers, which listen on port 53 too.
func (x tree) startNothing() {
	x.t.Helper()
	gone, err := filepath.Glob(filepath.Join(x.path, "etc/systemd/system/*.wants"))
	if err != nil {
		x.t.Fatal(err)
	}
	// It forbids, in images of containers, that a package restarts its services.
	gone = append(gone, filepath.Join(x.path, "usr/sbin/policy-rc.d"))
	for _, path := range gone {
		if err := os.RemoveAll(path); err != nil {
			x.t.Fatal(err)
		}
	}
}

// entered is the tree with what programs in a chroot need.
func (x tree) entered() tree {
	x.t.Helper()
	proctest.Run(x.t, "mount", "-t", "proc", "proc", x.path+"/proc")
	proctest.Run(x.t, "mount", "--rbind", "/dev", x.path+"/dev")
	proctest.Run(x.t, "mount", "-t", "tmpfs", "tmpfs", x.path+"/run")
	return x
}

func (x tree) try(args ...string) (string, error) {
	cmd := exec.Command("chroot", append([]string{x.path}, args...)...)
	cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run runs a command in the tree and wants it to succeed.
func (x tree) run(args ...string) string {
	x.t.Helper()
	out, err := x.try(args...)
	if err != nil {
		x.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// install has dpkg install a package.
func (x tree) install(deb string) {
	x.t.Helper()
	x.copy(deb, "/package.deb")
	x.run("dpkg", "--install", "/package.deb")
	if err := os.Remove(x.path + "/package.deb"); err != nil {
		x.t.Fatal(err)
	}
}

func (x tree) copy(from, to string) {
	x.t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(x.path+to, text, 0o755)
	}
	if err != nil {
		x.t.Fatal(err)
	}
}

// files lists what is in the tree, but for the records of dpkg, of users and of time.
func (x tree) files() (list []string) {
	x.t.Helper()
	source := "/" + strings.Split(proctest.Root(x.t), "/")[1] // is below a tree that is this machine's own
	err := filepath.WalkDir(x.path, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, x.path)
		switch name {
		case "/proc", "/dev", "/sys", "/var/lib/dpkg", "/var/log", "/var/cache/ldconfig", "/var/cache/man", "/tmp", "/root", source:
			return filepath.SkipDir
		case "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/.pwd.lock", "/etc/subuid-", "/etc/subgid-":
			return nil
		}
		list = append(list, name)
		return nil
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return list
}

// serve starts what an installed unit says, with the sockets of its socket units, as
// the package's user and under the unit's restrictions.
func (x tree) serve(unit proctest.Unit, config proctest.Config) *proctest.Group {
	x.t.Helper()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		x.t.Fatal(err)
	}
	x.copy(self, "/sandbox")
	var uid, gid int
	if _, err := fmt.Sscan(x.run("sh", "-c", "id -u knot-resolver; id -g knot-resolver"), &uid, &gid); err != nil {
		x.t.Fatal(err)
	}
	_, env := unit.Sandbox(x.t, uid, gid, []string{unit.Last("Service.WorkingDirectory"), "/run/knot-resolver"}, nil)
	config.Env = append(config.Env, env)
	config.Env = append(config.Env, unit["Service.Environment"]...)
	config.Under = append(config.Under, "chroot", x.path, "/sandbox")
	line := os.Expand(unit.Last("Service.ExecStart"), func(name string) string {
		for _, setting := range unit["Service.Environment"] {
			if value, ok := strings.CutPrefix(setting, name+"="); ok {
				return value
			}
		}
		return ""
	})
	return proctest.Exec(x.t, config, strings.Fields(line))
}

// unit reads an installed one.
func (x tree) unit(instance, name string) proctest.Unit {
	x.t.Helper()
	return proctest.ReadUnit(x.t, instance, filepath.Join(x.path, "usr/lib/systemd/system", name))
}

// edit appends to the installed configuration.
func (x tree) edit(text string) {
	x.t.Helper()
	f, err := os.OpenFile(x.path+"/etc/knot-resolver/kresd.conf", os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
		f.Close()
	}
	if err != nil {
		x.t.Fatal(err)
	}
}

// answersAt53 tells whether a question at 127.0.0.1:53 is answered by an address.
func answersAt53(name, want string) bool {
	r, err := proctest.Exchange("udp", netip.MustParseAddrPort("127.0.0.1:53"), proctest.Query(name, dns.TypeA, 0))
	if err != nil || len(r.Answer) == 0 {
		return false
	}
	a, ok := r.Answer[len(r.Answer)-1].(*dns.A)
	return ok && (want == "" || a.A.String() == want)
}

// The life of the package in a fresh Debian: installed, started as its unit says, asked,
// configured, checked, reloaded, upgraded, removed, purged.
func TestPackageInAFreshDebian(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("installing a package needs root (scripts/notrun.sh)")
	}
	if !proctest.InNamespace(t) {
		return
	}
	first, second := packageOf(t, "1.0"), packageOf(t, "1.1")
	x := debian(t).entered()
	before := x.files()
	x.install(first)
	for path, want := range map[string]string{
		"/var/cache/knot-resolver":      "drwxr-x---",
		"/run/knot-resolver":            "drwxr-x---",
		"/etc/knot-resolver/kresd.conf": "-rw-r--r--",
		"/usr/sbin/kresd":               "-rwxr-xr-x",
	} {
		if info, err := os.Stat(x.path + path); err != nil || info.Mode().String() != want {
			t.Errorf("%s: %v, %v; want %s", path, info, err, want)
		}
	}
	if got := x.run("kresd-supervisor", "--version"); !strings.HasPrefix(got, "kresd, version") {
		t.Errorf("kresd-supervisor --version: %s", got)
	}
	if got := x.run("kresd", "--check-config", "-c", "/etc/knot-resolver/kresd.conf", "/var/cache/knot-resolver"); !strings.Contains(got, "no errors") {
		t.Errorf("the installed configuration: %s", got)
	}
	n := proctest.SmallInternet(t)
	config := proctest.On(t, n, 2)
	supervised := x.unit("", "kresd-supervisor.service")
	g := x.serve(supervised, config)
	proctest.Eventually(t, 30*time.Second, "localhost is answered", func() bool { return answersAt53("localhost", "127.0.0.1") })
	_, laboratory, _ := strings.Cut(config.Lua, "\n")
	x.edit("\n" + laboratory)
	x.run("kresd", "--check-config", "-c", "/etc/knot-resolver/kresd.conf", "/var/cache/knot-resolver")
	g.Signal(syscall.SIGHUP)
	proctest.Eventually(t, time.Minute, "the edited configuration is in force", func() bool {
		return strings.Contains(g.Log(), "rolling restart is complete")
	})
	if !answersAt53("www.example.com", "") {
		t.Errorf("the edited configuration does not work; log:\n%s", g.Log())
	}
	if got := x.run("kresc", "status", "/var/cache/knot-resolver"); !strings.Contains(got, "ID") {
		t.Errorf("kresc status: %s", got)
	}

	x.edit("\nnet.nosuch('x')\n")
	if out, err := x.try("kresd", "--check-config", "-c", "/etc/knot-resolver/kresd.conf", "/var/cache/knot-resolver"); err == nil || !strings.Contains(out, "kresd.conf:") {
		t.Errorf("a broken configuration: %v, %s", err, out)
	}
	g.Signal(syscall.SIGHUP)
	proctest.Eventually(t, time.Minute, "the mistake is told", func() bool { return strings.Contains(g.Log(), "nosuch") })
	if !answersAt53("www.example.com", "") {
		t.Errorf("a broken configuration has stopped the service; log:\n%s", g.Log())
	}

	edited, err := os.ReadFile(x.path + "/etc/knot-resolver/kresd.conf")
	if err != nil {
		t.Fatal(err)
	}
	x.install(second)
	if got := x.run("dpkg-query", "-W", "-f", "${Version}", "kresd"); !strings.HasPrefix(got, "1.1") {
		t.Errorf("after the upgrade it is version %s", got)
	}
	if now, err := os.ReadFile(x.path + "/etc/knot-resolver/kresd.conf"); err != nil || string(now) != string(edited) {
		t.Errorf("the upgrade has changed the configuration (%v)", err)
	}
	if !g.Alive() || !answersAt53("www.example.com", "") {
		t.Errorf("the upgrade has stopped the service; log:\n%s", g.Log())
	}
	if status, err := g.Stop(); status != 0 || err != nil {
		t.Errorf("status %d, %v", status, err)
	}

	x.run("dpkg", "--remove", "kresd")
	if _, err := os.Stat(x.path + "/etc/knot-resolver/kresd.conf"); err != nil {
		t.Errorf("removing has taken the configuration along: %v", err)
	}
	if _, err := os.Stat(x.path + "/usr/sbin/kresd"); err == nil {
		t.Error("removing has left the program")
	}
	x.run("dpkg", "--purge", "kresd")
	os.Remove(x.path + "/sandbox")
	left := slices.DeleteFunc(x.files(), func(name string) bool { return slices.Contains(before, name) })
	if len(left) > 0 {
		t.Errorf("purging has left %v", left)
	}
	if out, err := x.try("id", "knot-resolver"); err == nil {
		t.Errorf("purging has left the user: %s", out)
	}
}

// An instance of the installed template serves the sockets of the installed units.
func TestInstalledInstance(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("installing a package needs root (scripts/notrun.sh)")
	}
	if !proctest.InNamespace(t) {
		return
	}
	x := debian(t).entered()
	x.install(packageOf(t, "1.0"))
	control := x.unit("1", "kresd-control@.socket")
	path := x.path + control.Last("Socket.ListenStream")
	control["Socket.ListenStream"] = []string{path}
	names, files := activation(t, x.unit("", "kresd.socket"), control)
	config := proctest.Config{Workers: 1, Addr: netip.MustParseAddrPort("127.0.0.1:53")}
	x.serve(x.unit("1", "kresd@.service"), config.Activated(names, files...))
	consoleSays(t, path, "env.SYSTEMD_INSTANCE", "1")
	if !answersAt53("localhost", "127.0.0.1") {
		t.Error("localhost is not answered")
	}
	if _, err := net.Dial("tcp", "[::1]:53"); err != nil {
		t.Error(err)
	}
	if got := x.run("kresc", "-e", "worker.id", "/run/knot-resolver/control@1"); strings.TrimSpace(got) != "0" {
		t.Errorf("kresc says %q", got)
	}
}
