package cqueues

import (
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"kresd/internal/script"
)

// free are the signals that a script may use: the daemon needs the others, or nothing can
// be done about them.
var free = [...]syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGVTALRM, syscall.SIGWINCH, syscall.SIGIO, syscall.SIGCONT}

// A listener has the signals that have come for a script.
type listener struct {
	come chan os.Signal
}

// watch fires when a signal has come, and leaves it there.
func (s *listener) watch(lib *Library, fire func()) (func(), error) {
	over := make(chan struct{})
	lib.Goroutines.Go("signals of scripts", func() {
		select {
		case got := <-s.come:
			select {
			case s.come <- got:
			default: // it came again meanwhile
			}
			fire()
		case <-over:
		}
	})
	return func() { close(over) }, nil
}

// openSignal makes cqueues.signal.
func (lib *Library) openSignal(c *script.Call) (any, error) {
	class := &script.Class{Name: "signal listener"}
	class.Methods = []script.Func{
		{Name: "wait", Args: "[seconds]", Min: 1, Max: 2, Fn: func(c *script.Call) error {
			return lib.waitSignal(c, c.Handle(1, class).(*listener))
		}},
		{Name: "settimeout", Args: "seconds", Min: 1, Max: 2, Fn: func(c *script.Call) error { return c.Return() }},
	}
	each := func(fn func(syscall.Signal)) func(*script.Call) error {
		return func(c *script.Call) error {
			for _, s := range freeSignals(c) {
				fn(s)
			}
			return c.Return(true)
		}
	}
	values := []script.Entry{}
	for n := syscall.Signal(1); n < 32; n++ {
		if name := unix.SignalName(n); name != "" {
			values = append(values, script.Entry{Key: name, Value: int(n)}, script.Entry{Key: int(n), Value: name})
		}
	}
	ignore := func(s syscall.Signal) { signal.Ignore(s) }
	return c.LibraryTable("signal", []script.Func{
		{Name: "listen", Args: "signal, ...", Min: 1, Max: -1, Fn: func(c *script.Call) error { return c.Return(listen(class, freeSignals(c))) }},
		{Name: "block", Args: "signal, ...", Min: 1, Max: -1, Fn: each(lib.hold)},
		{Name: "unblock", Args: "signal, ...", Min: 1, Max: -1, Fn: each(func(syscall.Signal) {})},
		{Name: "ignore", Args: "signal, ...", Min: 1, Max: -1, Fn: each(ignore)},
		{Name: "discard", Args: "signal, ...", Min: 1, Max: -1, Fn: each(ignore)},
		{Name: "default", Args: "signal, ...", Min: 1, Max: -1, Fn: each(func(s syscall.Signal) { signal.Reset(s) })},
		{Name: "raise", Args: "signal, ...", Min: 1, Max: -1, Fn: each(func(s syscall.Signal) { _ = unix.Kill(os.Getpid(), s) })},
		{Name: "strsignal", Args: "signal", Min: 1, Max: 1, Fn: func(c *script.Call) error { return c.Return(syscall.Signal(c.Int(1, 1, 64)).String()) }},
		{Name: "type", Args: "value", Min: 1, Max: 1, Fn: typeFunc(class, "signal listener")},
	}, values...), nil
}

// hold keeps a signal that nobody listens to from ending the process.
func (lib *Library) hold(s syscall.Signal) {
	if !signal.Ignored(s) {
		signal.Notify(lib.dropped, s)
	}
}

// freeSignals are the arguments, which must be signals for scripts.
func freeSignals(c *script.Call) []syscall.Signal {
	var list []syscall.Signal
	for i := 1; i <= c.NArgs(); i++ {
		s := syscall.Signal(c.Int(i, 1, 64))
		if !slices.Contains(free[:], s) {
			c.ArgError(i, "%s belongs to the resolver; scripts may use SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGWINCH, SIGIO and SIGCONT", unix.SignalName(s))
		}
		list = append(list, s)
	}
	return list
}

// listen collects signals until the listener is forgotten.
func listen(class *script.Class, list []syscall.Signal) *script.Handle {
	s := &listener{come: make(chan os.Signal, 2*len(free))}
	for _, sig := range list {
		signal.Notify(s.come, sig)
	}
	runtime.AddCleanup(s, func(come chan os.Signal) { signal.Stop(come) }, s.come)
	return &script.Handle{Class: class, Value: s}
}

// waitSignal returns the number of a signal that has come, nil when the time is over.
func (lib *Library) waitSignal(c *script.Call, s *listener) error {
	if _, err := lib.await(c, s, seconds(c, 2)); err != nil {
		return err
	}
	select {
	case got := <-s.come:
		return c.Return(int(got.(syscall.Signal)))
	default:
		return c.Return(nil)
	}
}
