// Package bindings gives scripts the globals of the core: net, cache, worker,
// event, modules, map and the single functions beside them.
//
// A binding checks what the operator wrote, says what is wrong in one sentence
// that names it, and passes values on; what it controls stands behind a narrow
// interface that the worker implements. Nothing here runs on
// the way of a query but functions of scripts that judge requests.
//
// What hides much behind little is in packages below this one, each with the part of the
// worker that it controls, its Host: network, caching, events, policies, modules, anchors,
// options and asking; servers is what two of them read. They do not know each other
// otherwise. What they have in common with all scripts is in dnslua, lualib and lualayer.
//
// # Rooms
//
// From the ground up: a file stands on those before it.
//
//   - daemon.go (the worker as the globals see it: its parts and their interfaces), core.go
//     (the worker as kres.context() shows it).
//   - The globals that are left: map.go; user.go and system.go; limits.go, upstreams.go and
//     worker.go.
//
// Install, in this file, makes all of them.
package bindings

import (
	"time"

	"kresd/internal/bindings/anchors"
	"kresd/internal/bindings/asking"
	"kresd/internal/bindings/caching"
	"kresd/internal/bindings/events"
	"kresd/internal/bindings/modules"
	"kresd/internal/bindings/network"
	"kresd/internal/bindings/options"
	"kresd/internal/bindings/policies"
	"kresd/internal/dnslua"
	"kresd/internal/dnslua/requests"
	"kresd/internal/dnslua/terms"
	"kresd/internal/lualib"
)

// Install makes the globals. It runs once, on the machine's owner goroutine.
func Install(d *Daemon) {
	if d.Interfaces == nil {
		d.Interfaces = network.MachineInterfaces
	}
	if d.Bindable == nil {
		d.Bindable = network.Bindable
	}
	log, vm := d.Log, d.VM
	network.Install(&network.Host{VM: vm, Settings: d.Settings, Listener: d.Listener, Encryption: d.Encryption, Policy: d.Policy, View: d.View, Log: log,
		ID: d.Process.ID, Interfaces: d.Interfaces, Bindable: d.Bindable, Changed: d.changed})
	timers := events.Install(&events.Host{VM: vm, Alarms: d.Alarms, Descriptors: d.Descriptors, Counters: d.Counters})
	cache := caching.Install(&caching.Host{VM: vm, Cache: d.Cache, Metrics: d.Metrics, Settings: d.Settings, Log: log, After: timers.After, Changed: d.changed})
	views, missed := requests.NewViews(vm), &terms.MissedConstant{}
	if d.Clock != nil {
		views.Mono = d.Clock.Mono
	}
	questions := asking.Install(&asking.Host{VM: vm, Resolver: d.Resolver, Group: d.Group, Log: log, Missed: missed}, views)
	libraries, queues := lualib.Libraries(lualib.Host{VM: vm, Alarms: d.Alarms, Watcher: d.Descriptors, Clock: d.Clock, Goroutines: d.Group})
	vm.AddLibraries(libraries...)
	installWorker(d, questions, queues.Background())
	dnslua.Install(vm, views, &core{d}, missed)
	rules := &policies.Host{Policy: d.Policy, View: d.View, Log: log, UseAuthorities: d.Encryption.UseAuthorities,
		Now: func() time.Time { return d.Clock.Now() }}
	modules.Install(&modules.Host{VM: vm, Chain: d.Chain, Log: log, Group: d.Group, Own: policies.Objects(rules, views)}, views)
	anchors.Install(&anchors.Host{VM: vm, Anchors: d.Anchors, Clock: d.Clock, Group: d.Group})
	options.Install(&options.Host{VM: vm, Settings: d.Settings, Log: log, Changed: d.changed})
	installSystem(d, cache, views)
	installMap(d)
	d.VM.Seal()
}
