package lineedit

import (
	"bytes"
	"context"
	"io"
	"sync"

	"kresd/internal/limits"
	"kresd/internal/safe"
)

const (
	ctrlC = 3
	enter = '\r'
)

// keys are what is typed, read on a goroutine of their own, so that Ctrl-C is seen while
// a command runs.
type keys struct {
	mu        sync.Mutex
	changed   sync.Cond // signalled when what follows changes
	typed     []byte    // not taken yet
	ended     bool
	interrupt func() // ends the command that runs; nil: none does
}

// readKeys reads r until it or ctx ends.
func readKeys(ctx context.Context, tasks *safe.Group, r io.Reader) *keys {
	k := &keys{}
	k.changed.L = &k.mu
	tasks.Go("console keys", func() {
		defer k.end()
		b := make([]byte, 4096)
		for {
			n, err := r.Read(b)
			if n > 0 {
				k.add(b[:n])
			}
			if err != nil {
				return
			}
		}
	})
	context.AfterFunc(ctx, k.end)
	return k
}

func (k *keys) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	k.changed.Broadcast()
}

// add keeps what was typed, and waits while it is much: somebody has pasted it.
func (k *keys) add(b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.typed = append(k.typed, b...)
	k.interruptTyped()
	k.changed.Broadcast()
	for len(k.typed) > limits.ConsoleOutput && !k.ended {
		k.changed.Wait()
	}
}

// interruptTyped ends the command that runs if Ctrl-C was typed, and drops what was
// typed before it.
func (k *keys) interruptTyped() {
	i := bytes.LastIndexByte(k.typed, ctrlC)
	if i < 0 || k.interrupt == nil {
		return
	}
	k.typed = k.typed[i+1:]
	k.interrupt()
}

// during runs a command that Ctrl-C ends by calling interrupt.
func (k *keys) during(interrupt func(), run func()) {
	set := func(fn func()) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.interrupt = fn
		k.interruptTyped()
	}
	set(interrupt)
	defer set(nil)
	run()
}

// Read gives what was typed, up to the end of a line or Ctrl-C: what follows is not for
// the line that is being edited.
func (k *keys) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.typed) == 0 {
		if k.ended {
			return 0, io.EOF
		}
		k.changed.Wait()
	}
	n := min(len(p), len(k.typed))
	for i, c := range k.typed[:n] {
		if c == enter || c == '\n' || c == ctrlC {
			if n = i + 1; c == enter && n < min(len(p), len(k.typed)) && k.typed[n] == '\n' {
				n++
			}
			break
		}
	}
	n = copy(p, k.typed[:n])
	k.typed = k.typed[n:]
	k.changed.Broadcast()
	return n, nil
}
