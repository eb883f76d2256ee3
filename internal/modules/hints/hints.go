package hints

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/textfile"
	"kresd/internal/zonecut"
)

// Roots are the root hints of the worker.
type Roots interface {
	RootHints() *zonecut.Cut
	// SetRootHints replaces the root hints. While they name no server, only zones can be
	// asked at or above which the cache or a rule knows a delegation.
	SetRootHints(*zonecut.Cut)
	// ReadRootHints reads a zone file; "" is the built-in list.
	ReadRootHints(path string) (*zonecut.Cut, error)
}

type hints struct {
	table   atomic.Pointer[table]
	nodata  atomic.Bool
	ttl     atomic.Uint32 // seconds
	sources sources
	roots   Roots
	files   textfile.Reader // of hosts files
	warn    func(line string)
}

// Open makes an instance of the module.
func Open(roots Roots, files textfile.Reader, warn func(line string)) (*module.Instance, error) {
	h := &hints{roots: roots, files: files, warn: warn}
	h.table.Store(newTable())
	h.nodata.Store(true)
	return &module.Instance{
		Layer: h.layer(), Fast: &module.Fast{Own: h.fast}, Shape: h.shape, Config: h.config, Reread: h.reread, Functions: h.functions(),
		Get: func(name string) (any, error) { return h.get(name) },
		Set: func(name string, v any) error {
			addr, err := module.Text("address", "an address").Value(v)
			if err != nil {
				return fmt.Errorf("hints['%s']: %w", name, err)
			}
			if err := h.set(name + " " + addr); err != nil {
				return fmt.Errorf("hints['%s']: %w", name, err)
			}
			return nil
		},
	}, nil
}

func (h *hints) functions() []module.Function {
	text := func(what string) module.Param[string] { return module.Text(what, what) }
	return []module.Function{
		module.Call1("add_hosts", text("path").Or("/etc/hosts"), h.addHosts),
		module.Call2("get", text("name").Or(""), module.Whole("most", "a number of names", 0, math.MaxInt32).Or(unchanged), func(name string, most float64) ([]any, error) {
			if name == "" && most != unchanged {
				first, n := h.first(int(most))
				return []any{first, float64(n)}, nil
			}
			v, err := h.get(name)
			return []any{v}, err
		}),
		module.Call1("set", text("'name address'"), outcome(h.set)),
		module.Call1("del", text("'name[ address]'"), outcome(h.del)),
		module.Call1("root", module.Custom("{ name = address | list }", rootCut).Or(nil), h.root),
		module.Call1("root_file", text("path").Or(""), h.rootFile),
		module.Call1("use_nodata", module.Switch("true | false", "true or false"), func(on bool) ([]any, error) {
			h.nodata.Store(on)
			return result(true), nil
		}),
		module.Call1("ttl", module.Whole("seconds", "seconds from 0 to 2147483647", 0, math.MaxInt32).Or(unchanged), h.setTTL),
	}
}

// unchanged is no TTL: it is what setTTL is given when a script only reads.
const unchanged = -1

func (h *hints) setTTL(seconds float64) ([]any, error) {
	if seconds != unchanged {
		h.ttl.Store(uint32(seconds))
	}
	return []any{float64(h.ttl.Load())}, nil
}

func result(ok bool) []any { return []any{(&luavalue.Table{}).Add("result", ok)} }

// outcome makes fn return { result = bool } to scripts, and the reason in the table and
// as a second value where it is false.
func outcome(fn func(string) error) func(string) ([]any, error) {
	return func(text string) ([]any, error) {
		if err := fn(text); err != nil {
			return []any{(&luavalue.Table{}).Add("result", false).Add("error", err.Error()), err.Error()}, nil
		}
		return result(true), nil
	}
}

// change publishes a changed copy of the table. Scripts run one at a time.
func (h *hints) change(fn func(t *table) error) error {
	t := h.table.Load().clone()
	err := fn(t)
	h.table.Store(t)
	return err
}

// config drops all hints and loads the file that the options name, if any.
func (h *hints) config(value any) error {
	path, err := optionPath(value)
	if err != nil {
		return err
	}
	h.table.Store(newTable())
	h.sources.forget()
	if path == "" {
		return nil
	}
	_, err = h.load(path)
	return err
}

// shape tells tables apart: the answers to other names hold what these names come to,
// where an alias leads to one.
func (h *hints) shape() uint64 {
	sum := h.table.Load().sum
	if sum != 0 && h.nodata.Load() {
		sum++
	}
	return sum
}

// load adds what the hosts file at path says and tells how many of its lines were
// skipped, about which the log has the rest.
func (h *hints) load(path string) (skipped int, err error) {
	err = h.change(func(t *table) error {
		skipped, err = t.loadHosts(h.files, path, h.warn)
		return err
	})
	if err == nil {
		h.sources.loaded(path)
	}
	return skipped, err
}

func optionPath(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case *luavalue.Table:
		for _, p := range v.Pairs {
			if p.Key != "file" {
				return "", fmt.Errorf("unknown option '%v'; there is file", p.Key)
			}
		}
		return optionPath(v.Get("file"))
	}
	return "", errors.New("a path or { file = path } expected")
}

// addHosts tells of a failure in its result, like the other functions that
// change hints, with the reason beside it, and of lines that were skipped.
func (h *hints) addHosts(path string) ([]any, error) {
	skipped, err := h.load(path)
	switch {
	case err != nil:
		return []any{(&luavalue.Table{}).Add("result", false).Add("error", err.Error())}, nil
	case skipped > 0:
		return []any{(&luavalue.Table{}).Add("result", true).Add("skipped", float64(skipped))}, nil
	}
	return result(true), nil
}

func (h *hints) get(text string) (any, error) {
	t := h.table.Load()
	if text == "" {
		all := &luavalue.Table{}
		t.each(func(name dnsname.Name, addrs []netip.Addr) { all.Add(name.String(), texts(addrs)) })
		all.Sort()
		return all, nil
	}
	name, err := parseName(text)
	if err != nil {
		return nil, fmt.Errorf("hints: %w", err)
	}
	if addrs := t.addrs(name); len(addrs) > 0 {
		return texts(addrs), nil
	}
	return nil, nil
}

// first is the beginning of the table in the order of its names, and how many there are:
// a table of so many that to show all of it would take seconds can be looked at.
func (h *hints) first(most int) (all *luavalue.Table, n int) {
	t := h.table.Load()
	var names []string
	last := "" // of those that count, once there are enough
	t.each(func(name dnsname.Name, _ []netip.Addr) {
		n++
		text := name.String()
		if most == 0 || last != "" && text >= last {
			return
		}
		if names = append(names, text); len(names) == 2*most {
			slices.Sort(names)
			names, last = names[:most], names[most-1]
		}
	})
	slices.Sort(names)
	names = names[:min(len(names), most)]
	all = &luavalue.Table{}
	for _, text := range names {
		if name, err := dnsname.Parse(text); err == nil {
			all.Add(text, texts(t.addrs(name)))
		}
	}
	return all, n
}

func texts(addrs []netip.Addr) *luavalue.Table {
	list := make([]any, len(addrs))
	for i, a := range addrs {
		list[i] = a.String()
	}
	return luavalue.List(list...)
}

func (h *hints) set(text string) error {
	words := strings.Fields(text)
	if len(words) != 2 {
		return fmt.Errorf("'%s' is not 'name address'", short(text))
	}
	name, addr, err := parseHint(words)
	if err != nil {
		return err
	}
	h.sources.edited(name, addr, true)
	return h.change(func(t *table) error { t.add(name, addr); return nil })
}

// del removes a name, or an address of it.
func (h *hints) del(text string) error {
	words := strings.Fields(text)
	if len(words) == 0 || len(words) > 2 {
		return fmt.Errorf("'%s' is not 'name' or 'name address'", short(text))
	}
	name, addr, err := parseHint(words)
	if err != nil {
		return err
	}
	return h.change(func(t *table) error {
		if !t.remove(name, addr) {
			return fmt.Errorf("there is no hint '%s'", short(text))
		}
		h.sources.edited(name, addr, false)
		return nil
	})
}

// parseHint reads a name, and an address where there is one.
func parseHint(words []string) (name dnsname.Name, addr netip.Addr, err error) {
	if name, err = parseName(words[0]); err == nil && len(words) > 1 {
		addr, err = parseAddr(words[1])
	}
	return name, addr, err
}

func parseName(text string) (dnsname.Name, error) {
	name, err := dnsname.Parse(text)
	if err != nil {
		return name, fmt.Errorf("bad name '%s': %w", short(text), err)
	}
	return name, nil
}

// root replaces the root hints, unless cut is nil, and returns them; a cut without
// servers leaves none (rootFile restores the built-in ones).
func (h *hints) root(cut *zonecut.Cut) ([]any, error) {
	if cut != nil {
		h.roots.SetRootHints(cut)
		h.sources.rootFile = ""
	}
	out := &luavalue.Table{}
	for _, ns := range h.roots.RootHints().NS {
		out.Add(ns.Name.String(), texts(ns.Addrs))
	}
	out.Sort()
	return []any{out}, nil
}

// rootCut decodes root hints: a table of names and their address or addresses.
func rootCut(value any) (*zonecut.Cut, error) {
	t, err := module.Table("hints", "a table of names and addresses").Value(value)
	if err != nil {
		return nil, err
	}
	cut := &zonecut.Cut{Name: dnsname.Root, Hints: true}
	for _, p := range t.Pairs {
		text, ok := p.Key.(string)
		if !ok {
			return nil, fmt.Errorf("'%v' is no name of a server: write { ['a.root-servers.net.'] = '198.41.0.4' }", p.Key)
		}
		name, err := parseName(text)
		if err != nil {
			return nil, err
		}
		ns := zonecut.NameServer{Name: name}
		if ns.Addrs, err = rootAddrs(p.Value); err != nil {
			return nil, fmt.Errorf("%s: %w", text, err)
		}
		cut.NS = append(cut.NS, ns)
	}
	slices.SortFunc(cut.NS, func(a, b zonecut.NameServer) int { return dnsname.Compare(a.Name, b.Name) })
	return cut, nil
}

func rootAddrs(value any) ([]netip.Addr, error) {
	list := []any{value}
	if t, ok := value.(*luavalue.Table); ok {
		list = t.Values()
	}
	var out []netip.Addr
	for _, v := range list {
		text, ok := v.(string)
		if !ok {
			return nil, errors.New("an address or a list of addresses expected")
		}
		a, err := parseAddr(text)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		return nil, errors.New("no address")
	}
	return out, nil
}

func (h *hints) rootFile(path string) ([]any, error) {
	cut, err := h.roots.ReadRootHints(path)
	if err != nil {
		return nil, fmt.Errorf("hints.root_file: %w", err)
	}
	h.roots.SetRootHints(cut)
	h.sources.rootFile = path
	return []any{""}, nil
}
