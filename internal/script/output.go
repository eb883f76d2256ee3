package script

import (
	"fmt"
	"io"
)

// print writes what a script prints: to the standard output, and to the console on
// which the command was typed that runs.
func (vm *VM) print(text string) error {
	vm.m.Echo(text)
	_, err := io.WriteString(vm.opts.Stdout, text)
	return err
}

// note writes a line that is meant for the log.
func (vm *VM) note(line string) error {
	if vm.opts.Line == nil {
		return vm.print(line + "\n")
	}
	vm.m.Echo(line + "\n")
	vm.opts.Line(false, line)
	return nil
}

// warn writes a line about what is wrong.
func (vm *VM) warn(line string) (err error) {
	if vm.opts.Line != nil {
		vm.opts.Line(true, line)
	} else {
		_, err = fmt.Fprintln(vm.opts.Stderr, line)
	}
	return err
}
