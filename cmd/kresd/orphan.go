package main

import (
	"os"
	"time"

	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/safe"
)

// endInTime is the last resort of a worker that does not manage to drain: a
// group never outlives its supervisor by more than limits.OrphanTime, whatever
// the worker is stuck in. While the supervisor lives it does this itself.
func endInTime(link *ipc.Link) {
	safe.Go("orphan", nil, func() {
		<-link.Closed()
		time.Sleep(limits.OrphanTime - 200*time.Millisecond)
		os.Exit(1)
	})
}
