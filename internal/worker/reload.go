package worker

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/logging"
	"kresd/internal/reload"
	"kresd/internal/safe"
	"kresd/internal/script"
	"kresd/internal/systemd"
)

// reloads are those of this worker's group, which the supervisor does, or, of a process
// alone, its own: files that the configuration names are read again in place, and it is
// told what only a restart puts in force.
type reloads struct {
	link    *ipc.Link
	notify  *systemd.Notifier
	log     *logging.Logger
	group   *safe.Group
	checker reload.Checker
	reread  func() error // all files, or none

	mu    sync.Mutex // for those below
	begun bool       // the start is over
	state reload.State
	*ran
}

// newReloads makes them; args are those that this process was started with.
func newReloads(o *Options, log *logging.Logger, group *safe.Group, args []string, reread func() error) *reloads {
	return &reloads{
		link: o.Link, notify: o.Notify, log: log, group: group, reread: reread,
		checker: reload.Checker{Path: "/proc/self/exe", Args: args, Env: systemd.ChildEnv(os.Environ())},
		ran:     newRan(o, func(line string) { log.Warn(line) }),
	}
}

// started ends the start.
func (r *reloads) started() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran.started()
	r.begun = true
	r.next()
}

// Ask implements console.Reloads.
func (r *reloads) Ask(ctx context.Context) (number int, err error) { return r.ask(ctx, "reload") }

// ask asks for a reload and returns its number.
func (r *reloads) ask(ctx context.Context, by string) (number int, err error) {
	if r.link != nil {
		return r.link.Reload(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	number = r.state.Ask()
	r.log.Notice(by + ": the configuration is checked, then the files that it names are read again")
	r.next()
	return number, nil
}

// State implements console.Reloads.
func (r *reloads) State() *reload.State {
	if r.link != nil {
		if s := r.link.Reloads(); s != nil {
			return s
		}
		return &reload.State{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Clone()
}

// OnDisk implements console.Reloads.
func (r *reloads) OnDisk() reload.OnDisk { return r.onDisk() }

// Check implements console.Reloads.
func (r *reloads) Check() []string {
	c := r.checker
	c.Files = r.ranFiles()
	return c.Check()
}

// next begins the next reload of this process when none is under way and the start is
// over. The lock is held.
func (r *reloads) next() {
	if r.begun && r.state.Due() {
		r.state.Begin()
		r.group.Go("reload", r.run)
	}
}

// run does a reload.
func (r *reloads) run() {
	errors := []string{"the reload failed"} // should it panic
	defer func() { r.end(errors) }()
	r.notify.Reloading()
	if errors = r.Check(); len(errors) > 0 {
		return
	}
	r.mu.Lock()
	r.state.Phase = reload.Replacing
	r.mu.Unlock()
	if err := r.reread(); err != nil {
		errors = strings.Split(err.Error(), "\n")
		return
	}
	errors = r.outdated()
}

// end ends a reload.
func (r *reloads) end(errors []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.End(errors)
	for _, line := range r.state.Errors() {
		r.log.Error("reload: " + line)
	}
	status := "serving"
	if len(errors) > 0 {
		status = "the latest reload failed: " + r.state.Errors()[0]
	} else {
		r.log.Notice("reload is complete")
	}
	r.notify.Ready(status)
	r.next()
}

// outdated tells of each file of code that is not what ran at the start.
func (r *reloads) outdated() (list []string) {
	for _, path := range r.onDisk().Differ {
		list = append(list, path+": it was changed since kresd was started, and needs a restart: a process alone runs it at its start only (kresd-supervisor -f 1 would replace its worker without losing a query)")
	}
	return list
}

// rereadFiles reads all files again that the configuration has named, and puts them in
// force if all could be read.
func (w *Worker) rereadFiles() error {
	ctx, cancel := context.WithTimeout(w.ctx, limits.ConsoleWaitTime)
	defer cancel()
	var failed error
	err := w.vm.Do(ctx, func(*script.Call) error {
		modules, err := w.chain.Reread()
		anchors, wrong := w.rules.anchors.RereadFiles()
		certificate, bad := w.encrypted.certificate.Reread()
		authorities, unread := w.encrypted.authorities.Reread()
		if failed = errors.Join(err, wrong, bad, unread); failed != nil {
			return nil
		}
		modules()
		w.rules.view.Renew()
		certificate()
		authorities()
		for _, set := range anchors() {
			w.rules.anchors.tell(set)
		}
		return nil
	})
	return errors.Join(failed, err)
}
