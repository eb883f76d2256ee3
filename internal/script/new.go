package script

import (
	"kresd/internal/script/machine"
	"kresd/internal/script/source"
)

// New makes a machine that has no globals yet and serves nothing before Begin.
func New(o Options) *VM {
	o.setDefaults()
	vm := &VM{
		opts: o,

		objects:      map[string]*object{},
		protected:    map[string]*object{},
		classes:      map[*Class]*Ref{},
		libraryTexts: map[string]bool{},
		sources:      source.NewTexts(),
		book:         o.Reference,
		words:        map[string]func() []string{},
		kinds:        map[string]string{},
	}
	vm.absent = absences{sources: vm.sources, reads: map[string]missedRead{}}
	vm.m = machine.New(machine.Options{
		Warn:       func(line string) { _ = vm.Warn(line) },
		Explain:    vm.absent.explain,
		OnLong:     o.OnLong,
		OnPanic:    o.OnPanic,
		Goroutines: o.Goroutines,
		EventTime:  o.EventTime,
		Fatal:      o.Fatal,
	})
	return vm
}

// Begin gives the machine what the caller has for it, on the goroutine of the caller,
// guards the globals, and starts the owner goroutine. The machine is of no use when that
// fails.
func (vm *VM) Begin(with func(c *Call) error) error {
	err := vm.Enter(machine.Evaluation{}, func(c *Call) error {
		if err := with(c); err != nil {
			return err
		}
		vm.installGuard(c.l)
		return nil
	})
	if err == nil {
		vm.m.Start()
	}
	return err
}
