// Package caching is the global cache: opening and sizing it, what is in it, and clearing it in
// chunks. What it controls is a Cache, which the worker implements.
package caching

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"kresd/internal/dnslua/terms"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/luavalue"
	"kresd/internal/metrics"
	"kresd/internal/script"
	"kresd/internal/settings"
	"kresd/internal/wording"
)

// A Host is what the global controls.
type Host struct {
	VM    *script.VM
	Cache Cache
	// Metrics have the group Figures.
	Metrics  *metrics.Registry
	Settings *settings.Settings
	Log      *logging.Logger
	// After runs a function on the machine once a time has passed.
	After func(d time.Duration, fn func() error)
	// Changed is called after a setting was changed.
	Changed func()
}

// Figures is the group of figures that cache.stats() shows, the manual's four first.
const Figures = "cache"

// ErrClosed is why nothing is done about a cache.
var ErrClosed = errors.New("no cache is open: open one with cache.open() or cache.size")

// manualCounters is how many counters cache.stats() shows without being asked.
const manualCounters = 4

const cacheScheme = "lmdb://"

// Caching is the global cache.
type Caching struct {
	d *Host
	// Opened is the place of the script that opened the cache last, "file:line: ".
	Opened string
	// closed: a script closed the cache, or tried to; it wants none.
	closed bool
	// together is what an assigned table has said so far; nil outside of one.
	together *opening
}

// opening is what to open; nil parts are those of the cache at hand.
type opening struct {
	size *float64
	uri  *string
}

// Install makes the global.
func Install(d *Host) *Caching {
	k := &Caching{d: d}
	d.VM.RegisterObject(script.Object{
		Name:      "cache",
		Protected: true,
		Fields: []script.Field{
			{Name: "size", Get: k.getSize, Set: k.setSize},
			{Name: "storage", Get: k.getStorage, Set: k.setStorage},
			{Name: "current_size", Get: k.getSize},
			{Name: "current_storage", Get: k.getStorage},
		},
		Funcs:   k.funcs(),
		Merging: k.merging,
	})
	clearer{d}.install()
	return k
}

func (k *Caching) funcs() []script.Func {
	return []script.Func{
		{Name: "open", Args: "max_size[, uri]", Min: 1, Max: 2, Fn: k.open},
		{Name: "close", Max: 0, Fn: k.close},
		{Name: "backends", Max: 0,
			Fn: func(c *script.Call) error {
				return c.Return((&luavalue.Table{}).Add(cacheScheme, k.d.Cache.IsOpen()))
			}},
		{Name: "count", Max: 0, Fn: k.count},
		{Name: "stats", Max: 0, Fn: k.stats},
		{Name: "max_ttl", Args: "[seconds]", Max: 1, Fn: k.maxTTL},
		{Name: "min_ttl", Args: "[seconds]", Max: 1, Fn: k.minTTL},
		{Name: "ns_tout", Args: "[ms]", Max: 1,
			Fn: k.serverTimeout},
		{Name: "get", Args: "name[, type]", Min: 1, Max: 2, Fn: k.get},
		{Name: "checkpoint", Args: "[true | path]", Max: 1, Fn: k.checkpoint},
		{Name: "fssize", Max: 0, Fn: k.fssize},
		{Name: "prune", Args: "[n]", Max: 1, Fn: k.prune},
	}
}

// serverTimeout is cache.ns_tout.
func (k *Caching) serverTimeout(c *script.Call) error {
	timeout := &k.d.Settings.NSTimeout
	if c.NArgs() > 0 {
		timeout.Store(int64(c.Milliseconds(1, 0)))
		k.d.Changed()
	}
	return c.Return(float64(timeout.Load() / int64(time.Millisecond)))
}

// getSize is nil before anybody decided about the cache, which is opened after
// the configuration then.
func (k *Caching) getSize(*script.Call) (any, error) {
	if !k.d.Cache.IsOpen() && !k.closed && k.d.Cache.URI() == "" {
		return nil, nil
	}
	return float64(k.d.Cache.Size()), nil
}

func (k *Caching) getStorage(*script.Call) (any, error) {
	if uri := k.d.Cache.URI(); uri != "" {
		return uri, nil
	}
	return nil, nil
}

func (k *Caching) setSize(c *script.Call) error {
	size := cacheSize(c)
	return k.set(c, opening{size: &size})
}

func (k *Caching) setStorage(c *script.Call) error {
	uri := c.Text(1)
	if _, err := cacheDir(uri); err != nil {
		return err
	}
	return k.set(c, opening{uri: &uri})
}

func (k *Caching) open(c *script.Call) error {
	size, uri := cacheSize(c), cacheScheme
	if !c.IsNil(2) {
		uri = c.Text(2)
	}
	if err := k.reopen(c, opening{&size, &uri}); err != nil {
		return err
	}
	return c.Return(true)
}

// merging opens once for cache = { size = …, storage = … }, whatever the order:
// one by one, the first would make a cache that nobody asked for.
func (k *Caching) merging(c *script.Call, merge func() error) error {
	k.together = &opening{}
	defer func() { k.together = nil }()
	if err := merge(); err != nil {
		return err
	}
	if *k.together == (opening{}) {
		return nil
	}
	return k.reopen(c, *k.together)
}

func (k *Caching) set(c *script.Call, o opening) error {
	if k.together == nil {
		return k.reopen(c, o)
	}
	if o.size != nil {
		k.together.size = o.size
	}
	if o.uri != nil {
		k.together.uri = o.uri
	}
	return nil
}

// storageAlone is the size of a cache of which only the storage was said, in
// octets.
const storageAlone = 10 << 20

// reopen checks everything before it touches the open cache.
func (k *Caching) reopen(c *script.Call, o opening) error {
	size, uri := k.d.Cache.Size(), k.d.Cache.URI()
	if size == 0 {
		size = storageAlone
	}
	if o.size != nil {
		size = int64(*o.size)
	}
	if uri == "" {
		uri = cacheScheme
	}
	if o.uri != nil {
		uri = *o.uri
	}
	dir, err := cacheDir(uri)
	if err != nil {
		return err
	}
	k.Opened = c.Position()
	return k.d.Cache.Open(size, uri, dir)
}

// cacheSize is argument 1 as a size in octets.
func cacheSize(c *script.Call) float64 {
	size := c.Number(1)
	if !(size >= limits.MinCacheSize && size <= limits.MaxCacheSize) {
		c.ArgError(1, "a size in bytes from %d to %d expected", limits.MinCacheSize, limits.MaxCacheSize)
	}
	if size != math.Trunc(size) {
		c.ArgError(1, "whole bytes expected, got %.14g", size)
	}
	return size
}

// cacheDir is the directory that a storage URI names; text without a scheme is
// a path.
func cacheDir(uri string) (string, error) {
	path, isURI := uri, strings.Contains(uri, "://")
	if isURI {
		rest, ok := strings.CutPrefix(uri, cacheScheme)
		if !ok {
			return "", fmt.Errorf("cache: the backend '%s' is not in this version; there is %s", uri, cacheScheme)
		}
		path = rest
	}
	if strings.ContainsRune(path, 0) {
		return "", fmt.Errorf("'%s' is no path", strings.ReplaceAll(uri, "\x00", "\\0"))
	}
	if path == "" {
		path = "."
	}
	return path, nil
}

func (k *Caching) close(c *script.Call) error {
	k.closed = true
	if !k.d.Cache.Close() {
		return c.Return()
	}
	return c.Return(true)
}

func (k *Caching) count(c *script.Call) error {
	if err := k.needOpen(); err != nil {
		return err
	}
	n, err := k.d.Cache.Count()
	if err != nil {
		return err
	}
	return c.Return(float64(n))
}

// stats returns a table whose pairs() are the manual's four counters; the
// others are found by name.
func (k *Caching) stats(c *script.Call) error {
	if err := k.needOpen(); err != nil {
		return err
	}
	out := script.Shadowed{Shown: &luavalue.Table{}, Hidden: &luavalue.Table{}}
	for i, s := range k.d.Metrics.Read(Figures) {
		if i < manualCounters {
			out.Shown.Add(s.Name, s.Value)
		} else {
			out.Hidden.Add(s.Name, s.Value)
		}
	}
	return c.Return(&out)
}

// The limits of TTLs belong to the open cache, so that without one they cannot
// be read either.

func (k *Caching) maxTTL(c *script.Call) error {
	if err := k.needOpen(); err != nil {
		return err
	}
	lo, hi := k.d.Cache.TTLs()
	if c.NArgs() > 0 {
		hi = uint32(c.Int(1, int(lo), math.MaxUint32))
		k.d.Cache.SetTTLs(lo, hi)
	}
	return c.Return(float64(hi))
}

func (k *Caching) minTTL(c *script.Call) error {
	if err := k.needOpen(); err != nil {
		return err
	}
	lo, hi := k.d.Cache.TTLs()
	if c.NArgs() > 0 {
		lo = uint32(c.Int(1, 0, int(hi)))
		k.d.Cache.SetTTLs(lo, hi)
	}
	return c.Return(float64(lo))
}

func (k *Caching) needOpen() error {
	if !k.d.Cache.IsOpen() {
		return ErrClosed
	}
	return nil
}

func (k *Caching) prune(c *script.Call) error {
	if err := k.needOpen(); err != nil {
		return err
	}
	n, err := k.d.Cache.Prune(c.OptInt(1, 1, math.MaxInt32, 0))
	if err != nil {
		return err
	}
	return c.Return(float64(n))
}

// checkpoint tells, or sets, since when what is in the cache was gathered; with a path it
// writes a copy, beside the machine.
func (k *Caching) checkpoint(c *script.Call) error {
	if err := k.needOpen(); err != nil {
		return err
	}
	switch c.Type(1) {
	case "boolean":
		if !c.Bool(1) {
			c.ArgError(1, "true or a path expected")
		}
		k.d.Cache.Mark()
	case "no value", "nil":
	default:
		return k.export(c, c.Text(1))
	}
	mono, wall := k.d.Cache.Checkpoint()
	walltime := (&luavalue.Table{}).Add("sec", float64(wall.Unix())).Add("usec", float64(wall.Nanosecond()/1000))
	return c.Return((&luavalue.Table{}).Add("monotime", float64(mono/time.Millisecond)).Add("walltime", walltime))
}

func (k *Caching) export(c *script.Call, path string) error {
	if path == "" || strings.ContainsRune(path, 0) {
		c.ArgError(1, "the path of a file expected")
	}
	n, err := script.Outside(c, func(ctx context.Context) (int, error) { return k.d.Cache.Export(ctx, path) })
	if err != nil {
		return fmt.Errorf("cache.checkpoint: no copy of the cache in '%s': %w", wording.Printable(path), err)
	}
	return c.Return(float64(n))
}

// fssize is for configurations that give the cache a share of its disk, before it is
// opened.
func (k *Caching) fssize(c *script.Call) error {
	dir, err := cacheDir(k.d.Cache.URI())
	if err != nil {
		return err
	}
	octets, err := k.d.Cache.FileSystem(dir)
	if err != nil {
		return fmt.Errorf("cache.fssize: '%s': %w", dir, wording.Reason(err))
	}
	return c.Return(float64(octets))
}

// get lists what is stored about a name, or about one type of it.
func (k *Caching) get(c *script.Call) error {
	name, only := terms.NameArg(c, 1, c.Arg(1)), uint16(0)
	if c.NArgs() > 1 {
		only = terms.TypeArg(c, 2, c.Arg(2))
	}
	if err := k.needOpen(); err != nil {
		return err
	}
	list, err := k.d.Cache.Show(name)
	if err != nil {
		return err
	}
	out := []any{}
	for i := range list {
		if one := &list[i]; only == 0 || one.Type == 0 || one.Type == only {
			out = append(out, shownTable(one))
		}
	}
	return c.Return(out)
}
