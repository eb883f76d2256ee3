package listen

import (
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/limits"
	"kresd/internal/transport"
)

// A connection by HTTP may send so many octets unasked, and so many with each of its requests:
// at the octet above that it ends, and counts as a flood.
func TestAConnectionByHTTPSendsNotMuchBesideItsRequests(t *testing.T) {
	for _, requests := range []int64{0, 3} {
		client := acceptedEnd(t) // which end of a connection this is does not matter
		on := newHTTPConn(serve(t, newEcho()), transport.HTTP, &oneOctet{accepted: client})
		n := on.stream
		n.requests.Store(requests)
		n.octets.Store(limits.HTTPUnasked + requests*limits.HTTPPerRequest - 1)
		b := make([]byte, 9)
		if read, err := n.Read(b); read != 1 || err != nil || n.isClosed() {
			t.Errorf("%d requests: at the limit: %d, %v, closed %v", requests, read, err, n.isClosed())
		}
		if read, err := n.Read(b); read != 0 || err == nil || !n.isClosed() || on.s.limits.Get(limits.HTTPFlood) != 1 {
			t.Errorf("%d requests: above it: %d, %v, closed %v, counted %d times", requests, read, err, n.isClosed(), on.s.limits.Get(limits.HTTPFlood))
		}
	}
}

// oneOctet is a connection on which there is always one octet.
type oneOctet struct {
	accepted
	readBy []time.Time // the deadlines that were set
}

func (o *oneOctet) Read(b []byte) (int, error) { return copy(b, "x"), nil }

func (o *oneOctet) SetReadDeadline(at time.Time) error {
	o.readBy = append(o.readBy, at)
	return nil
}

// A client by HTTP has the time of a head to show which version it speaks.
func TestHowLongAClientMayTakeToShowItsVersion(t *testing.T) {
	nc := acceptedEnd(t)
	s := serve(t, newEcho())
	synctest.Test(t, func(t *testing.T) {
		o := &oneOctet{accepted: nc}
		c := newHTTPConn(s, transport.HTTP, o)
		begun, second, err := c.preface(c.stream)
		if string(begun) != "x" || second || err != nil {
			t.Errorf("%q, %v, %v", begun, second, err)
		}
		if len(o.readBy) != 2 || time.Until(o.readBy[0]) != limits.HTTPHeaderTime || !o.readBy[1].IsZero() {
			t.Errorf("reading ends at %v", o.readBy)
		}
	})
}

// A connection by HTTP that is to end stays for as long as its reader says while something is
// in hand, and for a while of silence at most, but no longer than its reader says, with
// nothing in hand; one that has just come, and has asked nothing, has longer.
func TestHowLongAConnectionByHTTPStaysThatIsToEnd(t *testing.T) {
	nc := acceptedEnd(t)
	s := serve(t, newEcho())
	synctest.Test(t, func(t *testing.T) {
		o := &oneOctet{accepted: nc}
		n := newHTTPConn(s, transport.HTTP, o).stream
		begun := time.Now()
		last := func() time.Duration {
			at := o.readBy[len(o.readBy)-1]
			if at.IsZero() {
				return -1
			}
			return at.Sub(begun)
		}
		expect := func(what string, want time.Duration) {
			t.Helper()
			if last() != want {
				t.Errorf("%s: reading ends after %v, want %v", what, last(), want)
			}
		}
		const quiet = limits.LeaveQuietTCP
		_ = n.SetReadDeadline(begun.Add(time.Hour))
		expect("it stays", time.Hour)
		n.busy.Add(1)
		if n.leaveWithin(quiet); len(o.readBy) != 1 {
			t.Error("one with something in hand is told to end")
		}
		_ = n.SetReadDeadline(begun.Add(time.Hour))
		expect("something is in hand", time.Hour)
		n.busy.Add(-1)
		n.leaveWithin(quiet)
		expect("it has asked nothing", max(quiet, limits.LeaveFirstTCP))
		n.requests.Add(1)
		n.leaveWithin(quiet)
		expect("it has asked", quiet)
		_ = n.SetReadDeadline(begun.Add(time.Hour))
		expect("its reader would wait for long", quiet)
		_ = n.SetReadDeadline(begun.Add(1))
		expect("its reader would not wait", 1)
		_ = n.SetReadDeadline(time.Time{})
		expect("its reader would wait for ever", quiet)
		n.leaveWithin(0)
		expect("it stays after all", -1)
	})
}
