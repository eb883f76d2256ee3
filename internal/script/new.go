package script

import (
	"math/rand/v2"

	"kresd/internal/script/machine"
	"kresd/internal/script/source"
)

// New makes a machine with the standard libraries and the globals of this
// package, and starts its owner goroutine. It fails on a machine that was
// built without the patch.
func New(o Options) (*VM, error) {
	o.setDefaults()
	vm := &VM{
		opts:    o,
		checker: newChecker(),

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
	vm.m = machine.New(machine.Options{
		Warn:       func(line string) { _ = vm.warn(line) },
		Explain:    vm.absent.explain,
		OnLong:     o.OnLong,
		OnPanic:    o.OnPanic,
		Goroutines: o.Goroutines,
		EventTime:  o.EventTime,
		Fatal:      o.Fatal,
	})
	if err := vm.enter(machine.Evaluation{}, func(c *Call) error {
		vm.openLibraries(c.l)
		return nil
	}); err != nil {
		return nil, err
	}
	if err := vm.selfTest(); err != nil {
		return nil, err
	}
	vm.m.Start()
	return vm, nil
}
