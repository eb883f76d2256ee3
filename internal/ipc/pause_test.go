package ipc

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/reload"
)

// A pause stops between two messages, and loses nothing: not what comes meanwhile, nor
// the rest of what is half there.
func TestAPauseLosesNothing(t *testing.T) {
	conn, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer file.Close()
	text := []byte(`{"kind":"ready","pid":7}`)
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	put := func(octets []byte) {
		t.Helper()
		if _, err := file.Write(octets); err != nil {
			t.Fatal(err)
		}
	}
	type outcome struct {
		m   Message
		err error
	}
	receive := func() chan outcome {
		out := make(chan outcome, 1)
		go func() {
			m, err := conn.Receive()
			out <- outcome{m, err}
		}()
		return out
	}
	for _, cut := range []int{0, 2, 4, 10, len(frame) - 1} {
		waiting := receive()
		put(frame[:cut])
		time.Sleep(20 * time.Millisecond)
		conn.Pause()
		if cut == 0 {
			if o := <-waiting; !errors.Is(o.err, ErrPaused) {
				t.Errorf("nothing has come: %+v", o)
			}
		}
		put(frame[cut:])
		if cut > 0 {
			if o := <-waiting; o.err != nil || o.m.PID != 7 {
				t.Errorf("%d octets were there: %+v", cut, o)
			}
			put(frame) // for after the pause
		}
		if _, err := conn.Receive(); !errors.Is(err, ErrPaused) {
			t.Errorf("%d octets were there: in the pause %v", cut, err)
		}
		conn.Resume()
		if o := <-receive(); o.err != nil || o.m.PID != 7 {
			t.Errorf("%d octets were there: after the pause %+v", cut, o)
		}
	}
}

// Another process that has the descriptor goes on where the pause was.
func TestAConnectionIsTakenOver(t *testing.T) {
	conn, link := linked(t)
	if _, err := conn.Receive(); err != nil { // hello
		t.Fatal(err)
	}
	conn.Pause()
	link.Ready()
	fd := -1
	if err := conn.WithFD(func(n int) { fd = dup(t, n) }); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	next, err := FromFD(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if m, err := next.Receive(); err != nil || m.Kind != Ready {
		t.Errorf("%+v, %v", m, err)
	}
	if err := next.Send(Message{Kind: Drain}); err != nil {
		t.Fatal(err)
	}
	<-link.Drain()
}

func dup(t *testing.T, fd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Who asks for a reload hears its number, and how far reloads have come.
func TestReloadsOverTheLink(t *testing.T) {
	sup, link := linked(t)
	if link.Reloads() != nil {
		t.Error("a state before any came")
	}
	number := make(chan int, 1)
	go func() {
		n, err := link.Reload(t.Context())
		if err != nil {
			t.Error(err)
		}
		number <- n
	}()
	for {
		m, err := sup.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind == Reload {
			sup.Send(Message{Kind: Accepted, Ticket: m.Ticket + 1, Number: 8}) // of another request
			sup.Send(Message{Kind: Reloads, State: &reload.State{Asked: 9}})
			sup.Send(Message{Kind: Accepted, Ticket: m.Ticket, Number: 9})
			break
		}
	}
	if n := <-number; n != 9 || link.Reloads().Asked != 9 {
		t.Errorf("number %d, state %+v", n, link.Reloads())
	}
	sup.Close()
	if _, err := link.Reload(t.Context()); !errors.Is(err, ErrNoSupervisor) {
		t.Errorf("without a supervisor: %v", err)
	}
}
