package upstream

import (
	"context"
	"errors"
	"syscall"
	"time"

	"kresd/internal/limits"
	"kresd/internal/resolve"
)

// mostDescriptors is how many descriptors the process may have open when a question
// takes one; 0: the system does not say. The rest is for whatever else the process has to
// open: its console, the cache's files, clients' connections.
func mostDescriptors() uint64 {
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) != nil {
		return 0
	}
	return files.Cur - files.Cur/limits.DescriptorsFree
}

// runInTime is run, repeated until the process has a descriptor left (HARDENING D8): a
// lack of them costs the question time and not its answer, and says nothing about the
// server. Before each repetition one idle socket is closed. Where ctx ends first, the error
// is the lack, which has taken the time.
func (e *Exchanger) runInTime(ctx context.Context, x *resolve.Exchange) (resolve.Reply, error) {
	reply, err := e.run(ctx, x)
	if !outOfDescriptors(err) {
		return reply, err
	}
	e.counters.Hit(limits.UpstreamSocket)
	x.WillWait()
	for pause := limits.DescriptorPauseMin; outOfDescriptors(err) && !e.closed.Load(); pause = min(2*pause, limits.DescriptorPauseMax) {
		e.poller.closeIdle()
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return reply, err
		}
		again, failed := e.run(ctx, x)
		if failed != nil && ctx.Err() != nil {
			return reply, err
		}
		reply, err = again, failed
	}
	return reply, err
}

// outOfDescriptors tells whether an exchange failed because this process, or the
// system, may open nothing more.
func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// closeIdle closes a socket that waits for another question.
func (p *poller) closeIdle() {
	p.mu.Lock()
	a := p.idle.longest()
	p.mu.Unlock()
	if a != nil {
		a.stay = false
		p.give(a)
	}
}
