package worker

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"

	"kresd/internal/cli"
	"kresd/internal/console"
	"kresd/internal/limits"
	"kresd/internal/listen"
	"kresd/internal/logging"
	"kresd/internal/rundir"
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
		w.o.Link.Unfit()
		w.o.Notify.Forget() // who tries again is to run the files; after any other trouble, what was in force
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
	w.keepConfiguration()
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

// background starts what runs beside the queries.
func (w *Worker) background() {
	w.group.Go("cache collector", func() { w.storage.collect(w.ctx) })
	w.group.Go("roster", w.followRoster)
	w.group.Go("custody", w.custody.run)
	w.group.Go("certificate", func() { w.encrypted.certificate.Watch(w.ctx) })
	w.group.Go("lists", func() { w.rules.policy.Lists.Watch(w.ctx) })
	(&negatives{store: w.rules.anchors.Store, clock: w.clock, log: w.rules.anchors.log, tasks: w.group, sound: w.sound}).start()
	w.feedWatchdogs()
}

func (w *Worker) followRoster() {
	for {
		select {
		case members := <-w.o.Link.Roster():
			w.siblings.update(members)
			w.consoles.lead(w.siblings.leads())
		case <-w.ctx.Done():
			return
		}
	}
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
