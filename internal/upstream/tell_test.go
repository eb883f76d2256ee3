package upstream

import (
	"testing"

	"kresd/internal/resolve"
)

// Whoever reads along has gone on when the exchange is over: goroutines of it that
// still run tell nothing more.
func TestNothingIsToldAfterTheEnd(t *testing.T) {
	told := 0
	x := resolve.Exchange{Tell: func(resolve.Step) { told++ }}
	end := tellTo(&x)
	x.Tell(resolve.AskedConnected{})
	end()
	x.Tell(resolve.AskedConnected{})
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
}
