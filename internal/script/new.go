package script

import (
	"math/rand/v2"
	"weak"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script/source"
)

// New makes a machine with the standard libraries and the globals of this
// package, and starts its owner goroutine. It fails on a machine that was
// built without the patch.
func New(o Options) (*VM, error) {
	o.setDefaults()
	vm := &VM{
		opts:   o,
		jobs:   newQueue(),
		mapped: newQueue(),
		hooks:  newQueue(),

		waited:    newQueue(),
		aside:     newQueue(),
		abandoned: newQueue(),

		closed:  make(chan struct{}),
		ended:   make(chan struct{}),
		checker: newChecker(),

		eventBudget: o.EventTime,

		threads:      map[*thread]struct{}{},
		coroutines:   map[weak.Pointer[lua.State]]*thread{},
		objects:      map[string]*object{},
		protected:    map[string]*object{},
		classes:      map[*Class]*Ref{},
		libraryTexts: map[string]bool{},
		sources:      source.NewTexts(),
		book:         o.Reference,
		words:        map[string]func() []string{},
	}
	vm.absent = absences{sources: vm.sources, reads: map[string]missedRead{}}
	vm.random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	vm.now = vm.newThread()
	if err := vm.enter(setup{}, func(c *Call) error {
		vm.openLibraries(c.l)
		return nil
	}); err != nil {
		return nil, err
	}
	if err := vm.selfTest(); err != nil {
		return nil, err
	}
	vm.serveOn(vm.now)
	return vm, nil
}

// Close ends the machine and its goroutines after the job that is running, which
// is interrupted. What is still queued fails with ErrClosed.
func (vm *VM) Close() {
	vm.once.Do(func() { close(vm.closed) })
	<-vm.ended
}
