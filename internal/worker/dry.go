package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/bindings"
	"kresd/internal/bindings/network"
	"kresd/internal/cache"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/listen"
	"kresd/internal/lmdbcache"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/rundir"
	"kresd/internal/script"
	"kresd/internal/transport"
	"kresd/internal/wording"
)

// dryRun is what a worker that only tries a configuration has in place of the parts
// that reach outside. It looks at what is there, and tells what a start would have
// refused.
type dryRun struct {
	interfaces []network.Interface
	tell       func(kind finding, text string)
}

// machine has code change nothing outside of the machine, and read nothing from the
// process's input. A nil dryRun changes nothing.
func (r *dryRun) machine(o script.Options) script.Options {
	if r != nil {
		o.Stdin, o.OnLong = nil, nil // the check says by itself that it takes too long
		o.Withhold = func(where, what string) { r.tell(note, where+what) }
		o.Mistake = func(err error) { r.tell(mistake, err.Error()) }
	}
	return o
}

// daemon puts in the parts that reach nowhere. A nil dryRun changes nothing.
func (r *dryRun) daemon(w *Worker, d *bindings.Daemon) *bindings.Daemon {
	if r == nil {
		return d
	}
	d.Interfaces = func() []network.Interface { return r.interfaces }
	d.Bindable = r.bindable
	d.Listener = &dryListener{listener: w.listener}
	d.Cache = &dryCache{lo: limits.DefaultMinTTL, hi: limits.DefaultMaxTTL}
	d.Process = dryProcess{process{link: w.o.Link, servers: w.servers}, r}
	d.Resolver = dryResolver{w.ctx}
	d.Mapper = dryMapper{}
	d.Anchors = dryAnchors{w.rules.anchors}
	return d
}

// host is what modules may use: they are asked for their configuration, and do nothing
// in the background.
func (r *dryRun) host(w *Worker) *module.Host {
	ended, end := context.WithCancel(context.Background())
	end()
	return &module.Host{
		Clock: w.clock, Tasks: w.group, Context: ended, Cache: w.cache, Roots: w.roots, Files: w.reloads.inForce, Metrics: w.figures, Callback: scripted(w.vm.VM),
		Notice: func(string) {}, Warn: func(line string) { w.log.Warn(line) },
		Resolve: func(context.Context, *resolve.Request) {},
	}
}

// bindable looks for the address among those of this machine.
func (r *dryRun) bindable(a netip.Addr) error {
	for _, i := range r.interfaces {
		if slices.Contains(i.Addrs, a) {
			return nil
		}
	}
	if a.IsLoopback() && a.Is4() { // all of 127.0.0.0/8 can be bound
		return nil
	}
	return errors.New("this machine does not have the address")
}

// dryListener notes where a configuration wants to listen.
type dryListener struct {
	*listener
	wanted []network.Endpoint
}

// Listen implements network.Listener.
func (l *dryListener) Listen(addr netip.AddrPort, kinds []transport.Kind, _ bool, _ string) (awaited bool, err error) {
	for _, k := range kinds {
		if e := (network.Endpoint{Addr: addr, Kind: k}); !slices.Contains(l.wanted, e) {
			l.wanted = append(l.wanted, e)
		}
	}
	return false, nil
}

// ListenPath implements network.Listener. It sees what a start would refuse.
func (l *dryListener) ListenPath(path string, kinds []transport.Kind, _ fs.FileMode, _ string) error {
	kind, err := listen.PathUsable(path, kinds)
	if err == nil && !slices.ContainsFunc(l.wanted, func(e network.Endpoint) bool { return e.Path == path }) {
		l.wanted = append(l.wanted, network.Endpoint{Path: path, Kind: kind})
	}
	return err
}

// Close implements network.Listener.
func (l *dryListener) Close(addr netip.AddrPort) bool {
	return l.closeWhere(func(e network.Endpoint) bool { return e.Path == "" && e.Addr == addr })
}

// ClosePath implements network.Listener.
func (l *dryListener) ClosePath(path string) bool {
	return l.closeWhere(func(e network.Endpoint) bool { return e.Path == path })
}

func (l *dryListener) closeWhere(which func(network.Endpoint) bool) bool {
	n := len(l.wanted)
	l.wanted = slices.DeleteFunc(l.wanted, which)
	return len(l.wanted) < n
}

// Endpoints implements network.Listener.
func (l *dryListener) Endpoints() []network.Endpoint { return l.wanted }

// dryCache is a cache that is empty and stays so.
type dryCache struct {
	open   bool
	size   int64
	uri    string
	lo, hi uint32
}

// Open implements caching.Cache: it sees whether the cache could be opened there.
func (k *dryCache) Open(size int64, uri, dir string) error {
	if err := usableForCache(dir); err != nil {
		return fmt.Errorf("cache in '%s': %w", dir, wording.Reason(err))
	}
	k.open, k.size, k.uri = true, size, uri
	return nil
}

// usableForCache says why no cache can be in a directory, which may have to be made in one
// that is there.
func usableForCache(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		above := filepath.Dir(filepath.Clean(dir))
		if info, err = os.Stat(above); errors.Is(err, fs.ErrNotExist) {
			return lmdbcache.NoParent(dir)
		}
		dir = above
	}
	switch {
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return errors.New("the directory is a symbolic link")
	case !info.IsDir():
		return errors.New("it is not a directory")
	}
	return unix.Access(dir, unix.W_OK|unix.X_OK)
}

// Close implements caching.Cache.
func (k *dryCache) Close() (was bool) {
	was, k.open, k.size = k.open, false, 0
	return was
}

// IsOpen implements caching.Cache.
func (k *dryCache) IsOpen() bool { return k.open }

// Size implements caching.Cache.
func (k *dryCache) Size() int64 { return k.size }

// URI implements caching.Cache.
func (k *dryCache) URI() string { return k.uri }

// ToChown implements caching.Cache.
func (k *dryCache) ToChown(int) string { return "" }

// Count implements caching.Cache.
func (k *dryCache) Count() (int, error) { return 0, nil }

// TTLs implements caching.Cache.
func (k *dryCache) TTLs() (lo, hi uint32) { return k.lo, k.hi }

// SetTTLs implements caching.Cache.
func (k *dryCache) SetTTLs(lo, hi uint32) { k.lo, k.hi = lo, hi }

// Clear implements caching.Cache.
func (k *dryCache) Clear() (int, error) { return 0, nil }

// Remove implements caching.Cache.
func (k *dryCache) Remove(dnsname.Name, bool, *uint16, int) (int, error) { return 0, nil }

// Apex implements caching.Cache.
func (k *dryCache) Apex(name dnsname.Name) dnsname.Name { return name }

// Prune implements caching.Cache.
func (k *dryCache) Prune(int) (int, error) { return 0, nil }

// Show implements caching.Cache.
func (k *dryCache) Show(dnsname.Name) ([]cache.Shown, error) { return nil, nil }

// Insert implements caching.Cache.
func (k *dryCache) Insert(resolve.Set, int64) error { return nil }

// Sync implements caching.Cache.
func (k *dryCache) Sync(context.Context) error { return nil }

// Export implements caching.Cache: it sees whether a file could be written there.
func (k *dryCache) Export(_ context.Context, path string) (int, error) {
	return 0, unix.Access(filepath.Dir(path), unix.W_OK|unix.X_OK)
}

// Checkpoint implements caching.Cache.
func (k *dryCache) Checkpoint() (mono time.Duration, wall time.Time) { return 0, time.Unix(0, 0) }

// Mark implements caching.Cache.
func (k *dryCache) Mark() {}

// FileSystem implements caching.Cache.
func (k *dryCache) FileSystem(dir string) (uint64, error) {
	return (&storage{}).FileSystem(dir)
}

// dryProcess is this process, which stays what it is.
type dryProcess struct {
	process
	run *dryRun
}

// Upstreams implements bindings.Process.
func (p dryProcess) Upstreams(int) []bindings.Upstream { return nil }

// Alive implements bindings.Process: nobody is asked.
func (p dryProcess) Alive(context.Context) error { return nil }

// Quit implements bindings.Process.
func (p dryProcess) Quit() { p.run.tell(note, "quit() ends kresd at its start") }

// Become implements bindings.Process: it sees whether the user could live here.
func (p dryProcess) Become(uid, _ int, groups []int) error { return rundir.UsableBy(uid, groups) }

// dryResolver asks nobody: its requests never end.
type dryResolver struct{ ctx context.Context }

// Resolve implements asking.Resolver.
func (r dryResolver) Resolve(*resolve.Request) { <-r.ctx.Done() }

// Trace implements asking.Resolver.
func (r dryResolver) Trace(context.Context, resolve.Question) string { return "nobody is asked" }

// dryMapper has no worker that would answer.
type dryMapper struct{}

// Map implements bindings.Mapper.
func (dryMapper) Map(context.Context, string) (*luavalue.Table, error) {
	return luavalue.List(false), nil
}

// dryAnchors reads key files and makes none.
type dryAnchors struct{ *anchors }

// AddFile implements anchors.Anchors. Where a start would fetch the keys of the root,
// or write them anew, it sees whether the file could be written.
func (a dryAnchors) AddFile(ctx context.Context, path string, readonly bool) error {
	if !readonly && path != "" {
		if err := unix.Access(filepath.Dir(path), unix.W_OK|unix.X_OK); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return a.anchors.AddFile(ctx, path, true)
}
