// Package ffi is the library of that name: no interface to C, but what scripts written for
// LuaJIT call in it, by Go. Whatever else they call is an error that names it.
package ffi

import (
	"bytes"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kresd/internal/dnslua/records"
	"kresd/internal/dnslua/requests"
	"kresd/internal/dnslua/terms"
	"kresd/internal/dnssec"
	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/wire"
)

type library struct {
	*requests.Views
	types map[string]*script.Class
}

// Library makes it for one machine. types are the classes of values by the names that C has
// for them, for ffi.istype.
func Library(views *requests.Views, types map[string]*script.Class) script.Library {
	v := &library{views, types}
	return script.Library{Name: "ffi", Help: "what scripts written for LuaJIT call of kresd's C functions", Open: func(c *script.Call) (any, error) {
		functions := &luavalue.Table{}
		for _, f := range v.ffiFunctions() {
			f.Name = "ffi." + f.Name
			functions.Add(strings.TrimPrefix(f.Name, "ffi."), c.NewFunction(f))
		}
		symbols := &luavalue.Table{}
		for _, f := range v.cFunctions() {
			f.Name = "ffi.C." + f.Name
			symbols.Add(strings.TrimPrefix(f.Name, "ffi.C."), c.NewFunction(f))
		}
		for name, n := range terms.Ranks() {
			symbols.Add("KR_RANK_"+name, n)
		}
		for name, group := range terms.LogGroups() {
			symbols.Add("LOG_GRP_"+name, group)
		}
		functions.Add("C", &script.Watched{Table: symbols, Missing: missingIn("ffi.C", symbols)})
		functions.Add("os", "Linux")
		return &script.Watched{Table: functions, Missing: missingIn("ffi", functions)}, nil
	}}
}

// missingIn raises an error that names a symbol which a table does not have, and the
// functions that it has.
func missingIn(name string, t *luavalue.Table) func(c *script.Call, key any) {
	var known []string
	for _, p := range t.Pairs {
		switch p.Value.(type) {
		case int, string: // constants
		default:
			known = append(known, p.Key.(string))
		}
	}
	slices.Sort(known)
	return func(c *script.Call, key any) {
		c.Raise(script.Usage(fmt.Sprintf("%s.%v is not in this version, whose ffi reaches no C; %s has %s", name, key, name, strings.Join(known, ", "))))
	}
}

func (v *library) ffiFunctions() []script.Func {
	same := func(c *script.Call) error { return c.Return(c.Arg(1)) }
	return []script.Func{
		{Name: "string", Args: "octets[, length]", Min: 1, Max: 2, Help: "octets as a string", Fn: v.ffiString},
		{Name: "istype", Args: "type, value", Min: 2, Max: 2, Help: "whether a value is of a type, such as kres.rrset", Fn: v.ffiIsType},
		{Name: "cast", Args: "type, value", Min: 2, Max: 2, Help: "the value itself; a function as a callback", Fn: v.ffiCast},
		{Name: "gc", Args: "value[, function]", Min: 1, Max: 2, Help: "the value itself", Fn: same},
		{Name: "copy", Args: "to, from[, length]", Min: 2, Max: 3, Help: "copy octets", Fn: v.ffiCopy},
		{Name: "new", Args: "'char[n]'[, n]", Min: 1, Max: 2, Help: "a piece of memory", Fn: v.ffiNew},
	}
}

// ffiString is ffi.string: of a piece of memory it is what C takes for the string, up to
// the first zero, unless a length is given.
func (v *library) ffiString(c *script.Call) error {
	if c.Type(1) == "string" {
		text := c.String(1)
		return c.Return(text[:c.OptInt(2, 0, len(text), len(text))])
	}
	data := []byte(v.OctetsArg(c, 1))
	end := len(data)
	if c.IsNil(2) {
		if zero := bytes.IndexByte(data, 0); zero >= 0 {
			end = zero
		}
	}
	return c.Return(string(data[:c.OptInt(2, 0, len(data), end)]))
}

// ffiIsType is ffi.istype. The functions that make values stand for their types.
func (v *library) ffiIsType(c *script.Call) error {
	var class *script.Class
	if c.Type(1) == "string" {
		class = v.types[strings.TrimSpace(strings.Trim(strings.TrimPrefix(c.String(1), "const "), "*& "))]
	} else {
		for maker, of := range makers() {
			maker, err := c.LibraryText("ffi", "return kres."+maker)
			if err != nil {
				return err
			}
			if maker.Same(c.Ref(1)) {
				class = v.types[of]
			}
		}
	}
	if class == nil {
		c.ArgError(1, "a type expected, such as kres.packet, kres.rrset or 'struct kr_request'")
	}
	_, is := c.HandleOf(2, class)
	return c.Return(is)
}

// makers are the functions of kres that stand for the types of what they make, which C has
// a name for.
func makers() map[string]string {
	const packet, request, addr = "knot_pkt_t", "struct kr_request", "struct sockaddr"
	return map[string]string{"packet": packet, "pkt_t": packet, "rrset": "knot_rrset_t", "lru": "struct lru", "request_t": request, "sockaddr_t": addr}
}

// callbackTypes are the types of functions that scripts cast theirs to.
var callbackTypes = regexp.MustCompile(`^(kr_stale_cb|trace_callback_f|trace_log_f)$`)

// ffiCast is ffi.cast: values have their types already.
func (v *library) ffiCast(c *script.Call) error {
	ctype := c.Text(1)
	if c.Type(2) == "function" && callbackTypes.MatchString(ctype) {
		return c.Return(v.Callback(c.Function(2)))
	}
	if pointer := strings.HasSuffix(strings.TrimSpace(ctype), "*"); pointer && (c.Type(2) == "userdata" || c.Type(2) == "string" || c.IsNil(2)) {
		return c.Return(c.Arg(2))
	}
	return script.Usage(fmt.Sprintf("ffi.cast: a cast to '%s' is not in this version, whose ffi reaches no C", ctype))
}

// ffiCopy is ffi.copy. A string is copied with a zero behind it where there is room and no
// length is given.
func (v *library) ffiCopy(c *script.Call) error {
	to := v.MemoryArg(c, 1)
	if to.Kept {
		c.ArgError(1, "these octets can only be read")
	}
	from := v.OctetsArg(c, 2)
	if c.IsNil(3) && c.Type(2) == "string" && len(from) < len(to.Data) {
		from += "\x00"
	}
	n := c.OptInt(3, 0, len(from), len(from))
	if n > len(to.Data) {
		c.ArgError(3, "there is room for %d octets, not for %d", len(to.Data), n)
	}
	copy(to.Data, from[:n])
	return nil
}

// arrayOf are the types of C that a piece of memory is made as.
var arrayOf = regexp.MustCompile(`^(?:unsigned char|char|uint8_t|int8_t)\s*\[\s*(\d{1,9}|\?)\s*\]$`)

// ffiNew is ffi.new for arrays of octets, and for the style of kres.rr2str.
func (v *library) ffiNew(c *script.Call) error {
	ctype := c.Text(1)
	if ctype == "knot_dump_style_t" {
		return c.Return(records.StyleTable(c))
	}
	m := arrayOf.FindStringSubmatch(ctype)
	if m == nil {
		return script.Usage(fmt.Sprintf("ffi.new: the type '%s' is not in this version, whose ffi reaches no C; there are arrays such as 'char[16]', and 'knot_dump_style_t'", ctype))
	}
	n, init := 0, 2
	if m[1] == "?" {
		n, init = c.Int(2, 0, limits.LuaString), 3
	} else {
		n, _ = strconv.Atoi(m[1])
	}
	if n > limits.LuaString {
		c.ArgError(1, "an array of at most %d octets expected", limits.LuaString)
	}
	data := make([]byte, n)
	if !c.IsNil(init) {
		copy(data, c.Text(init))
	}
	return c.Return(v.Memory(data))
}

// cFunctions are those in ffi.C.
func (v *library) cFunctions() []script.Func {
	return slices.Concat(v.cNames(), v.cFlags(), v.cAddresses(), []script.Func{
		{Name: "kr_pkt_make_auth_header", Args: "packet", Min: 1, Max: 1, Help: "turn AA on and AD off", Fn: func(c *script.Call) error {
			p := v.PacketArg(c, 1)
			p.SetFlag(wire.FlagAA, true)
			p.SetFlag(wire.FlagAD, false)
			return nil
		}},
		{Name: "kr_now", Max: 0, Help: "milliseconds of a clock that is never set", Fn: func(c *script.Call) error { return c.Return(float64(v.Now().Milliseconds())) }},
		{Name: "kr_dnssec_key_tag", Args: "type, rdata, length", Min: 3, Max: 3, Help: "the key tag of a DNSKEY or DS record; below 0 for others", Fn: v.keyTag},
		{Name: "free", Args: "value", Min: 1, Max: 1, Help: "nothing: memory is freed by itself", Fn: func(*script.Call) error { return nil }},
	})
}

func (v *library) cNames() []script.Func {
	return []script.Func{
		{Name: "knot_dname_is_equal", Args: "name, name", Min: 2, Max: 2, Help: "whether two names are equal", Fn: func(c *script.Call) error {
			return c.Return(v.NameArg(c, 1) == v.NameArg(c, 2))
		}},
		{Name: "knot_dname_in_bailiwick", Args: "name, zone", Min: 2, Max: 2, Help: "how many labels a name has below a zone; below 0 for one outside", Fn: func(c *script.Call) error {
			name, zone := v.NameArg(c, 1), v.NameArg(c, 2)
			if !name.IsSubdomainOf(zone) {
				return c.Return(-2) // what C calls ENOENT
			}
			return c.Return(name.Labels() - zone.Labels())
		}},
		{Name: "knot_dname_labels", Args: "name, nil", Min: 1, Max: 2, Help: "how many labels a name has", Fn: func(c *script.Call) error {
			return c.Return(v.NameArg(c, 1).Labels())
		}},
	}
}

func (v *library) cFlags() []script.Func {
	change := func(on bool) func(c *script.Call) error {
		return func(c *script.Call) error {
			v.TurnFlags(c, on)
			return nil
		}
	}
	return []script.Func{
		{Name: "kr_qflags_set", Args: "flags, set", Min: 2, Max: 2, Help: "turn the flags of a set on", Fn: change(true)},
		{Name: "kr_qflags_clear", Args: "flags, set", Min: 2, Max: 2, Help: "turn the flags of a set off", Fn: change(false)},
	}
}

func (v *library) cAddresses() []script.Func {
	return []script.Func{
		{Name: "kr_bitcmp", Args: "octets, octets, bits", Min: 3, Max: 3, Help: "0 where the first bits are equal, else below or above 0", Fn: v.bitcmp},
		{Name: "kr_straddr_subnet", Args: "to, 'address/bits'", Min: 2, Max: 2, Help: "write the octets of an address; how many bits of it count, below 0 for what is no address", Fn: v.subnet},
		{Name: "kr_straddr_family", Args: "'address[/bits]'", Min: 1, Max: 1, Help: "2 for IPv4, 10 for IPv6, below 0 for what is no address", Fn: func(c *script.Call) error {
			p, ok := prefixOf(c.Text(1))
			switch {
			case !ok:
				return c.Return(codeInvalid)
			case p.Addr().Is4():
				return c.Return(2)
			}
			return c.Return(10)
		}},
	}
}

// codeInvalid is what functions of C return for what they cannot read.
const codeInvalid = -22

// bitcmp compares as many bits as there are in both.
func (v *library) bitcmp(c *script.Call) error {
	a, b := v.OctetsArg(c, 1), v.OctetsArg(c, 2)
	bits := c.Int(3, 0, 8*min(len(a), len(b)))
	if r := strings.Compare(a[:bits/8], b[:bits/8]); r != 0 || bits%8 == 0 {
		return c.Return(r)
	}
	shift := 8 - bits%8
	return c.Return(int(a[bits/8]>>shift) - int(b[bits/8]>>shift))
}

// prefixOf reads a subnet, or an address, which is a subnet of its own.
func prefixOf(text string) (p netip.Prefix, ok bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a.WithZone(""), a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	return p, err == nil
}

func (v *library) subnet(c *script.Call) error {
	to := v.MemoryArg(c, 1)
	p, ok := prefixOf(c.Text(2))
	raw := p.Addr().AsSlice()
	if !ok || len(raw) > len(to.Data) || to.Kept {
		return c.Return(codeInvalid)
	}
	copy(to.Data, raw)
	return c.Return(p.Bits())
}

func (v *library) keyTag(c *script.Call) error {
	t, data := c.Int(1, 0, 0xffff), v.OctetsArg(c, 2)
	data = data[:c.Int(3, 0, len(data))]
	switch {
	case uint16(t) == wire.TypeDNSKEY && len(data) > 4:
		return c.Return(dnssec.KeyTag([]byte(data)))
	case uint16(t) == wire.TypeDS && len(data) > 4:
		return c.Return(int(data[0])<<8 | int(data[1]))
	}
	return c.Return(codeInvalid)
}
