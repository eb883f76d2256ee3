package dnslua

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

// Install makes the table kres.
func (v *Views) Install() {
	v.vm.SetWords("flag", flagNames)
	v.vm.SetWords("type", func() []string { return slices.Collect(maps.Keys(typeNumbers())) })
	group := &script.Class{Name: "kres.tostring"}
	toString := map[string]*script.Handle{}
	var fields []script.Field
	field := func(name string, value any) {
		fields = append(fields, script.Field{Name: name, Get: func(*script.Call) (any, error) { return value, nil }})
	}
	for name, t := range constantTables() {
		field(name, &script.Handle{Class: constantsClass("kres."+name, &v.Missed), Value: t})
		names := &numberNames{byNumber: map[int]string{}}
		for text, n := range t.byName {
			if old, twice := names.byNumber[n]; !twice || text < old {
				names.byNumber[n] = text
			}
		}
		if name == "type" {
			names.unknown = "TYPE"
		}
		toString[name] = &script.Handle{Class: numberNamesClass("kres.tostring." + name), Value: names}
	}
	group.Get = func(_ *script.Call, _ any, key any) (any, error) {
		name, _ := key.(string)
		if h := toString[name]; h != nil {
			return h, nil
		}
		return nil, nil
	}
	group.Entries = func(any) (list []script.Entry) {
		for name, h := range toString {
			list = append(list, script.Entry{Key: name, Value: h})
		}
		return list
	}
	field("tostring", &script.Handle{Class: group, Value: "tostring"})
	for name, s := range map[string]resolve.State{"CONSUME": resolve.Consume, "PRODUCE": resolve.Produce, "DONE": resolve.Done, "FAIL": resolve.Fail, "YIELD": resolve.Yield} {
		field(name, int(s))
	}
	slices.SortFunc(fields, func(a, b script.Field) int { return strings.Compare(a.Name, b.Name) })
	v.vm.RegisterObject(script.Object{Name: "kres", Protected: true, Fields: fields, Funcs: kresFuncs(v)})
	v.vm.Preload("kres", "kres")
	v.describe()
	v.vm.AddLibraries(v.ffi(), v.zonefile())
}

// describe says what help() calls the classes.
func (v *Views) describe() {
	v.vm.Describe(v.packet, "packet", "pkt")
	v.vm.Describe(v.rrset, "rrset", "rr")
	v.vm.Describe(v.request, "request", "req")
	v.vm.Describe(v.query, "query", "qry")
	v.vm.Describe(v.addr, "address", "addr")
	v.vm.Describe(v.array, "array")
	v.vm.Describe(v.cache, "cache")
	v.vm.Describe(v.lru, "lru")
	v.vm.Describe(v.parser, "parser")
	v.vm.Describe(v.callback, "callback")
}

func kresFuncs(v *Views) []script.Func {
	same := func(name string) script.Func {
		return script.Func{Name: name, Args: "value", Min: 1, Max: 1,
			Fn: func(c *script.Call) error { return c.Return(c.Arg(1)) }}
	}
	return []script.Func{
		{Name: "str2dname", Args: "name", Min: 1, Max: 1, Fn: ToWire},
		{Name: "dname2str", Args: "wire", Min: 1, Max: 1, Fn: FromWire},
		{Name: "dname2wire", Args: "wire", Min: 1, Max: 1, Fn: sameWire},
		{Name: "str2ip", Args: "address", Min: 1, Max: 1, Fn: toIP},
		{Name: "rr2str", Args: "record[, style]", Min: 1, Max: 2, Fn: recordText},
		{Name: "parse_rdata", Args: "{ 'TYPE data' }", Min: 1, Max: 1, Fn: parseRData},
		{Name: "mk_qflags", Args: "names", Max: 1, Fn: func(c *script.Call) error {
			if set, ok := c.HandleOf(1, v.flags); ok {
				return c.Return(&script.Handle{Class: v.flags, Value: set})
			}
			o := v.FlagArg(c, 1)
			return c.Return(&script.Handle{Class: v.flags, Value: flagSet{options: &o}})
		}},
		{Name: "rrset", Args: "[owner[, type[, class[, ttl]]]]", Max: 4, Fn: v.newRRSet},
		{Name: "packet", Args: "size[, wire]", Min: 1, Max: 2, Fn: v.newPacketOf},
		{Name: "lru", Args: "max[, ctype]", Min: 1, Max: 2, Fn: v.newLRUOf},
		{Name: "context", Max: 0, Fn: func(c *script.Call) error {
			if v.Core == nil {
				return script.Usage("there is no worker here")
			}
			return c.Return(&script.Handle{Class: v.context, Value: v.Core})
		}},
		same("pkt_t"), same("request_t"), same("sockaddr_t"),
	}
}

// ToWire is kres.str2dname and todname.
func ToWire(c *script.Call) error {
	if c.Type(1) != "string" {
		return c.Return(nil)
	}
	n, err := dnsname.Parse(c.String(1))
	if err != nil {
		return c.Return(nil)
	}
	return c.Return(string(n))
}

// FromWire is kres.dname2str and todname's other direction.
func FromWire(c *script.Call) error {
	if c.IsNil(1) {
		return c.Return(nil)
	}
	n, err := WireName(c.Text(1))
	if err != nil {
		c.ArgError(1, "%v", err)
	}
	return c.Return(n.String())
}

// sameWire gives a name in wire form as it is.
func sameWire(c *script.Call) error {
	n, err := WireName(c.Text(1))
	if err != nil {
		c.ArgError(1, "%v", err)
	}
	return c.Return(string(n))
}

func toIP(c *script.Call) error {
	if c.Type(1) != "string" {
		return c.Return(nil)
	}
	a, err := netip.ParseAddr(c.String(1))
	if err != nil {
		return c.Return(nil)
	}
	return c.Return(string(a.WithZone("").AsSlice()))
}
