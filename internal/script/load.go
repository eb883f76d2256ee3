package script

import (
	"errors"
	"io"
	"os"
	"time"

	lua "github.com/Shopify/go-lua"
	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/script/machine"
	"kresd/internal/script/source"
	"kresd/internal/wording"
)

// LoadFile compiles a file and pushes the function.
func (vm *VM) LoadFile(l *lua.State, path string) error {
	text, kept := vm.Code(path)
	if !kept {
		var err error
		if text, err = readCode(path); err != nil {
			return &Error{Message: "cannot open " + path + ": " + wording.Reason(err).Error()}
		}
	}
	vm.TellLoaded(path, text)
	vm.sources.Add(source.FileChunk(path), text)
	return vm.Load(l, source.WithoutHashBang(text), source.FileChunk(path))
}

// TellLoaded tells Options.Loaded of a file of code.
func (vm *VM) TellLoaded(path, text string) {
	if vm.opts.Loaded != nil {
		vm.opts.Loaded(path, text)
	}
}

// Code is what is run of a file of code in the place of what stands in it (Options.Code).
func (vm *VM) Code(path string) (text string, ok bool) {
	if vm.opts.Code == nil {
		return "", false
	}
	return vm.opts.Code(path)
}

// Opened is what a script gets of a file of data that was opened to be read (Options.Opened).
func (vm *VM) Opened(path string, f *os.File, err error) (*os.File, error) {
	if vm.opts.Opened == nil {
		return f, err
	}
	return vm.opts.Opened(path, f, err)
}

// readCode reads a file of code. It waits for nobody: a FIFO or another thing at whose
// other end somebody writes is refused, and what is endless is too large.
func readCode(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 || f.SetReadDeadline(time.Time{}) == nil {
		return "", errors.New("not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, limits.LuaString+1))
	if err == nil && len(text) > limits.LuaString {
		err = errors.New("too large to be code")
	}
	return string(text), err
}

// Load compiles text and pushes the function. Bytecode is refused.
func (vm *VM) Load(l *lua.State, text, chunk string) error {
	if err := lua.LoadBuffer(l, text, chunk, "t"); err != nil {
		e := machine.PopError(l)
		e.Message = source.PlaceSyntaxError(e.Message, text, chunk)
		return e
	}
	return nil
}
