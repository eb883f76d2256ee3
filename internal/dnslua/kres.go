package dnslua

import (
	"net/netip"
	"slices"
	"strings"

	"kresd/internal/dnslua/ffi"
	"kresd/internal/dnslua/requests"
	"kresd/internal/dnslua/terms"
	"kresd/internal/dnslua/zonefile"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

// Install makes the table kres, and the libraries of scripts for kresd. core may be nil: then
// there is no kres.context(). The constants that scripts read in vain are noted.
func Install(vm *script.VM, views *requests.Views, core Core, missed *terms.MissedConstant) {
	vm.SetWords("flag", terms.Flags)
	vm.SetWords("type", terms.Types)
	worker := newContext(views)
	fields := terms.Constants(missed)
	for name, s := range map[string]resolve.State{"CONSUME": resolve.Consume, "PRODUCE": resolve.Produce, "DONE": resolve.Done, "FAIL": resolve.Fail, "YIELD": resolve.Yield} {
		fields = append(fields, script.Field{Name: name, Get: func(*script.Call) (any, error) { return int(s), nil }})
	}
	slices.SortFunc(fields, func(a, b script.Field) int { return strings.Compare(a.Name, b.Name) })
	maps, maker := lruClass(views)
	vm.RegisterObject(script.Object{Name: "kres", Protected: true, Fields: fields, Funcs: slices.Concat(functions(views), views.Functions(), []script.Func{
		{Name: "mk_qflags", Args: "names", Max: 1, Fn: views.MakeFlags},
		maker,
		{Name: "context", Max: 0, Fn: func(c *script.Call) error {
			if core == nil {
				return script.Usage("there is no worker here")
			}
			return c.Return(worker.handle(core))
		}},
	})})
	vm.Preload("kres", "kres")
	views.Describe()
	vm.Describe(worker.cache, "cache")
	vm.Describe(maps, "lru")
	types := views.Types()
	types["struct kr_context"], types["struct kr_cache"], types["struct lru"] = worker.context, worker.cache, maps
	vm.AddLibraries(ffi.Library(views, types), zonefile.Library(vm))
}

// functions are those of kres that make and take no objects.
func functions(v *requests.Views) []script.Func {
	same := func(name string) script.Func {
		return script.Func{Name: name, Args: "value", Min: 1, Max: 1,
			Fn: func(c *script.Call) error { return c.Return(c.Arg(1)) }}
	}
	return []script.Func{
		{Name: "str2dname", Args: "name", Min: 1, Max: 1, Fn: v.Refused.ToWire},
		{Name: "dname2str", Args: "wire", Min: 1, Max: 1, Fn: fromWire},
		{Name: "dname2wire", Args: "wire", Min: 1, Max: 1, Fn: sameWire},
		{Name: "str2ip", Args: "address", Min: 1, Max: 1, Fn: toIP},
		same("pkt_t"), same("request_t"), same("sockaddr_t"),
	}
}

// fromWire is kres.dname2str and todname's other direction.
func fromWire(c *script.Call) error {
	if c.IsNil(1) {
		return c.Return(nil)
	}
	n, err := terms.WireName(c.Text(1))
	if err != nil {
		c.ArgError(1, "%v", err)
	}
	return c.Return(n.String())
}

// sameWire gives a name in wire form as it is.
func sameWire(c *script.Call) error {
	n, err := terms.WireName(c.Text(1))
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
