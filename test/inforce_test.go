package test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/proctest"
)

// killAll kills every worker of a group, one after the other, each when the one before has
// been replaced.
func killAll(t *testing.T, g *proctest.Group, workers int) {
	t.Helper()
	for id := range workers {
		killOne(t, g, id, workers)
	}
}

// killOne kills a worker of a group and waits until it has been replaced.
func killOne(t *testing.T, g *proctest.Group, id, workers int) {
	t.Helper()
	old := g.Worker(t, id).PID
	kill(t, old)
	proctest.Eventually(t, 20*time.Second, fmt.Sprintf("worker %d is replaced", id), func() bool {
		return len(g.Workers()) == workers && !slices.Contains(pids(g.Workers()), old)
	})
}

// differs tells whether kresc status says that a file on disk is not what is in force.
func differs(status, file string) bool {
	names, _, said := strings.Cut(status, " on disk is not what is in force")
	names = names[strings.LastIndexByte(names, '\n')+1:]
	return said && slices.Contains(strings.Split(names, ", "), file)
}

// inForce waits until every worker has a value in the global mark.
func inForce(t *testing.T, g *proctest.Group, mark string, workers int) {
	t.Helper()
	got := ""
	proctest.Eventually(t, 20*time.Second, "all workers run what is in force", func() bool {
		got = g.Eval(t, "map 'mark'")
		return strings.Count(got, "=> "+mark) == workers
	})
}

// spoils are what an administrator may do to files while a group runs. Each is given the
// path of one.
var spoils = map[string]func(path string) error{
	"it is no Lua":        func(path string) error { return os.WriteFile(path, []byte("this is no Lua ("), 0o600) },
	"it fails":            func(path string) error { return os.WriteFile(path, []byte("error('no')"), 0o600) },
	"it ends the process": func(path string) error { return os.WriteFile(path, []byte("os.exit(3)"), 0o600) },
	"it never ends":       func(path string) error { return os.WriteFile(path, []byte("while true do end"), 0o600) },
	"it has mistypes":     func(path string) error { return os.WriteFile(path, []byte("cache.sise = 20 * MB"), 0o600) },
	"it is empty":         func(path string) error { return os.WriteFile(path, nil, 0o600) },
	"it is right, and nobody has asked for it yet": func(path string) error {
		return os.WriteFile(path, []byte("mark = 'too early'"), 0o600)
	},
	"it is gone": os.Remove,
	"it is a directory": func(path string) error {
		return oneAfterTheOther(os.Remove(path), os.Mkdir(path, 0o700))
	},
	"it is a FIFO that nobody writes to": func(path string) error {
		return oneAfterTheOther(os.Remove(path), unix.Mkfifo(path, 0o600))
	},
	"it is a link to itself": func(path string) error {
		return oneAfterTheOther(os.Remove(path), os.Symlink(path, path))
	},
}

func oneAfterTheOther(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Whatever becomes of a group's files, a worker that takes the place of a dead one runs
// what is in force: before anybody has asked for a reload, and after one that was refused.
func TestADeadWorkerIsReplacedByWhatIsInForce(t *testing.T) {
	dir := proctest.RunDir(t)
	files := map[string]string{"more.lua": "mark = 'good'", "lib/part.lua": "return { part = 1 }"}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := oneAfterTheOther(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		write(name, text)
	}
	config := proctest.On(t, proctest.SmallInternet(t), 2, "dofile('more.lua')", "package.path = 'first/?.lua;lib/?.lua'", "require('part')")
	config.Dir = dir
	g := proctest.Start(t, config)
	warm(t, g)
	files["config"] = config.Lua
	for what, spoil := range spoils {
		for _, name := range []string{"config", "more.lua", "lib/part.lua"} {
			if err := spoil(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			if out, errs, status := kresc(t, "", "status", g.Dir); status != 0 || !differs(out, name) {
				t.Errorf("%s, %s: status says %q, %q, %d", name, what, out, errs, status)
			}
			if what != "it never ends" && what != "it is right, and nobody has asked for it yet" && what != "it is empty" {
				if out, errs, status := reload(t, g); status != 1 {
					t.Errorf("%s, %s: the reload ends with %d, %q, %q", name, what, status, out, errs)
				}
			}
		}
		write("first/part.lua", "error('another file comes first')")
		killAll(t, g, 2)
		inForce(t, g, "good", 2)
		for name, text := range files {
			write(name, text)
		}
		if err := os.Remove(filepath.Join(dir, "first/part.lua")); err != nil {
			t.Fatal(err)
		}
		if out, _, _ := kresc(t, "", "status", g.Dir); strings.Contains(out, "is not what is in force") {
			t.Errorf("%s, and mended again: status says %q", what, out)
		}
	}
	write("more.lua", "mark = 'better'")
	if out, errs, status := reload(t, g); status != 0 {
		t.Fatalf("a good configuration: %q, %q, %d", out, errs, status)
	}
	inForce(t, g, "better", 2)
	write("more.lua", "error('no')")
	killAll(t, g, 2)
	inForce(t, g, "better", 2)
}

// Whatever becomes of the files of data that a configuration names, a worker takes the place
// of a dead one. What a reload would read again is in force until there is one; what is read
// again whenever it changes, whenever that can be used.
func TestABrokenFileOfDataKeepsNoWorkerAway(t *testing.T) {
	dir := proctest.RunDir(t)
	ca := proctest.NewCertificateAuthority(t)
	cert := ca.Issue(t, time.Now().Add(time.Hour), "dns.test")
	files := map[string]string{
		"hosts": "192.0.2.1 good.test", "list": "denied.test", "zone": "a.test. 60 A 192.0.2.1\n",
		"root": ". 60 NS a.root.\na.root. 60 A 192.0.2.53\n", "ticket": strings.Repeat("secret", 10),
	}
	for name, from := range map[string]string{"cert": cert.CertFile, "key": cert.KeyFile, "ca": ca.File} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	mend := func() {
		t.Helper()
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := oneAfterTheOther(os.RemoveAll(path), os.WriteFile(path, []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	mend()
	config := proctest.On(t, proctest.SmallInternet(t), 2,
		"modules.load('hints > iterate')", "hints.config('hosts')", "hints.root_file('root')",
		"mark = '' for line in io.lines('list') do mark = mark .. line end",
		"mark = mark .. ' ' .. #require('zonefile').file('zone')",
		"net.tls('cert', 'key')", "net.tls_sticket_secret_file('ticket')",
		"net.tls_client({'192.0.2.9', hostname = 'dns.test', ca_file = 'ca'})",
		"mark = mark .. ' ' .. hints.get('good.test')[1] .. ' ' .. net.tls().cert_file")
	config.Dir = dir
	g := proctest.Start(t, config)
	const good, better = "denied.test 1 192.0.2.1 cert", "denied.test 1 192.0.2.2 cert"
	inForce(t, g, good, 2)
	for name := range files {
		for what, spoil := range map[string]func(path string) error{
			"it is gone":    os.Remove,
			"it is garbage": func(path string) error { return os.WriteFile(path, []byte("\xff\xfe ((("), 0o600) },
		} {
			if (name == "list" || name == "zone") && what == "it is garbage" {
				continue // only the script could tell
			}
			if err := spoil(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			killOne(t, g, 1, 2)
			inForce(t, g, good, 2)
			mend()
		}
	}
	files["hosts"] = "192.0.2.2 good.test"
	mend()
	killAll(t, g, 2)
	inForce(t, g, good, 2)
	if out, errs, status := reload(t, g); status != 0 {
		t.Fatalf("reload: %q, %q, %d", out, errs, status)
	}
	inForce(t, g, better, 2)
	if err := os.Remove(filepath.Join(dir, "hosts")); err != nil {
		t.Fatal(err)
	}
	killAll(t, g, 2)
	inForce(t, g, better, 2)
}

// All workers of a group run what its first has read, also when a file changes while they
// start.
func TestAllWorkersRunTheSame(t *testing.T) {
	dir := proctest.RunDir(t)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "more.lua"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	writes := func(text string) string {
		return "local f = io.open('more.lua', 'w') f:write(\"" + text + "\") f:close()"
	}
	config := proctest.On(t, proctest.SmallInternet(t), 3, "dofile('more.lua')")
	config.Dir = dir
	write("mark = 'first' " + writes("mark = 3"))
	g := proctest.Start(t, config)
	inForce(t, g, "first", 3)
	write("mark = 'second' " + unlessChecked(writes("error()")))
	if out, errs, status := reload(t, g); status != 0 {
		t.Fatalf("%q, %q, %d", out, errs, status)
	}
	inForce(t, g, "second", 3)
}

// What is in force survives the supervisor's own replacement.
func TestAnUpgradeKeepsWhatIsInForce(t *testing.T) {
	programs := proctest.RunDir(t)
	install(t, programs, "kresd", 0)
	config := proctest.On(t, proctest.SmallInternet(t), 2, "mark = 'good'")
	config.Program = filepath.Join(programs, "kresd")
	g := proctest.Start(t, config)
	for i := range 2 {
		install(t, programs, "kresd", i+1)
		configure(t, g, strings.Replace(config.Lua, "good", fmt.Sprint("good", i), 1))
		if out, errs, status := reload(t, g); status != 0 {
			t.Fatalf("upgrade %d: %q, %q, %d", i, out, errs, status)
		}
		configure(t, g, "error('no')")
		killAll(t, g, 2)
		inForce(t, g, fmt.Sprint("good", i), 2)
	}
	if err := os.WriteFile(config.Program+".new", []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(config.Program+".new", config.Program); err != nil {
		t.Fatal(err)
	}
	if out, errs, status := reload(t, g); status != 1 {
		t.Errorf("a program that is none: %q, %q, %d", out, errs, status)
	}
	killAll(t, g, 2)
	inForce(t, g, "good1", 2)
}

// Two groups of one run directory have each its own.
func TestGroupsOfOneDirectoryRunTheirOwn(t *testing.T) {
	dir := proctest.RunDir(t)
	var groups []*proctest.Group
	n := proctest.SmallInternet(t)
	for i := range 2 {
		config := proctest.On(t, n, 1, fmt.Sprintf("mark = 'of %d'", i))
		config.Workers, config.Program = 1, "kresd-supervisor"
		path := filepath.Join(dir, fmt.Sprintf("config%d", i))
		if err := os.WriteFile(path, []byte(config.Lua), 0o600); err != nil {
			t.Fatal(err)
		}
		config.Dir, config.Args, config.Lua = dir, []string{"-c", filepath.Base(path)}, ""
		groups = append(groups, proctest.Launch(t, config))
	}
	shown := func(when string) {
		t.Helper()
		proctest.Eventually(t, 20*time.Second, when, func() bool {
			list := marks(dir)
			slices.Sort(list)
			return strings.Join(list, ",") == "of 0,of 1"
		})
	}
	shown("both serve")
	for i, g := range groups {
		// A supervisor keeps a configuration once a worker that runs it is ready.
		proctest.Eventually(t, 20*time.Second, "the worker is ready", func() bool {
			return strings.Contains(g.Log(), "all workers are ready")
		})
		if err := os.Remove(filepath.Join(dir, fmt.Sprintf("config%d", i))); err != nil {
			t.Fatal(err)
		}
		for _, pid := range g.Children() {
			kill(t, pid)
		}
	}
	shown("both serve again")
}

// A keeper plays the part of a service manager that keeps a descriptor.
type keeper struct {
	conn *net.UnixConn
	kept *os.File
}

// hear takes what a service says until it says a text.
func (k *keeper) hear(t *testing.T, until string) {
	t.Helper()
	for {
		_ = k.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		text, rights := make([]byte, 4096), make([]byte, 256)
		n, r, _, _, err := k.conn.ReadMsgUnix(text, rights)
		if err != nil {
			t.Fatalf("until the service said %q: %v", until, err)
		}
		said := string(text[:n])
		switch said {
		case "FDSTOREREMOVE=1\nFDNAME=configuration":
			if k.kept != nil {
				k.kept.Close()
			}
			k.kept = nil
		case "FDSTORE=1\nFDNAME=configuration":
			messages, _ := unix.ParseSocketControlMessage(rights[:r])
			fds, err := unix.ParseUnixRights(&messages[0])
			if err != nil {
				t.Fatal(err)
			}
			k.kept = os.NewFile(uintptr(fds[0]), "kept")
		}
		if strings.HasPrefix(said, until) {
			return
		}
	}
}

// start starts a service and passes what is kept, if it is, to it.
func (k *keeper) start(t *testing.T, c proctest.Config) *proctest.Group {
	t.Helper()
	if k.kept != nil {
		lua := c.Lua
		c = c.Activated("configuration", k.kept)
		c.Lua = lua
	}
	return proctest.Launch(t, c)
}

// A service that has died runs what it ran, when its manager has kept that; one that was
// stopped, or that cannot start so, runs its files.
func TestAServiceThatHasDiedRunsWhatWasInForce(t *testing.T) {
	for _, program := range []string{"kresd", "kresd-supervisor"} {
		t.Run(program, func(t *testing.T) {
			conn, config := manager(t, proctest.On(t, proctest.SmallInternet(t), 1, "mark = 'good'"))
			k := &keeper{conn: conn}
			config.Program, config.Dir = program, proctest.RunDir(t)
			config.Args = []string{"-c", "config"}
			g := k.start(t, config)
			k.hear(t, "READY=1")
			if k.kept == nil {
				t.Fatal("the manager keeps nothing")
			}
			good := config.Lua
			spoilt := strings.Replace(good, "mark = 'good'", "mark = 'edited' error('no')", 1)
			for _, spoil := range []func(){
				func() { config.Lua = spoilt },
				func() { config.Lua = ""; os.Remove(filepath.Join(config.Dir, "config")) },
			} {
				spoil()
				died := g
				kill(t, died.PID())
				if _, err := died.Wait(10 * time.Second); err != nil {
					t.Fatal(err)
				}
				g = k.start(t, config)
				k.hear(t, "READY=1")
				inForceAlone(t, g, "good")
				if out, _, _ := kresc(t, "", "status", g.Dir); !differs(out, "config") {
					t.Errorf("status says %q", out)
				}
				if !strings.Contains(g.Log(), "the process before this one has died: what it ran is run again") {
					t.Errorf("the log says nothing of it: %s", g.Log())
				}
			}
			g.Signal(syscall.SIGTERM)
			k.hear(t, "STOPPING=1")
			if k.kept != nil {
				t.Fatal("a service that is stopped leaves its configuration with the manager")
			}
			if _, err := g.Wait(10 * time.Second); err != nil {
				t.Fatal(err)
			}
			config.Lua = strings.Replace(good, "good", "new", 1)
			g = k.start(t, config)
			k.hear(t, "READY=1")
			inForceAlone(t, g, "new")
		})
	}
}

// A start that fails for a reason that may pass, such as a port that another process holds,
// leaves what was in force with the service manager; one whose configuration fails does not.
func TestAPassingTroubleForgetsNothing(t *testing.T) {
	for _, program := range []string{"kresd", "kresd-supervisor"} {
		t.Run(program, func(t *testing.T) {
			conn, config := manager(t, proctest.On(t, proctest.SmallInternet(t), 1, "if os.getenv('SPOILT') then error('no') end"))
			k := &keeper{conn: conn}
			config.Program, config.Dir = program, proctest.RunDir(t)
			config.Args = []string{"-c", "config"}
			g := k.start(t, config)
			k.hear(t, "READY=1")
			kill(t, g.PID())
			if _, err := g.Wait(10 * time.Second); err != nil {
				t.Fatal(err)
			}
			var holder *net.UDPConn
			proctest.Eventually(t, 20*time.Second, "the port is free", func() (free bool) {
				var err error
				holder, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(config.Addr))
				return err == nil
			})
			k.fails(t, config)
			holder.Close()
			if k.kept == nil {
				t.Fatal("what was in force is forgotten for a port that was held")
			}
			config.Env = append(config.Env, "SPOILT=1")
			k.fails(t, config)
			if k.kept != nil {
				t.Error("a configuration that fails is kept")
			}
		})
	}
}

// fails starts a service that cannot start, and takes what it says.
func (k *keeper) fails(t *testing.T, c proctest.Config) {
	t.Helper()
	g := k.start(t, c)
	if status, err := g.Wait(20 * time.Second); err != nil || status == 0 {
		t.Fatalf("status %d, %v: %s", status, err, g.Log())
	}
	end, err := net.DialUnix("unixgram", nil, k.conn.LocalAddr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	if _, err := end.Write([]byte("end")); err != nil {
		t.Fatal(err)
	}
	k.hear(t, "end")
}

func inForceAlone(t *testing.T, g *proctest.Group, mark string) {
	t.Helper()
	proctest.Eventually(t, 20*time.Second, "the service runs what is in force", func() bool {
		return slices.Equal(marks(g.Dir), []string{mark})
	})
}

// marks lists the global mark of each worker in a run directory that tells.
func marks(dir string) (list []string) {
	sockets, _ := filepath.Glob(filepath.Join(dir, "tty", "*"))
	for _, socket := range sockets {
		c, err := proctest.Dial(socket)
		if err != nil {
			continue // of a process that was killed
		}
		if text, err := c.Do("mark"); err == nil {
			list = append(list, strings.TrimSpace(text))
		}
		c.Close()
	}
	return list
}
