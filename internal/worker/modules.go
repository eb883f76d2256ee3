package worker

import (
	"kresd/internal/dnslua"
	"kresd/internal/dnslua/terms"
	"kresd/internal/iterate"
	"kresd/internal/module"
	"kresd/internal/modules/boguslog"
	"kresd/internal/modules/ddr"
	"kresd/internal/modules/dns64"
	"kresd/internal/modules/hints"
	"kresd/internal/modules/nsid"
	"kresd/internal/modules/priming"
	"kresd/internal/modules/querylog"
	"kresd/internal/modules/rebinding"
	"kresd/internal/modules/refusenord"
	"kresd/internal/modules/renumber"
	"kresd/internal/modules/servestale"
	"kresd/internal/modules/stats"
	"kresd/internal/modules/tasentinel"
	"kresd/internal/modules/tasignal"
	"kresd/internal/modules/taupdate"
	"kresd/internal/modules/timejump"
	"kresd/internal/modules/timeskew"
	"kresd/internal/modules/workarounds"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/validate"
)

// A listed module stands in the list of modules.
type listed struct {
	module.Module
	always bool // loaded before the configuration runs, in the order of the list
}

// modules are all that can be loaded, those that are always loaded first and in
// their order.
func (w *Worker) modules() []listed {
	return []listed{
		// First, because every later layer judges or keeps what it made of a message.
		{layer("iterate", iterate.Layer), true},
		// Before the cache, so that nothing is kept with a rank that was not judged.
		{layer("validate", func() *resolve.Layer {
			return validate.Layer(validate.Config{Anchors: w.rules.anchors.Snapshot, Counts: &w.proofs})
		}), true},
		// Last of the three: it keeps what the others agreed on.
		{layer("cache", w.cache.Layer), true},
		// Behind the cache, as the manual has it: its rules are asked before any layer
		// produces, and its rules for answers after the answer was kept.
		{w.rules.policy.Module(), true},
		// These two watch the root's servers and the clock; they may stand anywhere.
		{priming.Module(), true},
		{timejump.Module(), true},
		// It takes part in no resolution.
		{taupdate.Module(taupdate.Config{Store: w.rules.anchors.Store, Leads: w.siblings.leads, Log: w.rules.anchors.log}), true},
		// Behind the cache, which keeps what was proven and not what is told instead.
		{tasentinel.Module(w.rules.anchors.Snapshot), true},
		// They take part in no resolution, and ask questions of their own.
		{tasignal.Module(w.rules.anchors.Snapshot), true},
		{timeskew.Module(timeskew.Config{Anchors: w.rules.anchors.Snapshot, Leads: w.siblings.leads}), true},
		// So that hints.root() is there for every configuration; its table is empty.
		{hints.Module(), true},
		// Behind hints, which the operator may have for its names.
		{ddr.Module(w.designations()), true},
		// The others stand where the operator loads them; their help says where that is.
		{w.rules.view.Module(), false},
		{w.rules.daf.Module(), false},
		{rebinding.Module(), false},
		{nsid.Module(&w.settings.NSID), false},
		{dns64.Module(dns64.Config{Disabled: disableDNS64()}), false},
		{refusenord.Module(), false},
		{renumber.Module(), false},
		{servestale.Module(), false},
		{workarounds.Module(workarounds.Names{Option: terms.OptionByName, Of: terms.OptionNames}), false},
		{stats.Module(), false},
		{boguslog.Module(), false},
		{querylog.Module(), false},
	}
}

// disableDNS64 is the option by which rules except clients from dns64.
func disableDNS64() resolve.Options {
	o, _ := terms.OptionByName("DNS64_DISABLE")
	return o
}

// layer is a module that is a layer and nothing else.
func layer(name string, make func() *resolve.Layer) module.Module {
	return module.Module{Name: name, Open: func(*module.Host) (*module.Instance, error) {
		return &module.Instance{Layer: make()}, nil
	}}
}

// newChain makes the chain of modules and loads those that are always there.
func newChain(host *module.Host, list []listed) (*module.Chain, error) {
	var known []module.Module
	for _, m := range list {
		known = append(known, m.Module)
	}
	chain := module.NewChain(host, known)
	for _, m := range list {
		if !m.always {
			continue
		}
		if _, err := chain.Load(m.Name); err != nil {
			return nil, err
		}
	}
	return chain, nil
}

// host is what modules may use of this worker.
func (w *Worker) host() *module.Host {
	if w.o.dry != nil {
		return w.o.dry.host(w)
	}
	return &module.Host{
		Clock: w.clock, Tasks: w.group, Context: w.ctx, Cache: w.cache, Roots: w.roots, Files: w.reloads.inForce, Metrics: w.figures, Callback: scripted(w.vm.VM),
		Notice:  func(line string) { w.log.Notice(line) },
		Warn:    func(line string) { w.log.Warn(line) },
		Resolve: w.resolve,
	}
}

// scripted makes functions of scripts callable from any goroutine: the caller
// waits for the machine, for so long as a script may take over one request.
func scripted(vm *script.VM) func(value any) (module.Callback, bool) {
	return func(value any) (module.Callback, bool) {
		fn, ok := value.(*script.Ref)
		if !ok || fn.Type() != "function" {
			return nil, false
		}
		queries := dnslua.NewQueries(vm)
		return func(req *resolve.Request, args ...any) ([]any, error) { return queries.Call(fn, req, args...) }, true
	}
}
