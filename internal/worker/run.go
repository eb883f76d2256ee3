package worker

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"

	"kresd/internal/cli"
	"kresd/internal/console"
	"kresd/internal/limits"
	"kresd/internal/listen"
	"kresd/internal/logging"
	"kresd/internal/rundir"
	"kresd/internal/script"
	"kresd/internal/systemd"
	"kresd/internal/transport"
)

// Run is a worker's whole life. It returns the exit status: 0 after a normal
// end, or what os.exit() said. It takes SIGTERM, SIGINT and SIGQUIT, a lost
// supervisor and quit() as the wish to end.
func Run(o Options) int {
	o.fill()
	screen := o.screen()
	defer screen.Close()
	out, errs := logging.NewRing(screen.Of(o.Stdout), limits.LogRing), logging.NewRing(screen.Of(o.Stderr), limits.LogRing)
	defer out.Close(limits.ConsoleWrite)
	defer errs.Close(limits.ConsoleWrite)
	level := logging.Notice
	if o.CLI.Verbose {
		level = logging.Debug
	}
	log := logging.New(logging.Options{
		Out: out, Err: errs, Format: o.CLI.LogFormat, Level: level,
		Priority: logging.ToJournal(o.Stdout, o.Getenv), ErrPriority: logging.ToJournal(o.Stderr, o.Getenv), Worker: fmt.Sprint(o.Link.ID()),
	})
	defer log.Close(limits.ConsoleWrite)
	w, err := newWorker(o, log, out, errs)
	if err != nil {
		return complain(&o, err)
	}
	w.consoles.screen = screen
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, cli.Signals(o.Getenv)...)
	if err := w.start(signals); err != nil {
		status := int(w.status.Load())
		if !errors.Is(err, errEnded) {
			status = complain(&o, err)
		}
		w.abandon()
		return status
	}
	w.wait(signals)
	if status := w.stop(signals); status != 0 {
		return status
	}
	return int(w.status.Load())
}

// errEnded says that the worker was told to end before it had begun, by a
// signal or by quit() in its configuration.
var errEnded = errors.New("ended while starting")

// complain says in one line why there is no worker: to the supervisor, which
// says it once for all, or on standard error.
func complain(o *Options, err error) int {
	if !o.Link.Fatal(err.Error()) {
		cli.Complain(o.Stderr, "kresd", err)
	}
	return 1
}

// start is the order of beginning. Nothing is bound before everything else is
// there, so that no query meets a worker that cannot answer it.
func (w *Worker) start(signals <-chan os.Signal) error {
	w.warn(w.o.Warnings)
	w.siblings.serve(w.group, w.vm)
	w.shareServers()
	if err := w.takeSockets(); err != nil {
		return err
	}
	w.vm.HoldEvents()
	if err := w.configureUnlessEnded(signals); err != nil {
		return err
	}
	if w.o.Link.ID() == 0 {
		if os.Geteuid() == 0 { // others were warned before (rundir.Enter)
			w.warn(append(rundir.OwnerWarning(), rootWarning))
		}
		w.storage.warnOfOwner()
	}
	if err := w.loadKeyFile(); err != nil {
		return err
	}
	if err := w.applyDefaults(); err != nil {
		return err
	}
	if err := w.openServer(); err != nil {
		return err
	}
	if err := w.server.ServeAdopted(); err != nil {
		return err
	}
	if err := w.openConsole(); err != nil {
		return err
	}
	w.renounce()
	w.started.Store(true)
	w.background()
	w.reloads.started()
	w.vm.ReleaseEvents()
	w.announce()
	w.o.Link.Ready(w.bindLater()...)
	w.o.Notify.Ready(w.listens())
	return nil
}

func (w *Worker) warn(lines []string) {
	for _, line := range lines {
		w.log.Warn(line)
	}
}

// openServer binds the addresses.
func (w *Worker) openServer() error {
	if err := w.server.Open(); err != nil {
		return w.listener.named(w.o.helped(err))
	}
	w.encrypted.begin(w.server)
	return nil
}

// takeSockets plans what the command line and a process manager say. Every
// address that cannot be bound is reported.
func (w *Worker) takeSockets() error {
	var failed []error
	for _, s := range w.o.Sockets {
		if s.Kind == systemd.Control {
			continue
		}
		kinds := transport.Offering(s.Kind)
		if !slices.ContainsFunc(kinds, w.server.Serves) {
			failed = append(failed, fmt.Errorf("inherited socket %d is to serve as '%s', which is not in this version", s.FD, s.Kind))
			continue
		}
		if err := w.server.Adopt(s.File, kinds); err != nil {
			failed = append(failed, err)
		}
	}
	for _, a := range w.o.CLI.Addrs {
		flags := listen.Flags{Kinds: transport.Offering(a.Kind), Await: !a.Optional}
		err := w.server.Listen(a.AddrPort, flags)
		if w.server.Awaits(a.AddrPort) && w.o.Link.ID() == 0 {
			w.log.Warn(fmt.Sprintf("this machine does not have the address %s of the command line: kresd listens on it as soon as it appears", a.Given))
		}
		if err != nil && !a.Optional {
			failed = append(failed, err)
		}
	}
	return w.o.helpedOnce(failed)
}

// plainDNS is to listen by UDP and TCP.
func plainDNS() listen.Flags { return listen.Flags{Kinds: transport.Offering(systemd.DNS)} }

// oneLine joins errors into one that stays on one line.
func oneLine(list []error) error {
	if len(list) == 0 {
		return nil
	}
	text := list[0].Error()
	for _, e := range list[1:] {
		text += "; " + e.Error()
	}
	return errors.New(text)
}

// bindReason is the reason alone, for messages that name the address as it was
// written.
func bindReason(err error) error {
	var b *listen.BindError
	if errors.As(err, &b) {
		return b.Err
	}
	return err
}

// configureUnlessEnded runs the configuration, which the wish to end interrupts.
func (w *Worker) configureUnlessEnded(signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	done, heeded := make(chan struct{}), make(chan struct{})
	w.group.Go("start", func() {
		defer close(heeded)
		if w.asked(signals, done) {
			w.wantEnd()
			cancel()
		}
	})
	err := w.configure(ctx)
	close(done)
	<-heeded
	select {
	case <-w.quit:
		return errEnded
	default:
		return err
	}
}

// configure runs the configuration files. That the usual one is not there is
// fine; that it cannot be read is not.
func (w *Worker) configure(ctx context.Context) error {
	w.seekModuleDir()
	for _, f := range configFiles(&w.o.CLI) {
		if f == defaultConfig {
			if err := rundir.Readable(f); err != nil {
				return err
			}
		}
		if err := w.vm.RunFile(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// seekModuleDir warns of a directory of modules that was named and is not there.
func (w *Worker) seekModuleDir() {
	if dir := w.o.CLI.ModuleDir; dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			w.log.Warn(fmt.Sprintf("module directory '%s' is not there", dir))
		}
	}
}

// configFiles are those that the command line names, or the usual one if it is there.
func configFiles(o *cli.Options) []string {
	if _, err := os.Lstat(defaultConfig); len(o.Configs) == 0 && !o.NoDefaults && err == nil {
		return []string{defaultConfig}
	}
	return o.Configs
}

// loadKeyFile does what -k and -K say, as if it stood last in the configuration.
func (w *Worker) loadKeyFile() error {
	if file := w.o.CLI.KeyFile; file != "" {
		if err := w.rules.anchors.AddFile(w.ctx, file, w.o.CLI.KeyFileReadOnly); err != nil {
			return fmt.Errorf("trust anchors: %w", err)
		}
	}
	return nil
}

// defaultConfig is run when no other file was named.
const defaultConfig = "config"

// noListenVar keeps a worker from listening where nobody told it to.
const noListenVar = "KRESD_NO_LISTEN"

// applyDefaults does what the configuration did not.
func (w *Worker) applyDefaults() error {
	if err := w.listener.failed; err != nil && len(w.server.Endpoints()) == 0 {
		return fmt.Errorf("nothing is listened on: %w%s", err, w.o.advice(w.listener.refused)) // another address instead is not what was meant
	}
	if w.o.CLI.NoDefaults {
		return nil
	}
	if err := w.rules.anchors.useDefault(w.ctx); err != nil {
		return fmt.Errorf("trust anchors: %w", err)
	}
	if len(w.server.Endpoints()) == 0 && !w.noListen() {
		if err := w.listenLocally(); err != nil {
			return err
		}
	}
	if !w.storage.wasTouched() {
		return w.storage.Open(limits.DefaultCacheSize, "lmdb://", ".")
	}
	return nil
}

// noListen tells whether noListenVar is set, in the environment or by the
// configuration (env.KRESD_NO_LISTEN).
func (w *Worker) noListen() bool {
	set := w.o.Getenv(noListenVar) != ""
	_ = w.vm.Do(w.ctx, func(c *script.Call) error {
		set = set || c.Env(noListenVar) != ""
		return nil
	})
	return set
}

// listenLocally listens on the loopback addresses; IPv6 may be absent.
func (w *Worker) listenLocally() error {
	err4 := w.server.Listen(netip.MustParseAddrPort("127.0.0.1:53"), plainDNS())
	err6 := w.server.Listen(netip.MustParseAddrPort("[::1]:53"), plainDNS())
	if err4 != nil && err6 != nil {
		return fmt.Errorf("not listening: %w", w.o.helped(err4))
	}
	if err6 != nil && w.log.DebugOn() {
		w.log.Debug(err6.Error())
	}
	return nil
}

// openConsole opens the control socket, or the console on the terminal.
func (w *Worker) openConsole() error {
	if w.o.CLI.Interactive {
		if err := console.Usable(w.o.Stdin); err != nil {
			return err
		}
		w.group.Go("console", func() { w.consoles.local(w.ctx, w.o.Stdin) })
		return nil
	}
	return w.consoles.serve(w.o.Sockets, w.siblings.relay)
}

// sizeText is a size in octets as people say it.
func sizeText(octets int64) string {
	if octets >= 1<<20 {
		return fmt.Sprintf("%d MB", octets>>20)
	}
	return fmt.Sprintf("%d kB", octets>>10)
}

// announce says what a person who started this wants to know; on a console they
// ask for it.
func (w *Worker) announce() {
	if w.o.Link.ID() != 0 || w.o.CLI.Interactive {
		return
	}
	for _, addr := range w.addresses() {
		w.log.Notice("listening on " + addr)
	}
	if w.storage.IsOpen() {
		w.log.Notice(fmt.Sprintf("cache of %s in %s", sizeText(w.storage.Size()), w.storage.where()))
	}
	w.rules.anchors.announce(w.log)
}

// addresses are those that are listened on now, and paths.
func (w *Worker) addresses() (list []string) {
	for _, e := range w.server.Endpoints() {
		text := fmt.Sprintf("%s@%d", e.Addr.Addr(), e.Addr.Port())
		if e.Path != "" {
			text = e.Path
		}
		if !e.Awaited && !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// listens is the line that a service manager shows.
func (w *Worker) listens() string {
	list := w.addresses()
	if len(list) == 0 {
		return "listening on no address"
	}
	words := list[:min(len(list), 4)]
	text := "listening on " + strings.Join(words, ", ")
	if more := len(list) - len(words); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
