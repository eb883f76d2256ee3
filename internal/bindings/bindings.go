// Package bindings gives scripts the globals of the core: net, cache, worker,
// event, modules, map and the single functions beside them.
//
// A binding checks what the operator wrote, says what is wrong in one sentence
// that names it, and passes values on; what it controls stands behind a narrow
// interface of this package that the worker implements. Nothing here runs on
// the way of a query but functions of scripts that judge requests.
//
// # Rooms
//
// From the ground up: a file stands on those before it.
//
//   - What the globals stand on: daemon.go (the worker as they see it: its parts and
//     their interfaces), args.go (what many functions take and give), absent.go
//     (names of other versions that this one lacks).
//   - The worker as kres.context() shows it: core.go.
//   - The globals: interfaces.go, netparam.go, padding.go, doh.go, tlsserver.go
//     (certificate and tickets for clients), clients.go (limits on them), servers.go
//     (those that questions are sent to), tlsclient.go, netlist.go, listenflags.go and
//     net.go; shown.go (entries as tables) and cache.go; event.go and clear.go
//     (cache.clear goes on by a timer); map.go; modules.go; options.go and
//     loglines.go.
//   - Rules in Lua: policyfunc.go (functions of scripts as rules and actions) and
//     policy.go.
//   - Globals that take names, types and flags: negativeanchors.go and trustanchors.go;
//     user.go and system.go; resolve.go; limits.go, upstreams.go and worker.go.
//
// Install, in this file, stands on all of them. The objects that stand for requests and
// the table kres are in package dnslua.
package bindings

import (
	"kresd/internal/dnslua"
	"kresd/internal/lualib"
	"kresd/internal/script"
)

// Install makes the globals. It runs once, on the machine's owner goroutine.
func Install(d *Daemon) {
	if d.Interfaces == nil {
		d.Interfaces = MachineInterfaces
	}
	if d.Bindable == nil {
		d.Bindable = bindable
	}
	installNet(d)
	installCache(d)
	timers := installEvent(d)
	views := dnslua.NewViews(d.VM)
	views.Core = &core{d}
	if d.Clock != nil {
		views.Mono = d.Clock.Mono
	}
	asker := &asker{d: d, views: views}
	asker.install()
	libraries, queues := lualib.Libraries(lualib.Host{VM: d.VM, Alarms: d.Alarms, Watcher: d.Descriptors, Clock: d.Clock, Goroutines: d.Group})
	d.VM.AddLibraries(libraries...)
	installWorker(d, asker, queues.Background())
	views.Install()
	installModules(d, views, map[string]func() script.Object{"policy": newPolicies(d, views).object})
	installTrustAnchors(d)
	installSystem(d)
	installOptions(d)
	installLogLines(d)
	installMap(d)
	d.VM.SetAbsent(script.Absent{Names: absentNames(), Packages: absentPackages()})
	clearer{d, timers}.install()
	d.VM.Seal()
}
