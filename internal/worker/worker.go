package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kresd/internal/bindings"
	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/listen"
	"kresd/internal/logging"
	"kresd/internal/module"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/script"
	"kresd/internal/selection"
	"kresd/internal/settings"
	"kresd/internal/upstream"
)

// Worker is one process's parts.
type Worker struct {
	o        Options
	log      *logging.Logger
	out, err *logging.Ring // what scripts print
	clock    *clock.Clock
	group    *safe.Group
	counters *limits.Counters
	settings *settings.Settings

	cache    *cache.Cache
	storage  *storage
	roots    *roots
	rules    *rulebook
	servers  *selection.Selector
	upstream *upstream.Exchanger
	driver   *resolve.Driver
	chain    *module.Chain
	server   *listen.Server
	vm       *script.VM
	siblings *siblings
	custody  *custody
	consoles consoles
	ids      requestIDs
	local    localAddrs
	ballast  []byte

	ctx    context.Context // of the work in the background
	cancel context.CancelFunc
	quit   chan struct{}
	once   sync.Once
}

// newWorker makes the parts; nothing listens and nothing is stored yet.
func newWorker(o Options, log *logging.Logger, out, errs *logging.Ring) (*Worker, error) {
	w := &Worker{o: o, log: log, out: out, err: errs, counters: &limits.Counters{}, settings: settings.New(), quit: make(chan struct{})}
	w.group = &safe.Group{OnPanic: func(p *safe.Panic) { log.Error(p.Error(), "stack", string(p.Stack)) }}
	w.ballast = newBallast()
	twoProcessors(o.Getenv)
	w.ctx, w.cancel = context.WithCancel(context.Background())
	var err error
	if w.clock, err = clock.FromEnv(o.Getenv); err != nil {
		return nil, err
	}
	if w.clock.Shifted() {
		log.Warn(fmt.Sprintf("the clock is shifted by the file in %s: for tests only", clock.OffsetFileVar))
	}
	w.siblings = newSiblings(o.Link)
	w.cache = cache.New(w.counters)
	w.storage = &storage{w: w}
	w.roots = newRoots(w.cache)
	w.rules = w.newRulebook()
	if err := w.makeDriver(); err != nil {
		return nil, err
	}
	w.custody = newCustody(w)
	w.server = listen.New(&handler{w}, listen.Options{Clock: w.clock, Log: log, Limits: w.counters, Panics: w.group,
		Changed: w.custody.listensElsewhere})
	return w, w.makeScript()
}

// makeDriver makes what resolves.
func (w *Worker) makeDriver() error {
	port, err := upstreamPort(w.o.Getenv)
	if err != nil {
		return err
	}
	if port != 0 {
		w.log.Warn(fmt.Sprintf("other servers are asked on port %d by %s: for laboratories only", port, upstreamPortVar))
	}
	w.servers = selection.New(selection.Config{Clock: w.clock, Port: port, Own: w.isOwn})
	w.upstream, err = upstream.New(upstream.Config{
		Outgoing:  w.settings.Outgoing,
		Bufsize:   func() uint16 { return uint16(w.settings.UpstreamBufsize.Load()) },
		AvoidPort: w.isListening,
		Clock:     w.clock,
		Counters:  w.counters,
		OnPanic:   w.group.OnPanic,
	})
	if err != nil {
		return err
	}
	w.driver = resolve.NewDriver(resolve.Config{
		Layers:     func() []*resolve.Layer { return w.chain.Snapshot().Layers },
		Exchanger:  w.upstream,
		Cuts:       w.cache,
		Servers:    w.servers,
		Counters:   w.counters,
		Flags:      w.settings.RequestFlags,
		Partitions: w.partitions,
		Everything: minimalANY,
		OnPanic: func(r *resolve.Request, p *safe.Panic) {
			w.log.Error(p.Error(), "question", r.Name.String(), "type", r.Type, "stack", string(p.Stack))
		},
		Context: w.ctx,
		Explore: true,
	})
	w.chain = module.NewChain(w.modules())
	for _, name := range builtin {
		if _, err := w.chain.Load(name); err != nil {
			return err
		}
	}
	return nil
}

// makeScript makes the Lua machine with its globals.
func (w *Worker) makeScript() error {
	var err error
	w.vm, err = script.New(script.Options{
		Stdout: w.out, Stderr: w.err, Clock: w.clock, Goroutines: w.group,
		OnPanic: func(name string, v any, stack []byte) {
			w.log.Error(fmt.Sprintf("panic in %s: %v", name, v), "stack", string(stack))
		},
	})
	if err != nil {
		return err
	}
	return w.vm.Do(w.ctx, func(*script.Call) error {
		bindings.Install(&bindings.Daemon{
			VM: w.vm, Settings: w.settings, Chain: w.chain, Listener: listener{w}, Cache: w.storage, Process: process{w}, Resolver: resolver{w},
			Mapper: mapper{w}, Policy: w.rules.policy, Anchors: w.rules.anchors, Clock: w.clock, Log: w.log, Group: w.group, ModuleDir: w.moduleDir(), Changed: w.applySettings,
		})
		w.vm.SetModuleDir(w.moduleDir())
		return nil
	})
}

// defaultModuleDir is where packages put modules.
const defaultModuleDir = "/usr/lib/knot-resolver/kres_modules"

func (w *Worker) moduleDir() string {
	if dir := w.o.CLI.ModuleDir; dir != "" {
		return dir
	}
	return defaultModuleDir
}

// applySettings hands on the settings that parts keep themselves.
func (w *Worker) applySettings() {
	w.server.SetTCPPipeline(int(w.settings.TCPPipeline.Load()))
	w.server.SetTCPIdle(time.Duration(w.settings.TCPIdle.Load()))
	w.servers.SetDeadTime(w.settings.NSTimeoutDuration())
	w.cache.SetReorder(w.settings.Flag(resolve.ReorderRR))
}

// wantEnd asks the worker to end; the first of several counts.
func (w *Worker) wantEnd() { w.once.Do(func() { close(w.quit) }) }
