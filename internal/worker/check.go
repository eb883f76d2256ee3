package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"kresd/internal/bindings/network"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/reload"
	"kresd/internal/rundir"
	"kresd/internal/safe"
	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/source"
)

// Check tries the configuration as a start would run it, in a worker that changes
// nothing (dry.go), and prints all that is wrong. It returns the exit status: 0, or 1
// for a configuration that would not do what it says.
//
// A configuration ends at its first error. To find the others too it is run again
// without the statement that was wrong, until nothing is.
func Check(o Options) int { return checkIn(limits.CheckTime, o) }

// checkIn is Check of a configuration that may run for so long.
func checkIn(most time.Duration, o Options) int {
	o.fill()
	if o.Getenv(reload.ReportVar) != "" {
		o.CLI.RunDir = "." // of the process that has started this one
	}
	k := &checking{o: o, lost: map[string]bool{}}
	ctx, cancel := context.WithTimeoutCause(context.Background(), most, errCheckTime)
	defer cancel()
	done := make(chan struct{})
	safe.Go("check", func(v any) { k.report.add(mistake, fmt.Sprintf("panic in the check: %v", v), "") }, func() {
		defer close(done)
		k.all(ctx)
	})
	select {
	case <-done:
	case <-time.After(most + checkGrace):
		k.report.add(mistake, errCheckTime.Error()+", and cannot be interrupted", "")
	}
	if o.Getenv(reload.ReportVar) != "" {
		return k.report.deliver(o.Stdout)
	}
	return k.report.print(&o)
}

// checkGrace is what the check itself may take beside the configuration.
const checkGrace = 5 * time.Second

var errCheckTime = fmt.Errorf("the configuration runs for more than %v", limits.CheckTime)

// checking is one check.
type checking struct {
	o      Options
	dry    *dryRun
	files  []*checked
	report report
	lost   map[string]bool // variables that the statements left out would have set
	ended  bool            // the configuration ends the process
}

// checked is a file of the configuration.
type checked struct {
	name string
	text string // without the statements that are wrong
	// hopeless: nothing can be left out any more that would help, so it is not run.
	hopeless bool
}

// all is the whole check.
func (k *checking) all(ctx context.Context) {
	warnings, err := rundir.Enter(k.o.CLI.RunDir)
	if err != nil {
		k.report.add(mistake, err.Error(), "")
		return
	}
	for _, line := range warnings {
		k.report.add(warning, line, "")
	}
	k.dry = &dryRun{interfaces: network.MachineInterfaces(), tell: func(kind finding, text string) { k.report.add(kind, text, "") }}
	if k.o.Seal != nil {
		if err := k.o.Seal(); err != nil {
			k.report.add(warning, fmt.Sprintf("the kernel does not keep this check from changing anything: %v", err), "")
		}
	}
	if k.o.Getenv(reload.ReportVar) == reload.ReportDefaults {
		k.tellDefaults(ctx)
		return
	}
	files := configFiles(&k.o.CLI)
	for _, name := range files {
		k.read(name)
	}
	k.missing(files)
	for range limits.CheckRounds {
		if !k.round(ctx) || ctx.Err() != nil {
			return
		}
	}
	k.report.add(mistake, "there is more that is wrong: mend these first", "")
}

// read takes up a file.
func (k *checking) read(name string) {
	f := &checked{name: name}
	k.report.file(name)
	k.files = append(k.files, f)
	text, err := "", fmt.Errorf("config '%s' cannot be read: nobody writes to it", name)
	read := make(chan func(), 1)
	safe.Go("read", nil, func() {
		octets, failed := []byte(nil), rundir.Readable(name)
		if failed == nil {
			octets, failed = os.ReadFile(name)
		}
		read <- func() { text, err = string(octets), failed }
	})
	select {
	case take := <-read:
		take()
	case <-time.After(limits.CheckRead):
	}
	if err != nil {
		f.hopeless = true
		k.report.add(mistake, err.Error(), name)
	}
	f.text = source.WithoutHashBang(text)
}

// missing tells of the usual file that is gone, where it was run for what is in force: at a
// start nothing is wrong without it, but nobody means to put the defaults in force by a
// reload in the middle of an edit.
func (k *checking) missing(files []string) {
	ran := strings.Split(k.o.Getenv(reload.FilesVar), "\n")
	if slices.Contains(ran, defaultConfig) && len(files) == 0 && len(k.o.CLI.Configs) == 0 {
		k.report.add(mistake, defaultConfig+" is gone, from which what is in force was read; an empty file, or a restart, would put the defaults in force", "")
	}
}

// round runs what is left of the configuration and tells whether something more was
// left out, so that another round may find more.
func (k *checking) round(ctx context.Context) (again bool) {
	w, err := k.worker()
	if err != nil {
		k.report.add(mistake, err.Error(), "")
		return false
	}
	defer w.abandon()
	for _, f := range k.files {
		k.compile(ctx, w, f)
		if f.hopeless || k.ended {
			continue
		}
		err := w.vm.RunText(ctx, f.name, f.text)
		if err != nil && k.leaveOut(f, err, int(w.status.Load())) {
			return true
		}
	}
	if !k.ended {
		k.finish(w)
	}
	return false
}

// worker makes one that has nothing to do with the world.
func (k *checking) worker() (*Worker, error) {
	o := k.o
	o.dry = k.dry
	nothing := logging.NewRing(io.Discard, limits.LogRing)
	log := logging.New(logging.Options{Out: logged{k, warning}, Err: logged{k, mistake}, Level: logging.Warn, Still: true})
	return newWorker(o, log, nothing, nothing)
}

// logged takes the lines of a log.
type logged struct {
	k    *checking
	kind finding
}

func (l logged) Write(line []byte) (int, error) {
	text := strings.TrimSuffix(string(line), "\n")
	l.k.report.add(l.kind, strings.TrimPrefix(text, logging.Prefix("system")+" "), "")
	return len(line), nil
}

// compile tells what is wrong with the syntax of a file. Each error hides those below
// it, and may make new ones: they are believed as long as they come further down.
func (k *checking) compile(ctx context.Context, w *Worker, f *checked) {
	for line := 0; !f.hopeless; {
		err := w.vm.CompileText(ctx, f.name, f.text)
		e := new(command.FileError)
		if !errors.As(err, &e) {
			return
		}
		if e.Line > line {
			k.report.add(mistake, e.Error(), f.name)
		}
		f.hopeless = e.Line <= line || !k.without(f, e.Line)
		line = e.Line
	}
}

// leaveOut reports why the configuration ended in a file, and tells whether it can go
// on without the statement that is to blame. status is what os.exit has said.
func (k *checking) leaveOut(f *checked, err error, status int) bool {
	e, i := new(command.FileError), new(script.Interrupt)
	switch {
	case errors.As(err, &e):
		if !k.follows(f, e) {
			k.report.add(mistake, e.Error(), f.name)
		}
		f.hopeless = !k.without(f, e.Line)
		return !f.hopeless
	case errors.Is(err, script.ErrExit):
		k.ended = true
		errors.As(err, &i)
		kind := mistake
		if status == 0 {
			kind = note
		}
		k.report.add(kind, fmt.Sprintf("%sos.exit(%d) ends kresd at its start", i.Where, status), f.name)
	case errors.As(err, &i):
		k.ended = true
		k.report.add(mistake, cmp.Or(i.Where, f.name+": ")+i.Error(), f.name)
	default:
		k.ended = true
		k.report.add(mistake, err.Error(), f.name)
	}
	return false
}

// without leaves out the statement at a line, and tells whether there is one.
func (k *checking) without(f *checked, line int) bool {
	s, ok := source.StatementAt(f.text, line)
	if !ok {
		return false
	}
	before := f.text
	f.text = s.Without(before)
	for _, name := range s.Names {
		k.lost[name] = true
	}
	return f.text != before
}

// follows tells whether an error is about the lack of what a statement would have set
// that was left out, which would not be there if that had been right.
func (k *checking) follows(f *checked, e *command.FileError) bool {
	s, ok := source.StatementAt(f.text, e.Line)
	return ok && strings.Contains(e.Msg, "nil") &&
		slices.ContainsFunc(source.Words(f.text[s.From:s.To]), func(word string) bool { return k.lost[word] })
}

// finish does what follows the configuration at a start.
func (k *checking) finish(w *Worker) {
	w.seekModuleDir()
	if file := w.o.CLI.KeyFile; file != "" {
		if err := (dryAnchors{w.rules.anchors}).AddFile(w.ctx, file, w.o.CLI.KeyFileReadOnly); err != nil {
			k.report.add(mistake, fmt.Sprintf("trust anchors: %v", err), "")
		}
	}
	if w.o.CLI.NoDefaults {
		return
	}
	if err := w.rules.anchors.useDefault(w.ctx); err != nil {
		k.report.add(mistake, fmt.Sprintf("trust anchors: %v", err), "")
	}
}
