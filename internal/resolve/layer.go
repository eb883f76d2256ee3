package resolve

import "kresd/internal/wire"

// State is what a hook says about the work at hand. The numbers are those that
// scripts see as kres.CONSUME and so on.
type State uint8

// States.
const (
	Consume State = 1 << iota // an answer is awaited or at hand
	Produce                   // a question must be sent
	Done                      // this query is solved
	Fail                      // this query has failed, or the request in Begin; Request.Fail says why
	Yield                     // a sub-query was pushed; call the hook again after it
)

// A Layer is a set of hooks into a resolution. Any hook may be nil: not
// interested. A hook never blocks; to learn more it pushes a query on the plan
// and returns Yield. Hooks of one request are called by one goroutine; hooks of
// different requests run at the same time.
type Layer struct {
	Name string
	// Begin is called once when a request is accepted. Done: the request's Result
	// is set and nothing needs to be resolved.
	Begin func(*Request) State
	// Produce may answer a query without the network by setting its Outcome and
	// returning Done; any other state lets the next layer try.
	Produce func(*Request, *Query) State
	// Checkout is the last look at an outgoing question; q.Server is chosen.
	Checkout func(*Request, *Query) State
	// Consume sees each answer: the message of a server, of which iterate makes the
	// Outcome and which later layers judge and keep, or an Outcome without a message.
	// Outcome.Origin says which; msg is nil unless it is FromServer.
	// Produce, or an Outcome that is Lame, means that another answer is wanted: the
	// layers behind do not see this one.
	Consume func(*Request, *Query, *wire.Msg) State
	// Finalize is the last touch on the request's Result.
	Finalize func(*Request)
	// Finish is called once at the end, also after failure.
	Finish func(*Request)
}
