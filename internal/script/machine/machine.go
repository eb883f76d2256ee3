package machine

import (
	"sync"
	"time"
	"weak"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
	"kresd/internal/safe"
)

// Options are what a machine needs from outside. The zero value works, but for Warn.
type Options struct {
	// Warn writes a line about what is wrong where nobody waits for an error.
	Warn func(line string)

	// Explain makes of a message of the machine's a better one, if it can; nil: it
	// cannot.
	Explain func(msg string) (better string, ok bool)

	// OnLong is told, once in a while, where code stands ("file:line") that has run for
	// longer than limits.LuaLongRun, and for how long. nil: nobody is.
	OnLong func(place string, ran time.Duration)

	// OnPanic is told when a function of ours panics: its name, the value and the
	// stack. The script sees a Lua error. nil: Warn is.
	OnPanic func(name string, value any, stack []byte)

	// Goroutines starts the owner goroutine; nil is fine.
	Goroutines *safe.Group

	// EventTime is how long the code of an event may run; 0: limits.EventRunTime. Fatal
	// is called after Warn was told of an error in it; nil: nobody cares.
	EventTime time.Duration
	Fatal     func()
}

// A Machine is the threads of one Lua machine, and the work that waits for them. The
// goroutine that has the machine changes; what is said of the owner goroutine is meant
// of that one. Do, Hook, Post, Submit and Close may be called from anywhere; all else
// belongs to the owner goroutine.
type Machine struct {
	opts   Options
	jobs   *queue // in order, one at a time
	mapped *queue // mapped expressions: served while a thread waits, too
	hooks  *queue // what requests wait for: likewise

	waited    *queue // threads in Wait that want the machine back
	aside     *queue // threads in StepAside that do
	hooksBack *queue // of these, those that a request waits for
	gaveWay   *queue // threads that gave way and do
	abandoned *queue // threads to be ended

	timers sync.Pool // of *time.Timer

	closed chan struct{}
	ended  chan struct{}
	once   sync.Once

	// What follows belongs to the owner goroutine.

	exiting bool    // a script has ended the process, so that no event's code runs any more
	now     *Thread // who that is
	threads map[*Thread]struct{}
	basic   []any // basicValues
	// coroutines are the threads that scripts have, by what stands for them there.
	coroutines map[weak.Pointer[lua.State]]*Thread
	fruitless  time.Time // when reclaim found nothing
	events     door      // what is posted goes through it
	toldLong   time.Time // when OnLong was told last
	away       int       // threads that wait for something outside
	held       int       // of these, those that only urgent work may overtake
	hooksAway  int       // of these, those that a request waits for and that have stepped aside
	eventsAway int       // and callbacks of events that have
}

// New makes a machine of one thread, which has no globals yet. It serves nothing before
// Start.
func New(o Options) *Machine {
	if o.EventTime == 0 {
		o.EventTime = limits.EventRunTime
	}
	m := &Machine{
		opts:   o,
		jobs:   newQueue(),
		mapped: newQueue(),
		hooks:  newQueue(),

		waited:    newQueue(),
		aside:     newQueue(),
		hooksBack: newQueue(),
		gaveWay:   newQueue(),
		abandoned: newQueue(),

		closed: make(chan struct{}),
		ended:  make(chan struct{}),

		threads:    map[*Thread]struct{}{},
		coroutines: map[weak.Pointer[lua.State]]*Thread{},
	}
	m.now = m.newThread()
	return m
}

// Start starts the owner goroutine.
func (m *Machine) Start() { m.serveOn(m.now) }

// Close ends the machine and its goroutines after the job that is running, which
// is interrupted. What is still queued fails with ErrClosed.
func (m *Machine) Close() {
	m.once.Do(func() { close(m.closed) })
	<-m.ended
}

func (m *Machine) isClosed() bool {
	select {
	case <-m.closed:
		return true
	default:
		return false
	}
}

// Stack is that of the thread that has the machine.
func (m *Machine) Stack() *lua.State { return m.now.l }
