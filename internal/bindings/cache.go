package bindings

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// Cache is the worker's cache as an operator handles it. TTLs are in seconds,
// sizes in octets.
type Cache interface {
	// Open closes an open cache, then opens the one in dir, which uri named.
	Open(size int64, uri, dir string) error
	// Close tells whether a cache was open.
	Close() bool
	// IsOpen, Size and URI tell of the open cache; Size is 0 when none is.
	IsOpen() bool
	Size() int64
	URI() string
	Count() (int, error)
	// Stats are counters of this process by name, the manual's four first.
	Stats() []Counter
	TTLs() (lo, hi uint32)
	SetTTLs(lo, hi uint32)
	// Clear forgets everything, the knowledge of servers included.
	Clear() (int, error)
	// Remove forgets at most limit entries at a name and, unless exact, below it;
	// of one type when rrtype is not nil.
	Remove(name dnsname.Name, exact bool, rrtype *uint16, limit int) (int, error)
	// Apex is the closest zone apex at or above name that the cache knows.
	Apex(name dnsname.Name) dnsname.Name
	// Prune forgets what has expired, at most limit entries (0: all).
	Prune(limit int) (int, error)
}

// Counter is one figure of cache.stats().
type Counter struct {
	Name  string
	Value float64
}

// manualCounters is how many counters cache.stats() shows without being asked.
const manualCounters = 4

const cacheScheme = "lmdb://"

var errCacheClosed = errors.New("no cache is open: open one with cache.open() or cache.size")

// caching is the global cache.
type caching struct{ d *Daemon }

func installCache(d *Daemon) {
	k := &caching{d: d}
	d.VM.RegisterObject(script.Object{
		Name:      "cache",
		Help:      "the cache that all workers share; cache = { size = 100*MB } opens it",
		Protected: true,
		Fields: []script.Field{
			{Name: "size", Help: "maximum size in bytes; assigning opens the cache again", Get: k.getSize, Set: k.setSize},
			{Name: "storage", Help: "where the cache is, lmdb://PATH; assigning opens it there", Get: k.getStorage, Set: k.setStorage},
			{Name: "current_size", Help: "maximum size of the open cache in bytes, 0 when closed", Get: k.getSize},
			{Name: "current_storage", Help: "where the open cache is", Get: k.getStorage},
		},
		Funcs: k.funcs(),
	})
}

func (k *caching) funcs() []script.Func {
	return funcs(
		script.Func{Name: "open", Args: "max_size[, uri]", Min: 1, Max: 2, Help: "open the cache with a limit in bytes, in lmdb://PATH", Fn: k.open},
		script.Func{Name: "close", Max: 0, Help: "close the cache; what it holds stays on disk", Fn: k.close},
		script.Func{Name: "backends", Max: 0, Help: "kinds of storage, and which is in use",
			Fn: func(c *script.Call) error {
				return c.Return((&luavalue.Table{}).Add(cacheScheme, k.d.Cache.IsOpen()))
			}},
		script.Func{Name: "count", Max: 0, Help: "number of entries", Fn: k.count},
		script.Func{Name: "stats", Max: 0, Help: "counters of this process", Fn: k.stats},
		script.Func{Name: "max_ttl", Args: "[seconds]", Max: 1, Help: "longest time that anything is kept", Fn: k.maxTTL},
		script.Func{Name: "min_ttl", Args: "[seconds]", Max: 1, Help: "shortest time that anything is kept; raising it beyond a few seconds breaks DNS", Fn: k.minTTL},
		script.Func{Name: "ns_tout", Args: "[ms]", Max: 1, Help: "how long an address that does not answer is left alone, in milliseconds",
			Fn: func(c *script.Call) error { return milliseconds(k.d, c, &k.d.Settings.NSTimeout, 0) }},
		script.Func{Name: "get", Args: "name", Min: 0, Max: -1, Help: "reserved",
			Fn: func(*script.Call) error { return errors.New("cache.get() is not implemented") }},
		script.Func{Name: "prune", Args: "[n]", Max: 1, Help: "forget what has expired, at most n entries", Fn: k.prune},
	)
}

func (k *caching) getSize(*script.Call) (any, error) { return float64(k.d.Cache.Size()), nil }

func (k *caching) getStorage(*script.Call) (any, error) {
	if !k.d.Cache.IsOpen() {
		return nil, nil
	}
	return k.d.Cache.URI(), nil
}

func (k *caching) setSize(c *script.Call) error {
	uri := k.d.Cache.URI()
	if uri == "" {
		uri = cacheScheme
	}
	return k.reopen(c, c.Number(1), uri)
}

func (k *caching) setStorage(c *script.Call) error {
	size := float64(k.d.Cache.Size())
	if size == 0 {
		size = 10 << 20
	}
	return k.reopen(c, size, c.String(1))
}

func (k *caching) open(c *script.Call) error {
	if err := k.reopen(c, c.Number(1), c.OptString(2, cacheScheme)); err != nil {
		return err
	}
	return c.Return(true)
}

// reopen checks everything before it touches the open cache.
func (k *caching) reopen(c *script.Call, size float64, uri string) error {
	if !(size >= limits.MinCacheSize && size <= math.MaxInt64/2) {
		c.ArgError(1, "a size in bytes of at least %d expected", limits.MinCacheSize)
	}
	dir, err := cacheDir(uri)
	if err != nil {
		return err
	}
	return k.d.Cache.Open(int64(size), uri, dir)
}

// cacheDir is the directory that a storage URI names; text without a scheme is
// a path.
func cacheDir(uri string) (string, error) {
	path, isURI := uri, strings.Contains(uri, "://")
	if isURI {
		rest, ok := strings.CutPrefix(uri, cacheScheme)
		if !ok {
			return "", fmt.Errorf("unsupported backend '%s': only %s is there", uri, cacheScheme)
		}
		path = rest
	}
	if path == "" {
		path = "."
	}
	return path, nil
}

func (k *caching) close(c *script.Call) error {
	if !k.d.Cache.Close() {
		return c.Return()
	}
	return c.Return(true)
}

func (k *caching) count(c *script.Call) error {
	if !k.d.Cache.IsOpen() {
		return errCacheClosed
	}
	n, err := k.d.Cache.Count()
	if err != nil {
		return err
	}
	return c.Return(float64(n))
}

// stats returns a table whose pairs() are the manual's four counters; the
// others are found by name.
func (k *caching) stats(c *script.Call) error {
	out := script.Shadowed{Shown: &luavalue.Table{}, Hidden: &luavalue.Table{}}
	for i, s := range k.d.Cache.Stats() {
		if i < manualCounters {
			out.Shown.Add(s.Name, s.Value)
		} else {
			out.Hidden.Add(s.Name, s.Value)
		}
	}
	return c.Return(&out)
}

func (k *caching) maxTTL(c *script.Call) error {
	lo, hi := k.d.Cache.TTLs()
	if c.NArgs() > 0 {
		if err := k.needOpen(); err != nil {
			return err
		}
		hi = uint32(c.Int(1, int(lo), math.MaxUint32))
		k.d.Cache.SetTTLs(lo, hi)
	}
	return c.Return(float64(hi))
}

func (k *caching) minTTL(c *script.Call) error {
	lo, hi := k.d.Cache.TTLs()
	if c.NArgs() > 0 {
		if err := k.needOpen(); err != nil {
			return err
		}
		lo = uint32(c.Int(1, 0, int(hi)))
		k.d.Cache.SetTTLs(lo, hi)
	}
	return c.Return(float64(lo))
}

func (k *caching) needOpen() error {
	if !k.d.Cache.IsOpen() {
		return errCacheClosed
	}
	return nil
}

func (k *caching) prune(c *script.Call) error {
	if err := k.needOpen(); err != nil {
		return err
	}
	n, err := k.d.Cache.Prune(c.OptInt(1, 1, math.MaxInt32, 0))
	if err != nil {
		return err
	}
	return c.Return(float64(n))
}
