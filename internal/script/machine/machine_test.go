package machine

import (
	"testing"
	"time"
)

// A machine that was closed just before its thread began to wait for work never
// ended, and with it neither did the worker.
func TestAMachineThatIsClosedBetweenTwoJobsEnds(t *testing.T) {
	m := New(Options{})
	m.Start()
	m.Close()
	waited := make(chan struct{})
	go func() { m.awaitWork(); close(waited) }()
	select {
	case <-waited:
	case <-time.After(20 * time.Second):
		t.Fatal("a closed machine is waited for")
	}
}
