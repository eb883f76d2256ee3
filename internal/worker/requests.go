package worker

import (
	"context"
	"sync/atomic"

	"kresd/internal/clock"
	"kresd/internal/logging"
	"kresd/internal/resolve"
)

// requests is where every resolution of this worker begins: those for clients,
// for scripts and for modules. It gives each request the time and a number, and
// follows it in the log.
type requests struct {
	driver *resolve.Driver
	clock  *clock.Clock
	log    *logging.Logger
	last   atomic.Uint32 // the number that was given last
}

// enter gives a request the present time, in Unix seconds, and its number, which
// is from 1 to 99999: five digits, as the log shows it.
func (r *requests) enter(req *resolve.Request) {
	req.Now, req.ID = r.clock.Unix(), (r.last.Add(1)-1)%99999+1
}

// resolve fills in the request's Result, and follows the request in the log.
func (r *requests) resolve(ctx context.Context, req *resolve.Request) {
	defer r.follow(req)()
	r.driver.Resolve(ctx, req)
}
