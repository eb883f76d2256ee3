package supervisor

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"kresd/internal/ipc"
	"kresd/internal/reload"
)

// kinds are what messages are about.
func kinds(list []ipc.Message) (kinds []ipc.Kind) {
	for _, m := range list {
		kinds = append(kinds, m.Kind)
	}
	return kinds
}

// What a worker is to be told it is told once, the newest of its kind, and that it leaves
// after who is there.
func TestOrdersAreGivenOnce(t *testing.T) {
	o := newOrders()
	o.keep(7, nil)
	o.give()
	o.drain()
	o.answer(ipc.Bound, 1, 2)
	o.setReloads(&reload.State{Asked: 1})
	o.setReloads(&reload.State{Asked: 2})
	o.setRoster([]ipc.Member{{ID: 1, PID: 2}})
	o.setRoster([]ipc.Member{})
	list, closed := o.take()
	if want := []ipc.Kind{ipc.Roster, ipc.Reloads, ipc.Bound, ipc.Drain, ipc.Give, ipc.Keep}; closed || !slices.Equal(kinds(list), want) {
		t.Fatalf("%v, closed %v; want %v", kinds(list), closed, want)
	}
	if len(list[0].Members) != 0 || list[1].State.Asked != 2 || list[2].Ticket != 1 || list[2].Number != 2 || list[5].PID != 7 {
		t.Errorf("%+v", list)
	}
	if list, _ := o.take(); len(list) != 0 {
		t.Errorf("once more: %v", kinds(list))
	}
}

// link is a connection to a worker, and the worker's end of it.
func link(t *testing.T) (conn, workers *ipc.Conn) {
	t.Helper()
	conn, file, err := ipc.Pair()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(file.Fd()))
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	if workers, err = ipc.FromFD(fd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); workers.Close() })
	return conn, workers
}

// Orders that end have what is in them sent, and nothing of it stays open here.
func TestOrdersAreCarriedToTheirEnd(t *testing.T) {
	conn, workers := link(t)
	o := newOrders()
	o.keep(7, descriptor(t))
	o.end()
	o.carry(conn)
	if n := handed(t); n != 0 {
		t.Errorf("%d descriptors are open of what was sent", n)
	}
	m, err := workers.Receive()
	if err != nil || m.Kind != ipc.Keep || m.PID != 7 || len(m.FDs) != 1 {
		t.Errorf("the worker hears %+v, %v", m, err)
	}
	m.FDs.Close()
	if n := handed(t); n != 0 {
		t.Errorf("%d descriptors are open that nobody needs", n)
	}
}

// A worker that takes nothing any more is told nothing, and its connection ends, so that it
// is not left with half a message.
func TestAWorkerThatTakesNothingHasItsConnectionEnded(t *testing.T) {
	conn, workers := link(t)
	workers.Close()
	o := newOrders()
	o.keep(7, descriptor(t))
	o.give()
	o.carry(conn)
	if err := conn.WithFD(func(int) {}); err == nil {
		t.Error("the connection is open")
	}
	o.keep(8, descriptor(t))
	if _, closed := o.take(); !closed {
		t.Error("its orders are open")
	}
	if n := handed(t); n != 0 {
		t.Errorf("%d descriptors are open that nobody needs", n)
	}
}
