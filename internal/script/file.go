package script

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	lua "github.com/Shopify/go-lua"
	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/script/machine"
	"kresd/internal/script/source"
)

// RunFile runs a configuration file. The error is a *FileError with position,
// or tells why the machine did not run it.
func (vm *VM) RunFile(ctx context.Context, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return readError(path, err)
	}
	vm.loaded(path, string(text))
	return vm.RunText(ctx, path, string(text))
}

// RunText is RunFile for a text that was read already, such as standard input;
// name stands for the file in messages. There is no limit of time.
func (vm *VM) RunText(ctx context.Context, name, text string) error {
	return vm.m.Submit(ctx, Console, func() error {
		return vm.enter(machine.Evaluation{Context: ctx, Kind: Config}, func(c *Call) error {
			return vm.runText(c.l, name, text)
		})
	})
}

// CompileText tells what is wrong with the syntax of a text, as RunText would, and runs
// nothing.
func (vm *VM) CompileText(ctx context.Context, name, text string) error {
	return vm.m.Submit(ctx, Console, func() error {
		return vm.enter(machine.Evaluation{Context: ctx, Kind: Config}, func(c *Call) error {
			chunk := source.FileChunk(name)
			err := vm.load(c.l, source.WithoutHashBang(text), chunk)
			if e := new(Error); errors.As(err, &e) {
				return fileError(source.Shown(chunk), chunk, 0, e.Message)
			}
			return err
		})
	})
}

func (vm *VM) runText(l *lua.State, name, text string) error {
	text = source.WithoutHashBang(text)
	chunk := source.FileChunk(name)
	vm.sources.Add(chunk, text)
	where := 0
	l.PushGoFunction(func(l *lua.State) int { // sees the stack before it unwinds
		where = lineIn(l, chunk)
		return 1
	})
	handler := l.Top()
	err := vm.load(l, text, chunk)
	if err == nil {
		err = vm.m.ProtectedCall(l, 0, 0, handler)
	}
	var e *Error
	if errors.As(err, &e) {
		wrong := fileError(source.Shown(chunk), chunk, where, e.Message)
		wrong.Msg = vm.NewSession().suggest(l, wrong.Msg, text, wrong.Line)
		return wrong
	}
	return err
}

// lineIn is the line of chunk at which the machine stands, or 0.
func lineIn(l *lua.State, chunk string) int {
	for level := 0; ; level++ {
		f, ok := lua.Stack(l, level)
		if !ok {
			return 0
		}
		if d, _ := lua.Info(l, "Sl", f); d.Source == chunk && d.CurrentLine > 0 {
			return d.CurrentLine
		}
	}
}

// loadFile compiles a file and pushes the function.
func (vm *VM) loadFile(l *lua.State, path string) error {
	text, err := readCode(path)
	if err != nil {
		return &Error{Message: "cannot open " + readError(path, err).Error()}
	}
	vm.loaded(path, text)
	vm.sources.Add(source.FileChunk(path), text)
	return vm.load(l, source.WithoutHashBang(text), source.FileChunk(path))
}

func (vm *VM) loaded(path, text string) {
	if vm.opts.Loaded != nil {
		vm.opts.Loaded(path, text)
	}
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
