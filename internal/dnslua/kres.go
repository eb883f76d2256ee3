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
	field := func(name, help string, value any) {
		fields = append(fields, script.Field{Name: name, Help: help, Get: func(*script.Call) (any, error) { return value, nil }})
	}
	for name, t := range constantTables() {
		field(name, "numbers by their names", &script.Handle{Class: constantsClass("kres."+name, &v.Missed), Value: t})
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
	field("tostring", "names by their numbers", &script.Handle{Class: group, Value: "tostring"})
	for name, s := range map[string]resolve.State{"CONSUME": resolve.Consume, "PRODUCE": resolve.Produce, "DONE": resolve.Done, "FAIL": resolve.Fail, "YIELD": resolve.Yield} {
		field(name, "a state of a layer", int(s))
	}
	slices.SortFunc(fields, func(a, b script.Field) int { return strings.Compare(a.Name, b.Name) })
	v.vm.RegisterObject(script.Object{Name: "kres", Protected: true, Help: "constants and conversions of DNS", Fields: fields, Funcs: kresFuncs(v)})
	v.vm.Preload("kres", "kres")
	v.vm.AddLibraries(v.ffi(), v.zonefile())
}

func kresFuncs(v *Views) []script.Func {
	same := func(name string) script.Func {
		return script.Func{Name: name, Args: "value", Min: 1, Max: 1, Help: "the value itself: it has its type already",
			Fn: func(c *script.Call) error { return c.Return(c.Arg(1)) }}
	}
	return []script.Func{
		{Name: "str2dname", Args: "name", Min: 1, Max: 1, Help: "a name in wire form; nil for what is no name", Fn: ToWire},
		{Name: "dname2str", Args: "wire", Min: 1, Max: 1, Help: "a name in wire form as text; nil for nil", Fn: FromWire},
		{Name: "dname2wire", Args: "wire", Min: 1, Max: 1, Help: "a name in wire form", Fn: sameWire},
		{Name: "str2ip", Args: "address", Min: 1, Max: 1, Help: "the 4 or 16 octets of an IP address; nil for what is none", Fn: toIP},
		{Name: "rr2str", Args: "record[, style]", Min: 1, Max: 2, Help: "a record of packet:section() as in a zone file", Fn: recordText},
		{Name: "parse_rdata", Args: "{ 'TYPE data' }", Min: 1, Max: 1, Help: "RDATA in wire form", Fn: parseRData},
		{Name: "mk_qflags", Args: "names", Max: 1, Help: "a set of flags", Fn: func(c *script.Call) error {
			if set, ok := c.HandleOf(1, v.flags); ok {
				return c.Return(&script.Handle{Class: v.flags, Value: set})
			}
			o := v.FlagArg(c, 1)
			return c.Return(&script.Handle{Class: v.flags, Value: flagSet{options: &o}})
		}},
		{Name: "rrset", Args: "[owner[, type[, class[, ttl]]]]", Max: 4, Help: "a new set of records without any", Fn: v.newRRSet},
		{Name: "packet", Args: "size[, wire]", Min: 1, Max: 2, Help: "a new packet of at most size octets, or an unparsed copy of octets", Fn: v.newPacketOf},
		{Name: "lru", Args: "max[, ctype]", Min: 1, Max: 2, Help: "a map of strings to numbers of at most max entries, which drops what is used least", Fn: v.newLRUOf},
		{Name: "context", Max: 0, Help: "the options, the cache, and the anchors of this worker", Fn: func(c *script.Call) error {
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
