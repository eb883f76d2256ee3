// Package bindings gives scripts the globals of the core: net, cache, worker,
// event, modules, map and the single functions beside them, a file each.
//
// A binding checks what the operator wrote, says what is wrong in one sentence
// that names it, and passes values on; what it controls stands behind a narrow
// interface of this package that the worker implements. Nothing here runs on
// the way of a query.
package bindings

import (
	"kresd/internal/clock"
	"kresd/internal/logging"
	"kresd/internal/module"
	"kresd/internal/safe"
	"kresd/internal/script"
	"kresd/internal/settings"
)

// Daemon is what the globals control: one worker.
type Daemon struct {
	VM       *script.VM
	Settings *settings.Settings
	Chain    *module.Chain
	Listener Listener
	Cache    Cache
	Process  Process
	Resolver Resolver
	Mapper   Mapper
	Policy   *Policy
	Anchors  Anchors
	Clock    *clock.Clock
	Log      *logging.Logger
	Group    *safe.Group
	// Interfaces are the network interfaces; nil: this machine's.
	Interfaces func() []Interface
	// ModuleDir is where modules are looked for at first.
	ModuleDir string
	// Changed is called after a setting was changed; it may be nil.
	Changed func()
}

func (d *Daemon) changed() {
	if d.Changed != nil {
		d.Changed()
	}
}

// Install makes the globals. It runs once, on the machine's owner goroutine.
func Install(d *Daemon) {
	if d.Interfaces == nil {
		d.Interfaces = machineInterfaces
	}
	installNet(d)
	installCache(d)
	timers := installEvent(d)
	views := newViews(d.VM)
	asker := &asker{d: d, views: views}
	asker.install()
	installWorker(d, asker)
	installKres(d, views)
	installModules(d, map[string]func() script.Object{"policy": newPolicies(d, views).object})
	installTrustAnchors(d)
	installSystem(d)
	installOptions(d)
	installMap(d)
	clearer{d, timers}.install()
}

// text is a string argument. A number does not count as its text: what these
// functions take is a name, an address or a path.
func text(c *script.Call, i int) string {
	if c.Type(i) != "string" {
		c.TypeError(i, "string")
	}
	return c.String(i)
}

// funcs reads better than a slice literal where functions are listed.
func funcs(list ...script.Func) []script.Func { return list }
