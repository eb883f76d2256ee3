package script

import (
	"fmt"
	"io"
)

// Write writes what a script prints: to the standard output, and to the console on
// which the command was typed that runs.
func (vm *VM) Write(text string) error {
	vm.m.Echo(text)
	_, err := io.WriteString(vm.opts.Stdout, text)
	return err
}

// Note writes a line that is meant for the log.
func (vm *VM) Note(line string) error {
	if vm.opts.Line == nil {
		return vm.Write(line + "\n")
	}
	vm.m.Echo(line + "\n")
	vm.opts.Line(false, line)
	return nil
}

// Warn writes a line about what is wrong.
func (vm *VM) Warn(line string) (err error) {
	if vm.opts.Line != nil {
		vm.opts.Line(true, line)
	} else {
		_, err = fmt.Fprintln(vm.opts.Stderr, line)
	}
	return err
}
