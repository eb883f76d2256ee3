package worker

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"kresd/internal/bindings"
	"kresd/internal/cache"
	"kresd/internal/clock"
	"kresd/internal/fdwatch"
	"kresd/internal/limits"
	"kresd/internal/listen"
	"kresd/internal/logging"
	"kresd/internal/metrics"
	"kresd/internal/module"
	"kresd/internal/modules/policy"
	"kresd/internal/resolve"
	"kresd/internal/safe"
	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/selection"
	"kresd/internal/settings"
	"kresd/internal/trustanchor"
	"kresd/internal/upstream"
	"kresd/internal/validate"
	"kresd/internal/wire"
)

// Worker is one process's parts. No part holds a Worker: newWorker gives each the
// parts that it needs.
type Worker struct {
	o        Options
	log      *logging.Logger
	out, err *logging.Ring // what scripts print
	clock    *clock.Clock
	group    *safe.Group
	counters *limits.Counters
	settings *settings.Settings

	vm        *command.Interpreter
	watcher   *fdwatch.Watcher // of descriptors, for scripts
	cache     *cache.Cache
	storage   *storage
	roots     *roots
	rules     *rulebook
	servers   *selection.Selector
	upstream  *upstream.Exchanger
	driver    *resolve.Driver
	requests  *requests
	chain     *module.Chain
	server    *listen.Server
	listener  *listener
	encrypted *encryption
	own       *own
	figures   *metrics.Registry
	proofs    validate.Counts
	siblings  *siblings
	custody   *custody
	consoles  *consoles
	reloads   *reloads
	ballast   []byte

	ctx     context.Context // of the work in the background
	cancel  context.CancelFunc
	quit    chan struct{}
	once    sync.Once
	seldom  logging.Seldom // panics
	started atomic.Bool    // it has what it needs privileges for
	status  atomic.Int32   // that a script wants the process to end with
}

// newWorker makes the parts, each after those that it is given; nothing listens
// and nothing is stored yet.
func newWorker(o Options, log *logging.Logger, out, errs *logging.Ring) (*Worker, error) {
	w := &Worker{o: o, log: log, out: out, err: errs, counters: &limits.Counters{}, settings: settings.New(), quit: make(chan struct{})}
	w.group = &safe.Group{OnPanic: func(p *safe.Panic) { w.tellPanic(p) }}
	w.watcher = fdwatch.New(w.group)
	w.ballast = newBallast()
	twoProcessors(o.Getenv)
	fitIntoMemory(o.Getenv, o.Link.Count(), w.settings)
	w.ctx, w.cancel = context.WithCancel(context.Background())
	lab, err := laboratoryOf(o.Getenv, log)
	if err != nil {
		return nil, err
	}
	if w.clock, err = clock.FromEnv(o.Getenv); err != nil {
		return nil, err
	}
	if w.clock.Shifted() {
		log.Warn(fmt.Sprintf("the clock is shifted by the file in %s: for tests only", clock.OffsetFileVar))
	}
	w.reloads = newReloads(&w.o, log, w.group, os.Args, w.rereadFiles)
	if w.vm, err = w.newMachine(); err != nil {
		return nil, err
	}
	w.siblings = newSiblings(o.Link)
	w.cache = cache.New(w.counters)
	w.storage = &storage{
		cache: w.cache, link: o.Link, clock: w.clock, log: log.Group("cache"), group: w.group, ctx: w.ctx,
		forget: func() { w.servers.Forget() }, leads: w.siblings.leads, partition: w.dataPartition,
	}
	w.roots = newRoots(w.cache, w.reloads.inForce)
	w.rules = newRulebook(log, &anchors{Store: trustanchor.New(), log: log.Group("ta"), clock: w.clock, resolve: w.resolve})
	w.rules.policy.Lists = policy.NewLists(policy.Files{
		Latest: w.reloads.latest, InForce: w.reloads.inForce, Changed: w.renewRules,
		Warn: func(line string) { log.Warn(line) }, Notice: func(line string) { log.Notice(line) },
	})
	w.own = &own{clock: w.clock, server: func() *listen.Server { return w.server }}
	w.servers = selection.New(selection.Config{Clock: w.clock, Port: lab.port, TLSPort: lab.tlsPort, Own: w.own.is})
	if w.upstream, err = w.newUpstream(); err != nil {
		return nil, err
	}
	w.driver = w.newDriver(!lab.noExplore)
	w.requests = &requests{driver: w.driver, clock: w.clock, log: log}
	w.figures = w.newFigures()
	if w.chain, err = newChain(w.host(), w.modules()); err != nil {
		return nil, err
	}
	w.encrypted = newEncryption(w.clock, o.Link, w.settings, log, w.reloads.latest, func(file string) { w.upstream.Distrust(file) })
	w.custody = newCustody(w.ctx, o.Link, log, w.group)
	w.server = listen.New(w.newHandler(), listen.Options{Bind: o.bind(), Clock: w.clock, Log: log, Limits: w.counters, Panics: w.group, TLS: w.encrypted.config, Key: w.encrypted.tickets.Derive, Dir: quicDir,
		Changed: w.custody.listensElsewhere, Appeared: tellAppeared(log, o.Link.ID()), Supervisor: supervisorOf(o.Link)})
	w.custody.server = w.server
	w.encrypted.renewed = w.renewKeys
	w.listener = newListener(w.server, func() {
		if w.started.Load() { // before, openServer does it
			w.encrypted.listened()
		}
	})
	w.consoles = &consoles{vm: w.vm, out: out, err: errs, quiet: o.CLI.Quiet, log: log, text: o.CLI.LogFormat == logging.Text, counters: w.counters, link: o.Link, reloads: w.reloads}
	return w, w.installGlobals()
}

// renewKeys has what is listened on use keys that follow from the present secret.
func (w *Worker) renewKeys() {
	w.group.Go("keys", func() {
		if err := w.server.RenewKeys(); err != nil {
			w.encrypted.log.Warn(fmt.Sprintf("clients over QUIC are served with keys of the former secret: %v", err))
		}
	})
}

// newMachine makes the Lua machine, still without the globals of the core.
func (w *Worker) newMachine() (*command.Interpreter, error) {
	in := w.o.Stdin
	if w.o.CLI.Interactive {
		in = nil // what comes from there is commands
	}
	return command.New(w.o.alone(w, w.o.dry.machine(script.Options{
		Stdin: in, Exit: w.exit, Line: w.scriptLine(), Loaded: w.reloads.loaded, Code: w.reloads.instead, Opened: w.reloads.opened,
		Stdout: w.out, Stderr: w.err, Clock: w.clock, Goroutines: w.group,
		OnLong: func(place string, ran time.Duration) {
			w.log.Warn(fmt.Sprintf("a script has been running for %.1f seconds, now at %s; other scripts and the console wait for it", ran.Seconds(), place))
		},
		OnPanic: func(name string, v any, stack []byte) {
			w.log.Error(fmt.Sprintf("panic in %s: %v", name, v), "stack", logging.Stack(stack))
		},
	})))
}

// scriptLine writes what scripts tell the log, where that is not text: whoever reads
// it as JSON or logfmt is given nothing else.
func (w *Worker) scriptLine() func(warning bool, text string) {
	if w.o.CLI.LogFormat == logging.Text {
		return nil
	}
	log := w.log.Group("script")
	return func(warning bool, text string) {
		if warning {
			log.Warn(text)
		} else {
			log.Notice(text)
		}
	}
}

// tellPanic tells of a panic, of each kind once in a while: who knows a question that
// causes one may ask it again and again.
func (w *Worker) tellPanic(p *safe.Panic, about ...any) {
	w.seldom.Say(p.Name, func(more string) {
		w.log.Error(p.Error()+more, append(about, "stack", logging.Stack(p.Stack))...)
	})
}

// newUpstream makes what asks other servers.
func (w *Worker) newUpstream() (*upstream.Exchanger, error) {
	return upstream.New(upstream.Config{
		Outgoing:    w.settings.Outgoing,
		Warn:        func(line string) { w.log.Warn(line) },
		Authorities: func(files []string) *x509.CertPool { return w.encrypted.authorities.Pool(files) },
		Bufsize:     func() uint16 { return uint16(w.settings.UpstreamBufsize.Load()) },
		AvoidPort:   w.own.hasPort,
		Clock:       w.clock,
		Counters:    w.counters,
		OnPanic:     w.group.OnPanic,
	})
}

// newDriver makes what resolves, with the layers of the modules that are loaded
// when a request begins.
func (w *Worker) newDriver(explore bool) *resolve.Driver {
	return resolve.NewDriver(w.driverConfig(explore))
}

func (w *Worker) driverConfig(explore bool) resolve.Config {
	return resolve.Config{
		Layers:     func() []*resolve.Layer { return w.chain.Snapshot().Layers },
		Exchanger:  w.upstream,
		Cuts:       w.cache,
		Servers:    w.servers,
		Counters:   w.counters,
		Options:    w.settings.RequestOptions,
		Limits:     w.settings.Clients.Load,
		Partitions: w.partitions,
		Everything: minimalANY,
		OnPanic: func(r *resolve.Request, p *safe.Panic) {
			w.tellPanic(p, logging.FieldName, r.Name.String(), logging.FieldType, wire.TypeText(r.Type))
		},
		Context:       w.ctx,
		Opportunistic: w.settings.Opportunistic.Load,
		Explore:       explore,
	}
}

// resolve resolves a request of the worker's own, or of a module's, and fills in its
// Result.
func (w *Worker) resolve(ctx context.Context, req *resolve.Request) {
	w.requests.enter(req)
	w.driver.Resolve(ctx, req)
}

// newHandler makes both ways of a query.
func (w *Worker) newHandler() *handler {
	return &handler{requests: w.requests, clock: w.clock, settings: w.settings, cache: w.cache, chain: w.chain, counters: w.counters, partitions: w.partitions}
}

// installGlobals gives scripts the globals of the core.
func (w *Worker) installGlobals() error {
	process := process{link: w.o.Link, open: w.openServer, shown: w.encrypted.certificate, servers: w.servers, quit: w.wantEnd, became: w.became, alive: w.alive}
	return w.vm.Do(w.ctx, func(*script.Call) error {
		bindings.Install(w.o.dry.daemon(w, &bindings.Daemon{
			VM: w.vm.VM, Settings: w.settings, Chain: w.chain, Listener: w.listener, Encryption: w.encrypted, Cache: w.storage, Process: process,
			Metrics:  w.figures,
			Resolver: resolver{w.requests, w.ctx}, Mapper: mapper{w.siblings}, Policy: w.rules.policy, View: w.rules.view, Anchors: w.rules.anchors,
			Clock: w.clock, Alarms: clock.NewAlarms(w.clock), Descriptors: w.watcher, Counters: w.counters, Log: w.log, Group: w.group, ModuleDir: w.moduleDir(), Changed: w.applySettings,
		}))
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
	w.server.SetClientLimits(*w.settings.Clients.Load())
	if list := w.settings.Proxies.Load(); list != nil {
		w.server.SetProxies(*list)
	}
	w.server.SetTCPPipeline(int(w.settings.TCPPipeline.Load()))
	w.server.SetTCPIdle(time.Duration(w.settings.TCPIdle.Load()))
	w.server.SetTLSHandshake(time.Duration(w.settings.TLSHandshake.Load()))
	w.server.SetDoH(*w.settings.DoHPaths.Load(), *w.settings.DoHHeaders.Load())
	w.servers.SetDeadTime(w.settings.NSTimeoutDuration())
	w.cache.SetReorder(w.settings.Options().VaryOrder)
}

// exit is os.exit: the process ends with a status as soon as the worker has ended.
func (w *Worker) exit(status int) {
	w.status.Store(int32(status))
	w.wantEnd()
}

// wantEnd asks the worker to end. It may be called more than once.
func (w *Worker) wantEnd() { w.once.Do(func() { close(w.quit) }) }
