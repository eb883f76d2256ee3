package worker

import (
	"os"

	"kresd/internal/ipc"
	"kresd/internal/rundir"
	"kresd/internal/selection"
)

// process lets scripts see and end this process.
type process struct {
	link    *ipc.Link
	open    func() error // binds the addresses
	servers *selection.Selector
	quit    func()
}

// ID implements bindings.Process.
func (p process) ID() int { return p.link.ID() }

// Count implements bindings.Process.
func (p process) Count() int { return p.link.Count() }

// PID implements bindings.Process.
func (p process) PID() int { return os.Getpid() }

// Quit implements bindings.Process.
func (p process) Quit() { p.quit() }

// BeforeUser implements bindings.Process.
func (p process) BeforeUser(uid int, gids []int) error {
	if err := rundir.UsableBy(uid, gids); err != nil {
		return err
	}
	if err := p.open(); err != nil {
		return err
	}
	if os.Geteuid() != 0 || uid == 0 {
		return nil
	}
	handOverServers(uid)
	return rundir.HandOver(uid)
}
