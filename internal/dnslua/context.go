package dnslua

import (
	"fmt"

	"kresd/internal/dnslua/message"
	"kresd/internal/dnslua/requests"
	"kresd/internal/dnsname"
	"kresd/internal/limits"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// worker are the classes of what kres.context() leads to.
type worker struct {
	*requests.Views
	context, hints, cache, stats *script.Class
}

func newContext(v *requests.Views) *worker {
	w := &worker{Views: v, hints: hintsClass(), stats: cacheStatsClass()}
	w.cache, w.context = w.cacheClass(), w.contextClass()
	return w
}

func (v *worker) handle(core Core) *script.Handle {
	return &script.Handle{Class: v.context, Value: core}
}

func (v *worker) contextClass() *script.Class {
	class := &script.Class{Name: "context", CData: true}
	class.Get = func(_ *script.Call, value any, key any) (any, error) {
		core := value.(Core)
		switch key {
		case "options":
			return v.LiveFlags(core), nil
		case "cache":
			return &script.Handle{Class: v.cache, Value: core}, nil
		case "opt_rr":
			return v.RRSet(nil, wire.RRset{Owner: dnsname.Root, Type: wire.TypeOPT, Class: core.Bufsize(), Data: [][]byte{{}}}), nil
		case "root_hints":
			return &script.Handle{Class: v.hints, Value: core}, nil
		case "trust_anchors":
			var sets []any
			for _, set := range core.TrustAnchors() {
				sets = append(sets, v.RRSet(nil, set))
			}
			return v.Array(nil, sets), nil
		case "negative_anchors":
			var names []any
			for _, n := range core.NegativeAnchors() {
				names = append(names, string(n))
			}
			return v.Array(nil, names), nil
		}
		return nil, script.NoMember(class, key, "options", "cache", "root_hints", "trust_anchors", "negative_anchors", "opt_rr")
	}
	return class
}

// hintsClass is the zone cut of the root that the operator has given.
func hintsClass() *script.Class {
	class := &script.Class{Name: "zone cut", CData: true}
	class.Get = func(_ *script.Call, _ any, key any) (any, error) {
		switch key {
		case "name":
			return string(dnsname.Root), nil
		case "key", "trust_anchor", "parent":
			return nil, nil
		}
		return nil, script.NoMember(class, key, "name", "key", "trust_anchor", "parent")
	}
	return class
}

func (v *worker) cacheClass() *script.Class {
	class := &script.Class{Name: "cache", CData: true}
	of := func(c *script.Call) Core { return c.Handle(1, class).(Core) }
	done := func(c *script.Call, err error) error {
		if err != nil {
			return c.Return(nil, v.Failure(err))
		}
		return c.Return(true)
	}
	sync := func(c *script.Call) error { return done(c, of(c).Sync(c)) }
	class.Methods = []script.Func{
		{Name: "insert", Args: "set[, signatures[, rank[, timestamp]]]", Min: 2, Max: 5, Fn: func(c *script.Call) error {
			core, set, told := of(c), v.setToStore(c), int64(c.OptInt(5, 0, 1<<40, 0))
			return done(c, core.Insert(set, told))
		}},
		{Name: "sync", Min: 1, Max: 1, Fn: sync},
		{Name: "commit", Min: 1, Max: 1, Fn: sync},
	}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		core := value.(Core)
		lo, hi := core.TTLs()
		switch key {
		case "stats":
			return &script.Handle{Class: v.stats, Value: core}, nil
		case "ttl_min":
			return lo, nil
		case "ttl_max":
			return hi, nil
		}
		return nil, script.NoMember(class, key, "stats", "ttl_min", "ttl_max")
	}
	class.Set = func(c *script.Call, value any, key any) error {
		core := value.(Core)
		lo, hi := core.TTLs()
		switch key {
		case "ttl_min":
			core.SetTTLs(uint32(c.Int(1, 0, int(hi))), hi)
		case "ttl_max":
			core.SetTTLs(lo, uint32(c.Int(1, int(lo), 1<<32-1)))
		default:
			return script.Usage("of a cache only ttl_min and ttl_max can be assigned")
		}
		return nil
	}
	return class
}

// setToStore are the arguments of cache:insert from 2 on.
func (v *worker) setToStore(c *script.Call) resolve.Set {
	s := v.RRSetArg(c, 2)
	set := resolve.Set{RRset: s.RRset, Rank: rank.Rank(c.OptInt(4, 0, 0xff, int(rank.Auth|rank.Insecure)))}
	if len(set.Data) == 0 {
		c.ArgError(2, "the set has no records")
	}
	if c.IsNil(3) {
		return canonical(c, set)
	}
	sigs := v.RRSetArg(c, 3)
	for _, sig := range sigs.Data {
		if sigs.Type != wire.TypeRRSIG || sigs.Owner != s.Owner || len(sig) < wire.SigFixed || wire.Covered(sig) != s.Type {
			c.ArgError(3, "signatures of the set expected")
		}
	}
	set.Sigs = sigs.Data
	return canonical(c, set)
}

// canonical is a set in canonical form (RFC 4034, section 6.2), which a malformed one has
// not: it would be told to clients.
func canonical(c *script.Call, set resolve.Set) resolve.Set {
	b := wire.NewBuilder(nil, limits.MaxBufsize, 0, wire.FlagQR)
	if !b.RRset(wire.Answer, &set.RRset, set.TTL, true) {
		c.ArgError(2, "%v", message.ErrTooMany)
	}
	m, err := wire.Parse(b.Bytes())
	if err != nil {
		c.ArgError(2, "the set is malformed: %v", err)
	}
	sets := wire.Group(m.Answer)
	if len(sets) != 1 {
		c.ArgError(2, "the set is malformed: it is of a type that has no sets")
	}
	set.RRset = sets[0]
	return set
}

// cacheStatsClass are the figures of the cache, which a script that keeps them sees change.
func cacheStatsClass() *script.Class {
	class := &script.Class{Name: "cache statistics", CData: true}
	class.Get = func(_ *script.Call, value any, key any) (any, error) {
		name, _ := key.(string)
		if n, ok := value.(Core).CacheFigure(name); ok {
			return n, nil
		}
		return nil, script.Usage(fmt.Sprintf("the cache has no figure '%v'; cache.stats() has them", key))
	}
	return class
}
