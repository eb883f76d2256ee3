package listen

import (
	"testing"
	"time"
)

// A thread that waits for a lock leaves datagrams lying, which is seen without it; one
// that serves, or has nothing to do, is not taken for stuck.
func TestStuck(t *testing.T) {
	h := newEcho()
	s := serve(t, h, "127.0.0.1:0")
	addr := s.Endpoints()[0].Addr
	c := udpClient(t, addr)
	put := func(how byte) {
		if _, err := c.Write(ask(1, how)); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		put('f')
		if at, stuck := s.Stuck(); stuck {
			t.Fatalf("the thread of %v serves, and is said to be stuck", at)
		}
		time.Sleep(50 * time.Millisecond)
	}
	put('s') // waits
	time.Sleep(50 * time.Millisecond)
	if _, stuck := s.Stuck(); stuck {
		t.Error("nothing waits for a thread that is said to be stuck")
	}
	put('f')
	eventually(t, "the thread is stuck", func() bool {
		at, stuck := s.Stuck()
		return stuck && at == addr
	})
	close(h.release)
	eventually(t, "the thread goes on", func() bool {
		_, stuck := s.Stuck()
		return !stuck
	})
}
