package cqueues

import (
	"fmt"
	"sync/atomic"

	"kresd/internal/script"
)

// A Background is the controller that the worker steps: worker.bg_worker.cq, which
// worker.coroutine puts functions into.
type Background struct {
	q      *controller
	posted atomic.Bool
}

// Background is that of this machine.
func (lib *Library) Background() *Background {
	if lib.background == nil {
		lib.background = &Background{}
		lib.background.q = lib.newController(lib.background.post)
	}
	return lib.background
}

// Handle is the controller for scripts.
func (b *Background) Handle() *script.Handle { return b.q.handle() }

// Start takes in the function in argument i of c.
func (b *Background) Start(c *script.Call, i int) error {
	fn := c.Function(i)
	return b.q.begin(func(ready func()) (*script.Task, error) { return c.NewTask(ready, fn) })
}

// post has the machine step, unless that is under way.
func (b *Background) post() {
	if b.posted.CompareAndSwap(false, true) {
		b.q.lib.VM.Post(b.turn)
	}
}

// turn lets one coroutine go on, so that commands and timers get their turn between any
// two. An error ends that coroutine only; the machine reports it.
func (b *Background) turn(*script.Call) error {
	b.posted.Store(false)
	_, failed, err := b.q.run(1)
	b.q.mu.Lock()
	more := len(b.q.ready) > 0
	b.q.mu.Unlock()
	if more {
		b.post()
	}
	switch {
	case err != nil:
		return fmt.Errorf("worker.background: %w", err)
	case failed != nil:
		return fmt.Errorf("worker.background: %w", failed.err)
	}
	return nil
}
