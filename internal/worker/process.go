package worker

import (
	"context"
	"errors"
	"os"

	"kresd/internal/certificate"
	"kresd/internal/ipc"
	"kresd/internal/rundir"
	"kresd/internal/selection"
	"kresd/internal/wording"
)

// process lets scripts see and end this process.
type process struct {
	link    *ipc.Link
	open    func() error // binds the addresses
	shown   *certificate.Store
	servers *selection.Selector
	quit    func()
	became  func() // another user
	alive   func(context.Context) error
}

// ID implements bindings.Process.
func (p process) ID() int { return p.link.ID() }

// Count implements bindings.Process.
func (p process) Count() int { return p.link.Count() }

// PID implements bindings.Process.
func (p process) PID() int { return os.Getpid() }

// Quit implements bindings.Process.
func (p process) Quit() { p.quit() }

// Alive implements bindings.Process.
func (p process) Alive(ctx context.Context) error { return p.alive(ctx) }

// Become implements bindings.Process. What needs privileges is opened before they are
// gone.
func (p process) Become(uid, gid int, groups []int) error {
	if err := p.prepareFor(uid, groups); err != nil {
		return err
	}
	if err := switchTo(uid, gid, groups); err != nil {
		return errors.New(wording.System(err))
	}
	p.became()
	return nil
}

func (p process) prepareFor(uid int, gids []int) error {
	if err := rundir.UsableBy(uid, gids); err != nil {
		return err
	}
	p.shown.Expect(uid)
	if err := p.open(); err != nil {
		return err
	}
	if os.Geteuid() != 0 || uid == 0 {
		return nil
	}
	handOverServers(uid)
	certificate.HandOver(uid)
	return rundir.HandOver(uid)
}
