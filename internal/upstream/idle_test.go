package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"kresd/internal/clock"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/zonecut"
)

// waits is a link's wait that is true some times.
type waits struct{ left, asked int }

func (w *waits) more() bool {
	w.asked++
	w.left--
	return w.left >= 0
}

// A link asks, each time that nothing has come for its idle time, whether somebody waits,
// and ends when nobody does.
func TestALinkThatIdlesEnds(t *testing.T) {
	const idle = limits.UpstreamTCPIdle
	for what, c := range map[string]struct {
		read func(wait func() bool) ([]byte, error)
		want error
	}{
		"a stream": {func(wait func() bool) ([]byte, error) {
			ours, _ := net.Pipe()
			return newStream(ours, zonecut.Do53).read(wait)
		}, context.DeadlineExceeded},
		"one with streams of its own": {func(wait func() bool) ([]byte, error) { return newMultiplex(nil).read(wait) }, errConnEnded},
	} {
		synctest.Test(t, func(t *testing.T) {
			w, begun := &waits{left: 2}, time.Now()
			_, err := c.read(w.more)
			if took := time.Since(begun); w.asked != 3 || took != 3*idle || !errors.Is(err, c.want) && !isTimeout(err) {
				t.Errorf("%s: %v after %v, asked %d times", what, err, took, w.asked)
			}
		})
	}
}

// How long a link is kept may change while it idles, and counts at once.
func TestALinkIsKeptAsLongAsWasSaidLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := newStream(ours, zonecut.Do53)
		begun, ended := time.Now(), make(chan time.Duration)
		go func() {
			for range 2 {
				_, _ = s.read(new(waits).more)
				ended <- time.Since(begun)
			}
		}()
		synctest.Wait()
		if s.keep(3 * time.Second); <-ended != 3*time.Second {
			t.Error("it was not kept for 3 s")
		}
		synctest.Wait()
		if got := <-ended; got != 6*time.Second {
			t.Errorf("then it was kept until %v", got)
		}
		s.keep(time.Second) // nothing is waited for: what is read then has its own time
		go func() {
			_, _ = theirs.Write([]byte{0, 1})
			time.Sleep(2 * time.Second)
			_, _ = theirs.Write([]byte{7})
		}()
		pkt, err := s.read(new(waits).more)
		if err != nil || len(pkt) != 1 || pkt[0] != 7 {
			t.Errorf("got %x, %v", pkt, err)
		}
	})
}

// A message that has begun ends soon or not at all, whoever waits; and a server that takes
// nothing has no use of the rest of its connection.
func TestAServerThatStopsInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := newStream(ours, zonecut.Do53)
		for _, part := range [][]byte{{0}, {0, 2}, {0, 2, 1}} {
			go func() { _, _ = theirs.Write(part) }()
			w, begun := &waits{left: 9}, time.Now()
			_, err := s.read(w.more)
			if took := time.Since(begun); took != limits.TCPWholeMessage || w.asked != 0 || !isTimeout(err) {
				t.Errorf("%x: %v after %v, asked %d times", part, err, took, w.asked)
			}
			s.in.Reset(ours)
		}
		begun := time.Now()
		if err := s.write(background, make([]byte, 40)); !isTimeout(err) || time.Since(begun) != limits.TCPSendStall {
			t.Errorf("written with %v after %v", err, time.Since(begun))
		}
		if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the connection is open: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := newStream(ours, zonecut.Do53)
		got := make([]byte, 12)
		go func() { _, _ = io.ReadFull(theirs, got) }()
		if err := s.write(background, make([]byte, 12)); err != nil || binary.BigEndian.Uint16(got) != 10 {
			t.Errorf("%v; the length in front is %x", err, got[:2])
		}
		time.Sleep(2 * limits.TCPSendStall)
		if _, err := ours.Write(nil); err == io.ErrClosedPipe {
			t.Error("a connection that takes questions is closed")
		}
	})
}

// An answer over a connection is waited for until its time is over; the connection takes no
// further question then, for it may be dead.
func TestHowLongAConnectionIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Exchanger{}
		c := &connection{pool: newPool(e), dialed: make(chan struct{}), waiting: map[uint16]*waiter{}}
		w := c.enter()
		begun := time.Now()
		_, err := c.await(background, w)
		wantErr(t, err, resolve.ErrTimeout)
		if took := time.Since(begun); took != limits.TCPAnswerTimeout || e.Stats().Timeout != 1 || c.enter() != nil {
			t.Errorf("after %v; counted %d, retired %v", took, e.Stats().Timeout, c.retired)
		}
		w.tell(delivery{pkt: []byte{1}})
		if pkt, err := c.await(background, w); err != nil || len(pkt) != 1 {
			t.Errorf("got %x, %v", pkt, err)
		}
		gone, end := context.WithCancel(background)
		end()
		_, err = c.await(gone, w)
		wantErr(t, err, context.Canceled)
	})
}

// Who does not shake hands is given up after a while, and not taken for a stranger.
func TestHowLongAHandshakeIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Exchanger{clock: clock.Real()}
		e.authenticator = authenticator{e.clock, &sessions{}, nil}
		p := newPool(e)
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		begun := time.Now()
		to := zonecut.Endpoint{Addr: netip.MustParseAddrPort("192.0.2.1:853"), Peer: peer(t, zonecut.DoT, 1)}
		_, err := p.shakeHands(background, to, ours, "dot")
		wantErr(t, err, resolve.ErrTimeout)
		if took := time.Since(begun); took != limits.UpstreamHandshake || e.Stats().NoHandshake != 1 {
			t.Errorf("after %v, counted %d", took, e.Stats().NoHandshake)
		}
		if _, err := ours.Write([]byte{1}); err != io.ErrClosedPipe {
			t.Errorf("the connection is open: %v", err)
		}
	})
}

// What becomes of questions on streams of their own reaches who reads the link: an answer
// under the question's ID, a refusal, but not that nobody waits any longer. That a question
// found no stream is forgotten when one has ended.
func TestWhatTheReaderOfALinkHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMultiplex(&Exchanger{})
		m.stuck.Store(true)
		refused := erring("refuses")
		ends := []outcome{{id: 1, err: errGivenUp}, {id: 2, err: refused}, {id: 0x1234, pkt: []byte{0, 0, 7}}, {id: 4, err: errConnEnded}}
		for i, o := range ends {
			m.carry("test", o.id, func() ([]byte, error) {
				time.Sleep(time.Duration(i) * time.Second)
				if i == 1 && m.open() {
					t.Error("what was given up has made room")
				}
				return o.pkt, o.err
			})
		}
		never := func() bool { t.Error("it is taken for idle"); return false }
		_, err := m.read(never)
		if one, ok := err.(*unanswerable); !ok || one.id != 2 || one.last || !errors.Is(err, refused) || err.Error() != refused.Error() || !m.open() {
			t.Errorf("the refused one: %+v, open %v", err, m.open())
		}
		if pkt, err := m.read(never); err != nil || string(pkt) != "\x12\x34\x07" {
			t.Errorf("the answer: %x, %v", pkt, err)
		}
		close(m.ended) // what is under way is heard all the same
		_, err = m.read(never)
		if one, ok := err.(*unanswerable); !ok || one.id != 4 || !one.last {
			t.Errorf("the end: %+v", err)
		}
		_, err = m.read(never)
		wantErr(t, err, errConnEnded)
		m.cancel()
		m.ended = nil
		m.under.Add(1)
		_, err = m.read(never)
		wantErr(t, err, net.ErrClosed)
		m.e.group.Wait()
	})
}
