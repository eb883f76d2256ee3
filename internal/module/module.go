// Package module says what a module is and keeps the modules of a worker in
// order.
//
// A module brings up to five things: a layer that takes part in resolutions, what
// of it can be done on the listeners' threads (fast.go), an eye on the answers that
// clients get, functions for scripts, and a configuration. The Chain (chain.go) holds
// the modules that are loaded, in the order in which their hooks run, and publishes
// that order as an immutable snapshot that the paths of queries read without a lock.
//
// The package runs no Lua: values from scripts arrive as package luavalue has
// them. Which modules exist is one list in package worker.
package module

import "kresd/internal/resolve"

// A Module can be loaded by its name.
type Module struct {
	Name string
	// Open makes an instance; loading the module again makes another one.
	Open func(*Host) (*Instance, error)
}

// An Instance is a loaded module. Every field may be nil.
type Instance struct {
	Layer *resolve.Layer
	Fast  *Fast
	// Sees says which questions the layer is to see, whatever the Fast of any module says.
	Sees Sight
	// Signed tells whether the module judges signatures of clients (RFC 8945) as of now:
	// questions that have one take the driver's way.
	Signed func() bool
	// Observe is told of each answer on the driver's way, by many goroutines at
	// once; NewTally makes what a listener's thread tells of its own answers.
	Observe  func(*Answered)
	NewTally func() Tally
	// Shape is a number for what of the module's configuration shapes the answers to
	// other questions than those that the module answers itself, and is not the DNS: they
	// are kept for those who have the same (resolve.Partitions). It is the same in all
	// processes, and 0 where there is nothing. It is called for each batch of questions.
	Shape func() uint64
	// Config takes the value that a script gave: nil, bool, float64, string or
	// *luavalue.Table.
	Config func(value any) error
	// Functions are called by scripts as NAME.function(…).
	Functions []Function
	// Options are keys of Get and Set that are known beforehand, for help and
	// completion.
	Options []string
	// Get and Set serve NAME.key and NAME.key = value for keys that are no
	// function.
	Get func(key string) (any, error)
	Set func(key string, value any) error
	// Reread reads the files that scripts have named anew, and returns what puts them in
	// the place of what is in force; nil where there are none. A script could be running
	// where both are called. After an error nothing changes.
	Reread func() (apply func(), err error)
	// Close ends what the instance started.
	Close func()
}

// Sight says which questions a layer is to see: these are not answered on the thread that
// received them. Each includes those before it.
type Sight uint8

// Sights.
const (
	// SeesServers: questions that servers are asked. They take the driver's way anyhow.
	SeesServers Sight = iota
	// SeesOpen: questions that no layer before answers. Behind the cache these are
	// questions for servers; before it, all that come as far.
	SeesOpen
	// SeesCached: what the cache answers.
	SeesCached
	// SeesOwned: what a module answers on the operator's word (resolve.Layer.Own).
	SeesOwned
	// SeesAll: what a module decides when the request begins (resolve.Layer.Begin), too.
	SeesAll
)

// A Function is one that scripts can call. Arguments and results are values of
// package luavalue.
type Function struct {
	Name, Args string
	Min, Max   int
	// Fn is made by Call0, Call1 and Call2, which decode the arguments.
	Fn func(args []any) ([]any, error)
}
