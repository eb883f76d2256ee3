package bindings

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kresd/internal/dnsname"
	"kresd/internal/rank"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

// constants are numbers with names, such as kres.type. They print as a table
// and look up by name.
type constants struct {
	byName map[string]int
	// unknown gives a number for a name that is not listed; may be nil.
	unknown func(name string) (int, bool)
}

// names is the other direction, kres.tostring.type.
type numberNames struct {
	byNumber map[int]string
	unknown  string // a prefix for numbers without a name; "" gives nil
}

func constantsClass(class string, missed *missedConstant) *script.Class {
	return &script.Class{
		Name: class,
		Get: func(c *script.Call, v any, key any) (any, error) {
			t := v.(*constants)
			name, ok := key.(string)
			if !ok {
				return nil, nil
			}
			if n, ok := t.byName[name]; ok {
				return n, nil
			}
			if t.unknown != nil {
				if n, ok := t.unknown(name); ok {
					return n, nil
				}
			}
			missed.note(c, class, name)
			return nil, nil
		},
		Entries: func(v any) (list []script.Entry) {
			for name, n := range v.(*constants).byName {
				list = append(list, script.Entry{Key: name, Value: n})
			}
			return list
		},
	}
}

func numberNamesClass(name string) *script.Class {
	return &script.Class{
		Name: name,
		Get: func(_ *script.Call, v any, key any) (any, error) {
			t := v.(*numberNames)
			n, ok := key.(float64)
			if !ok {
				return nil, nil
			}
			if name, ok := t.byNumber[int(n)]; ok {
				return name, nil
			}
			if t.unknown == "" {
				return nil, nil
			}
			return t.unknown + strconv.Itoa(int(n)), nil
		},
		Entries: func(v any) (list []script.Entry) {
			for n, name := range v.(*numberNames).byNumber {
				list = append(list, script.Entry{Key: n, Value: name})
			}
			return list
		},
	}
}

// typeByNumber reads TYPE123 (RFC 3597, section 5).
func typeByNumber(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "TYPE")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return int(n), err == nil
}

// constantTables are the tables of constants by their names in kres.
func constantTables() map[string]*constants {
	return map[string]*constants{
		"class":          {byName: classes()},
		"type":           {byName: typeNumbers(), unknown: typeByNumber},
		"rcode":          {byName: rcodes()},
		"opcode":         {byName: map[string]int{"QUERY": 0, "IQUERY": 1, "STATUS": 2, "NOTIFY": 4, "UPDATE": 5}},
		"section":        {byName: map[string]int{"ANSWER": 0, "AUTHORITY": 1, "ADDITIONAL": 2}},
		"rank":           {byName: ranks()},
		"extended_error": {byName: extendedErrors()},
	}
}

func ranks() map[string]int {
	return map[string]int{
		"INITIAL": int(rank.Initial), "OMIT": int(rank.Omit), "TRY": int(rank.Try), "INDET": int(rank.Indet), "BOGUS": int(rank.Bogus),
		"MISMATCH": int(rank.Mismatch), "MISSING": int(rank.Missing), "INSECURE": int(rank.Insecure), "AUTH": int(rank.Auth), "SECURE": int(rank.Secure),
	}
}

// installKres makes the table kres.
func installKres(d *Daemon, v *views) {
	group := &script.Class{Name: "kres.tostring"}
	toString := map[string]*script.Handle{}
	var fields []script.Field
	field := func(name, help string, value any) {
		fields = append(fields, script.Field{Name: name, Help: help, Get: func(*script.Call) (any, error) { return value, nil }})
	}
	for name, t := range constantTables() {
		field(name, "numbers by their names", &script.Handle{Class: constantsClass("kres."+name, &v.missed), Value: t})
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
	d.VM.RegisterObject(script.Object{Name: "kres", Protected: true, Help: "constants and conversions of DNS", Fields: fields, Funcs: kresFuncs(v)})
	d.VM.Preload("kres")
}

func kresFuncs(v *views) []script.Func {
	same := func(name string) script.Func {
		return script.Func{Name: name, Args: "value", Min: 1, Max: 1, Help: "the value itself: it has its type already",
			Fn: func(c *script.Call) error { return c.Return(c.Arg(1)) }}
	}
	return funcs(
		script.Func{Name: "str2dname", Args: "name", Min: 1, Max: 1, Help: "a name in wire form; nil for what is no name", Fn: toWire},
		script.Func{Name: "dname2str", Args: "wire", Min: 1, Max: 1, Help: "a name in wire form as text; nil for nil", Fn: fromWire},
		script.Func{Name: "dname2wire", Args: "wire", Min: 1, Max: 1, Help: "a name in wire form", Fn: sameWire},
		script.Func{Name: "str2ip", Args: "address", Min: 1, Max: 1, Help: "the 4 or 16 octets of an IP address; nil for what is none", Fn: toIP},
		script.Func{Name: "rr2str", Args: "record", Min: 1, Max: 2, Help: "a record of packet:section() as in a zone file", Fn: recordText},
		script.Func{Name: "parse_rdata", Args: "{ 'TYPE data' }", Min: 1, Max: 1, Help: "RDATA in wire form", Fn: parseRData},
		script.Func{Name: "mk_qflags", Args: "names", Max: 1, Help: "a set of flags", Fn: func(c *script.Call) error {
			if set, ok := c.HandleOf(1, v.flags); ok {
				return c.Return(&script.Handle{Class: v.flags, Value: set})
			}
			o := flagSet(c, 1, v.flags)
			return c.Return(&script.Handle{Class: v.flags, Value: flagsView{options: &o}})
		}},
		same("pkt_t"), same("request_t"), same("sockaddr_t"),
	)
}

// toWire is kres.str2dname and todname.
func toWire(c *script.Call) error {
	if c.Type(1) != "string" {
		return c.Return(nil)
	}
	n, err := dnsname.Parse(c.String(1))
	if err != nil {
		return c.Return(nil)
	}
	return c.Return(string(n))
}

func fromWire(c *script.Call) error {
	if c.IsNil(1) {
		return c.Return(nil)
	}
	n, err := wireName(text(c, 1))
	if err != nil {
		c.ArgError(1, "%v", err)
	}
	return c.Return(n.String())
}

// sameWire gives a name in wire form as it is.
func sameWire(c *script.Call) error {
	n, err := wireName(text(c, 1))
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
