package listen

import (
	"errors"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// A failing listener fails as it is told, and is closed after that.
type failing struct {
	*net.TCPListener
	fails     []error
	accepts   []net.Conn // in the place of an error that is nil
	at        []time.Time
	deadlines []bool // those that were set; false: none
}

func (f *failing) Accept() (net.Conn, error) {
	f.at = append(f.at, time.Now())
	if len(f.fails) == 0 {
		return nil, net.ErrClosed
	}
	err := f.fails[0]
	if f.fails = f.fails[1:]; err != nil {
		return nil, err
	}
	c := f.accepts[0]
	f.accepts = f.accepts[1:]
	return c, nil
}

func (f *failing) SetDeadline(at time.Time) error {
	f.deadlines = append(f.deadlines, !at.IsZero())
	return nil
}

// waits are the times between two tries to accept.
func (f *failing) waits() (list []time.Duration) {
	for i := range f.at[1:] {
		list = append(list, f.at[i+1].Sub(f.at[i]))
	}
	return list
}

// crowded is an acceptor of a server that has a place for one connection, which waits for an
// answer and so gives way to nobody.
func crowded(ln streamListener, one accepted) (*acceptor, *connection) {
	s := New(newEcho(), Options{Limits: &limits.Counters{}, Panics: quietPanics()})
	may := limits.DefaultClients()
	may.Conns = 1
	s.SetClientLimits(may)
	c := &connection{connHandler: &mirror{nc: one}}
	c.outstanding.Add(1)
	s.conns.add(c)
	return &acceptor{s: s, kind: transport.TCP, ln: ln}, c
}

// What fails is tried again, after a pause that grows until something comes; at a listener that
// is closed nothing is.
func TestAcceptingGoesOnAfterFailures(t *testing.T) {
	one, other := acceptedEnd(t), acceptedEnd(t)
	synctest.Test(t, func(t *testing.T) {
		const first = limits.AcceptBackoffMin
		ln := &failing{fails: []error{unix.ECONNABORTED, unix.ENOMEM, unix.ENOMEM, nil, os.ErrDeadlineExceeded, unix.ENOMEM}, accepts: []net.Conn{other}}
		a, _ := crowded(ln, one)
		a.accept()
		if want := []time.Duration{first, 2 * first, 4 * first, 0, 0, first}; !slices.Equal(ln.waits(), want) {
			t.Errorf("the pauses are %v, want %v", ln.waits(), want)
		}
		if n := a.s.Stats().TCPRefused; n != 1 {
			t.Errorf("%d connections were refused, want the one that came", n)
		}
		ln.fails, ln.at = []error{unix.ENOMEM}, nil
		a.leave.Store(true)
		if a.accept(); len(ln.at) != 0 {
			t.Error("it accepts when it has been told to leave")
		}
	})
}

// Where there is no descriptor left an idle connection gives its own.
func TestAnIdleConnectionGivesItsDescriptor(t *testing.T) {
	for _, short := range []error{unix.EMFILE, unix.ENFILE} {
		one := acceptedEnd(t)
		synctest.Test(t, func(t *testing.T) {
			ln := &failing{fails: []error{short, short}}
			a, c := crowded(ln, one)
			c.outstanding.Store(0)
			a.accept()
			if st := a.s.Stats(); st.TCPShed != 1 || st.Conns != 0 || a.s.limits.Get(limits.TCPConns) != 2 {
				t.Errorf("%v: %d gave way, %d are left; counted %d times", short, st.TCPShed, st.Conns, a.s.limits.Get(limits.TCPConns))
			}
			if err := one.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%v: it is open still: %v", short, err)
			}
			if want := []time.Duration{limits.AcceptBackoffMin, 2 * limits.AcceptBackoffMin}; !slices.Equal(ln.waits(), want) {
				t.Errorf("%v: the pauses are %v, want %v", short, ln.waits(), want)
			}
		})
	}
}

// Where all are busy the descriptor that was kept for that serves to tell one client at once
// that it cannot be served, and is kept again; the listener waits for others as before, unless
// it is about to leave.
func TestASpareDescriptorRefusesAClient(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		one, other := acceptedEnd(t), acceptedEnd(t)
		ln := &failing{fails: []error{nil}, accepts: []net.Conn{other}}
		a, _ := crowded(ln, one)
		a.keepSpare()
		spare := a.spare
		a.leave.Store(leaves)
		a.relieve()
		if err := other.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) || a.s.Stats().TCPRefused != 1 || a.s.limits.Get(limits.TCPConns) != 1 {
			t.Errorf("leaves %v: the client is not refused: %v, %+v", leaves, err, a.s.Stats())
		}
		if want := map[bool][]bool{false: {true, false}, true: {true}}[leaves]; !slices.Equal(ln.deadlines, want) {
			t.Errorf("leaves %v: deadlines are set and taken back: %v, want %v", leaves, ln.deadlines, want)
		}
		if err := spare.Close(); !errors.Is(err, os.ErrClosed) || a.spare == nil || a.spare == spare {
			t.Errorf("leaves %v: the descriptor was not given: %v, or none is kept", leaves, err)
		}
		ln.fails = []error{unix.EMFILE} // somebody else took it
		if a.relieve(); a.s.Stats().TCPRefused != 1 {
			t.Errorf("leaves %v: nobody is refused twice", leaves)
		}
		kept := a.spare
		if a.keepSpare(); a.spare != kept {
			t.Errorf("leaves %v: one more is kept", leaves)
		}
		kept.Close()
		if a.spare = nil; len(ln.at) != 2 {
			t.Errorf("leaves %v: %d tries to accept", leaves, len(ln.at))
		}
		ln.fails = []error{nil}
		if a.relieve(); len(ln.at) != 2 || a.spare == nil {
			t.Errorf("leaves %v: without a spare one somebody is accepted, or none is kept for the next time", leaves)
		}
		a.spare.Close()
	}
}
