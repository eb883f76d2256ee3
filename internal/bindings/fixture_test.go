package bindings

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kresd/internal/bindings/caching"
	"kresd/internal/bindings/network"
	"kresd/internal/cache"
	"kresd/internal/certificate"
	"kresd/internal/clock"
	"kresd/internal/dnsname"
	"kresd/internal/fdwatch"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/luavalue"
	"kresd/internal/metrics"
	"kresd/internal/module"
	"kresd/internal/modules/hints"
	"kresd/internal/modules/view"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/settings"
	"kresd/internal/textfile"
	"kresd/internal/ticket"
	"kresd/internal/transport"
	"kresd/internal/zonecut"
)

// world is a worker of fakes under the real globals in a real machine.
type world struct {
	t          *testing.T
	vm         *command.Interpreter
	out, err   transcript // what scripts print
	log        transcript
	d          *Daemon
	listener   *fakeListener
	encryption *fakeEncryption
	cache      *fakeCache
	process    *fakeProcess
	mapper     *fakeMapper
	roots      *fakeRoots
	// configured is what the module tally was given.
	configured []any
	broken     bool // the module fragile cannot be opened
	changes    int
}

// newWorld makes one; with changes what the globals control before they are made.
func newWorld(t *testing.T, with ...func(d *Daemon)) *world {
	t.Helper()
	w := &world{t: t, listener: &fakeListener{fail: map[string]error{}, also: []transport.Kind{transport.TLS}}, cache: &fakeCache{}, encryption: &fakeEncryption{}, process: &fakeProcess{count: 2}, roots: &fakeRoots{}}
	var err error
	if w.vm, err = command.New(script.Options{Stdout: &w.out, Stderr: &w.err, Getenv: func(name string) (string, bool) {
		return "somebody", name == "USER"
	}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.vm.Close)
	w.mapper = &fakeMapper{vm: w.vm}
	w.d = &Daemon{
		VM: w.vm.VM, Settings: settings.New(), Chain: module.NewChain(nil, w.modules()), Listener: w.listener, Encryption: w.encryption, Cache: w.cache, Metrics: figuresOf(),
		Process: w.process, Mapper: w.mapper, Clock: clock.Real(), Alarms: clock.NewAlarms(clock.Real()), Descriptors: fdwatch.New(nil), Log: logging.New(logging.Options{Out: &w.log}),
		Interfaces: fakeInterfaces, ModuleDir: "/modules", Changed: func() { w.changes++ },
	}
	t.Cleanup(w.d.Descriptors.Close)
	w.d.View = view.New(func() int { return 0 })
	for _, name := range []string{"iterate", "validate", "cache"} {
		if _, err := w.d.Chain.Load(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, change := range with {
		change(w.d)
	}
	w.do(func(*script.Call) error { Install(w.d); return nil })
	return w
}

// modules are those of the core, the hints, and a few that only play a part.
func (w *world) modules() []module.Module {
	plain := func(name string, inst module.Instance) module.Module {
		return module.Module{Name: name, Open: func(*module.Host) (*module.Instance, error) { return &inst, nil }}
	}
	tally := module.Instance{Config: func(v any) error {
		w.configured = append(w.configured, v)
		if v == "bad" {
			return errors.New("bad options")
		}
		return nil
	}}
	stats := module.Instance{Functions: []module.Function{{Name: "list", Fn: func([]any) ([]any, error) {
		return []any{(&luavalue.Table{}).Add("answer.slow", 6.0).Add("answer.total", 100.0)}, nil
	}}}}
	return []module.Module{
		plain("iterate", module.Instance{Layer: &resolve.Layer{Name: "iterate"}}),
		plain("validate", module.Instance{}), plain("cache", module.Instance{}),
		plain("policy", module.Instance{}), plain("view", module.Instance{}), plain("mute", module.Instance{}), plain("stats", stats), plain("tally", tally),
		{Name: "fragile", Open: func(*module.Host) (*module.Instance, error) {
			if w.broken {
				return nil, errors.New("out of glue")
			}
			return &module.Instance{}, nil
		}},
		{Name: "hints", Open: func(*module.Host) (*module.Instance, error) { return hints.Open(w.roots, textfile.Disk, nil) }},
	}
}

func (w *world) do(fn func(c *script.Call) error) {
	w.t.Helper()
	if err := w.vm.Do(context.Background(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// eval is what the console shows; errors begin with "ERROR ".
func (w *world) eval(command string) string {
	out, isErr := w.vm.Eval(context.Background(), command)
	if isErr {
		return "ERROR " + out
	}
	return out
}

// file runs a configuration file and returns the error's text.
func (w *world) file(text string) string {
	if err := w.vm.RunText(context.Background(), "config", text); err != nil {
		return err.Error()
	}
	return ""
}

// A step is a command and what it shows. An answer that ends in … stands for any
// rest.
type step [2]string

func (w *world) expect(steps ...step) {
	w.t.Helper()
	for _, s := range steps {
		if got := w.eval(s[0]); !matches(got, s[1]) {
			w.t.Errorf("%s\n got %q\nwant %q", s[0], got, s[1])
		}
	}
}

func matches(got, want string) bool {
	prefix, open := strings.CutSuffix(want, "…")
	return got == want || open && strings.HasPrefix(got, prefix)
}

// expectFile runs a file that must end with this error; "" for none.
func (w *world) expectFile(text, want string) {
	w.t.Helper()
	if got := w.file(text); !matches(got, want) {
		w.t.Errorf("%s\n got %q\nwant %q", text, got, want)
	}
}

// eventually waits for something that a timer does.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: nothing of it in ten seconds", what)
		}
	}
}

// transcript is a buffer for several writers.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *transcript) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *transcript) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// take returns what was written and forgets it.
func (b *transcript) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.buf.Reset()
	return b.buf.String()
}

func fakeInterfaces() []network.Interface {
	addr := netip.MustParseAddr
	return []network.Interface{
		{Name: "lo", Addrs: []netip.Addr{addr("127.0.0.1"), addr("::1")}},
		{Name: "eth0", MAC: net.HardwareAddr{0xde, 0xad, 0xbe, 0xef, 0xaa, 0xbb}, Addrs: []netip.Addr{addr("192.168.0.1")}},
		{Name: "eth1", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Addrs: []netip.Addr{addr("10.0.0.1"), addr("fe80::1%eth1")}},
		{Name: "br-lan", Addrs: []netip.Addr{addr("10.1.0.1")}},
	}
}

type fakeListener struct {
	list  []network.Endpoint
	fail  map[string]error // by address and port
	loose []bool           // the freebind flags, in order
	modes []fs.FileMode    // those of UNIX sockets, in order
	also  []transport.Kind // served beside UDP and TCP

	absent map[string]bool // addresses that are awaited
	failed []string        // what Failed was told
	places []string        // on whose behalf addresses were bound
}

func (l *fakeListener) Serves(k transport.Kind) bool {
	return k == transport.UDP || k == transport.TCP || slices.Contains(l.also, k)
}

func (l *fakeListener) Failed(err error) { l.failed = append(l.failed, err.Error()) }

func (l *fakeListener) Listen(a netip.AddrPort, kinds []transport.Kind, freebind bool, place string) (awaited bool, err error) {
	if err := l.fail[a.String()]; err != nil {
		return false, err
	}
	if !slices.ContainsFunc(l.list, func(e network.Endpoint) bool { return e.Addr == a }) {
		for _, k := range kinds {
			l.list = append(l.list, network.Endpoint{Addr: a, Kind: k})
		}
		l.loose = append(l.loose, freebind)
		l.places = append(l.places, place)
	}
	return l.absent[a.Addr().String()], nil
}

func (l *fakeListener) ListenPath(path string, kinds []transport.Kind, mode fs.FileMode, place string) error {
	if err := l.fail[path]; err != nil {
		return err
	}
	l.list = append(l.list, network.Endpoint{Path: path, Kind: kinds[len(kinds)-1]})
	l.modes = append(l.modes, mode)
	return nil
}

func (l *fakeListener) ClosePath(path string) bool {
	n := len(l.list)
	l.list = slices.DeleteFunc(l.list, func(e network.Endpoint) bool { return e.Path == path })
	return len(l.list) < n
}

func (l *fakeListener) Close(a netip.AddrPort) bool {
	n := len(l.list)
	l.list = slices.DeleteFunc(l.list, func(e network.Endpoint) bool { return e.Addr == a })
	return len(l.list) < n
}

func (l *fakeListener) Endpoints() []network.Endpoint { return l.list }

// bound are the addresses in order, and forgets them.
func (l *fakeListener) bound() string {
	var all []string
	for _, e := range l.list {
		if at := e.Addr.String(); !slices.Contains(all, at) {
			all = append(all, at)
		}
	}
	l.list, l.loose = nil, nil
	return strings.Join(all, " ")
}

// fakeEncryption takes what is not called bad.
type fakeEncryption struct {
	files  [2]string
	secret []byte
}

func (e *fakeEncryption) UseCertificate(certFile, keyFile string) error {
	if certFile == "bad" {
		return errors.New("'bad': no such file or directory")
	}
	e.files = [2]string{certFile, keyFile}
	return nil
}

func (e *fakeEncryption) UseAuthorities(file string) error {
	none := func(string) {}
	return certificate.NewAuthorities(textfile.Disk, none, none, none).Use(file)
}

func (e *fakeEncryption) Certificate() (certFile, keyFile string, end time.Time) {
	return e.files[0], e.files[1], time.Date(2027, 2, 27, 12, 0, 0, 0, time.UTC)
}

func (e *fakeEncryption) UseTicketSecret(file string) error {
	secret, err := ticket.FromFile(textfile.Disk, file)
	if err == nil {
		err = e.SetTicketSecret(secret)
	}
	return err
}

func (e *fakeEncryption) SetTicketSecret(secret []byte) error {
	if secret != nil && len(secret) < limits.TicketSecretMin {
		return ticket.ErrShort
	}
	e.secret = secret
	return nil
}

// fakeCache keeps names only. The owner goroutine is its only user but for the
// test that has stopped it.
type fakeCache struct {
	marks   int
	open    bool
	size    int64
	uri     string
	opens   []string // each Open and Close that did something
	failing string   // a directory that cannot be opened
	lo, hi  uint32
	names   []dnsname.Name
	apexes  []dnsname.Name
	typed   []uint16 // the types that Remove was told

	shown    map[dnsname.Name][]cache.Shown
	inserted []resolve.Set
	told     int64 // of the one inserted last
	synced   int
}

func (c *fakeCache) Open(size int64, uri, dir string) error {
	c.Close()
	if dir == c.failing {
		return errors.New("cache in '" + dir + "': no such place")
	}
	c.open, c.size, c.uri, c.lo, c.hi = true, size, uri, 5, 518400
	c.opens = append(c.opens, dir)
	return nil
}

func (c *fakeCache) Close() bool {
	was := c.open
	c.open, c.size = false, 0
	return was
}

func (c *fakeCache) IsOpen() bool { return c.open }
func (c *fakeCache) Size() int64  { return c.size }
func (c *fakeCache) URI() string  { return c.uri }
func (c *fakeCache) ToChown(uid int) string {
	if uid == 0 {
		return ""
	}
	return "data.mdb and lock.mdb"
}
func (c *fakeCache) Count() (int, error)   { return len(c.names), nil }
func (c *fakeCache) TTLs() (lo, hi uint32) { return c.lo, c.hi }
func (c *fakeCache) SetTTLs(lo, hi uint32) { c.lo, c.hi = lo, hi }

func (c *fakeCache) Clear() (int, error) {
	n := len(c.names)
	c.names = nil
	return n, nil
}

func (c *fakeCache) Remove(name dnsname.Name, exact bool, rrtype *uint16, limit int) (int, error) {
	if !c.open {
		return 0, errors.New("cache is closed")
	}
	if rrtype != nil {
		c.typed = append(c.typed, *rrtype)
	}
	n := 0
	c.names = slices.DeleteFunc(c.names, func(have dnsname.Name) bool {
		hit := n < limit && (have == name || !exact && have.IsSubdomainOf(name))
		if hit {
			n++
		}
		return hit
	})
	return n, nil
}

func (c *fakeCache) Apex(name dnsname.Name) dnsname.Name {
	for ; !name.IsRoot(); name = name.Parent() {
		if slices.Contains(c.apexes, name) {
			return name
		}
	}
	return name
}

func (c *fakeCache) Show(name dnsname.Name) ([]cache.Shown, error) { return c.shown[name], nil }

func (c *fakeCache) Insert(set resolve.Set, told int64) error {
	c.inserted, c.told = append(c.inserted, set), told
	return nil
}

func (c *fakeCache) Export(_ context.Context, path string) (int, error) {
	if path == "full" {
		return 0, syscall.ENOSPC
	}
	return 5, nil
}

func (c *fakeCache) Checkpoint() (time.Duration, time.Time) {
	return 1500 * time.Millisecond, time.Unix(77, 5000)
}

func (c *fakeCache) Mark() { c.marks++ }

func (c *fakeCache) FileSystem(string) (uint64, error) { return 1 << 30, nil }

func (c *fakeCache) Sync(context.Context) error {
	c.synced++
	return nil
}

func (c *fakeCache) Prune(limit int) (int, error) {
	if limit == 0 {
		limit = len(c.names)
	}
	return limit, nil
}

// hold puts n entries at and below a name.
func (c *fakeCache) hold(t *testing.T, name string, n int) {
	t.Helper()
	for i := range n {
		entry := mustName(t, name)
		if i > 0 {
			entry = mustName(t, "n"+strings.Repeat("x", i%40)+"."+name)
		}
		c.names = append(c.names, entry)
	}
}

func mustName(t *testing.T, text string) dnsname.Name {
	t.Helper()
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type fakeProcess struct {
	count, quits, became int
	failing              error
	dead                 error // why it answers no question
}

func (p *fakeProcess) ID() int    { return 0 }
func (p *fakeProcess) Count() int { return p.count }
func (p *fakeProcess) PID() int   { return 3008 }
func (p *fakeProcess) Quit()      { p.quits++ }
func (p *fakeProcess) Become(int, int, []int) error {
	p.became++
	return p.failing
}

// fakeMapper is a group of two whose members are the same machine.
type fakeMapper struct {
	vm      *command.Interpreter
	unknown bool
}

func (m *fakeMapper) Map(ctx context.Context, expr string) (*luavalue.Table, error) {
	if m.unknown {
		return nil, errors.New("the leader is gone: result unknown")
	}
	out := &luavalue.Table{}
	for i := range 2 {
		switch r := m.vm.MapEval(ctx, expr); r.Kind {
		case command.ResultValue:
			out.Add(float64(i+1), r.Value)
		case command.ResultNothing:
			out.Add(float64(i+1), "")
		default:
			out.Add(float64(i+1), r.Text)
		}
	}
	return out, nil
}

type fakeRoots struct{ cut *zonecut.Cut }

func (r *fakeRoots) RootHints() *zonecut.Cut {
	if r.cut == nil {
		return &zonecut.Cut{Name: dnsname.Root}
	}
	return r.cut
}

func (r *fakeRoots) SetRootHints(c *zonecut.Cut) { r.cut = c }

func (r *fakeRoots) ReadRootHints(path string) (*zonecut.Cut, error) {
	if path == "" {
		return nil, nil
	}
	return nil, errors.New(path + ": no such file or directory")
}

// figuresOf are some figures of each group.
func figuresOf() *metrics.Registry {
	r := &metrics.Registry{}
	add := func(group string, list ...metrics.Sample) {
		r.Add(metrics.NewGroup(group, func() []metrics.Sample { return list }))
	}
	of := func(name string, value float64, help string) metrics.Sample {
		return metrics.Sample{Desc: metrics.Desc{Name: name, Help: help}, Value: value}
	}
	add(caching.Figures, of("hit", 1, ""), of("miss", 2, ""), of("insert", 3, ""), of("delete", 4, ""), of("usage_percent", 5.5, ""))
	add(WorkerFigures, of("udp", 7, ""), of("concurrent", 3, ""), of("rss", 1e6, ""))
	add(LimitFigures, of("cname_chain", 5, "a chain was too long"), of("cycle", 0, "it waited for itself"))
	return r
}
