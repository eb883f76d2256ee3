package worker

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"kresd/internal/cli"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// Script runs a script of a user's in a worker of its own, which listens on nothing, has
// no console, and keeps its cache in a directory that is removed at the end. Nothing
// that a start does by default is done. It returns the exit status: what os.exit() said,
// 0 after quit(), 1 after an error, 128 and the signal's number after a signal, as a
// shell would say.
func Script(o Options) int {
	o.fill()
	dir, err := os.MkdirTemp("", "kresd-script-")
	if err != nil {
		return complain(&o, err)
	}
	defer os.RemoveAll(dir)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, cli.Signals(o.Getenv)...)
	out, errs := logging.NewRing(o.Stdout, limits.LogRing), logging.NewRing(o.Stderr, limits.LogRing)
	defer errs.Close(limits.ConsoleWrite)
	defer out.Close(limits.ConsoleWrite)
	level := logging.Warn
	if o.CLI.Verbose {
		level = logging.Debug
	}
	log := logging.New(logging.Options{Out: errs, Err: errs, Format: o.CLI.LogFormat, Level: level})
	defer log.Close(limits.ConsoleWrite)
	o.oneshot = true
	w, err := newWorker(o, log, out, errs)
	if err != nil {
		return complain(&o, err)
	}
	defer w.abandon()
	if err := w.storage.Open(limits.ScriptCache, "lmdb://"+dir, dir); err != nil {
		return complain(&o, err)
	}
	return w.oneshot(signals)
}

// oneshot runs the script until it, or somebody outside, wants the end.
func (w *Worker) oneshot(signals <-chan os.Signal) int {
	ended := make(chan error, 1)
	w.group.Go("script", func() {
		if err := w.runScript(); err != nil {
			ended <- err
		}
	})
	select {
	case s := <-signals:
		number, _ := s.(syscall.Signal)
		return 128 + int(number)
	case err := <-ended:
		if !errors.Is(err, script.ErrExit) {
			fmt.Fprintf(w.err, "%s\n", script.Report(err))
			return 1
		}
		<-w.quit
	case <-w.quit:
	}
	return int(w.status.Load())
}

// runScript runs the script with its arguments in the global arg, as the program lua
// does.
func (w *Worker) runScript() error {
	arg := (&luavalue.Table{}).Add(0.0, w.o.CLI.Script)
	for i, text := range w.o.CLI.ScriptArgs {
		arg.Add(float64(i+1), text)
	}
	if err := w.vm.Do(w.ctx, func(c *script.Call) error { c.VM().SetGlobal("arg", arg); return nil }); err != nil {
		return err
	}
	return w.vm.RunFile(w.ctx, w.o.CLI.Script)
}

// alone has the process end where the code of an event fails, when there is a script and
// nobody else who would go on.
func (o *Options) alone(w *Worker, vm script.Options) script.Options {
	if o.oneshot {
		vm.Fatal, vm.EventTime = func() { w.exit(1) }, limits.ScriptEventTime
	}
	return vm
}
