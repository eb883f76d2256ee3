package command

import (
	"context"
	"errors"
	"os"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script"
	"kresd/internal/script/machine"
	"kresd/internal/script/source"
)

// RunFile runs a configuration file. The error is a *FileError with position,
// or tells why the machine did not run it.
func (in *Interpreter) RunFile(ctx context.Context, path string) error {
	text, kept := in.Code(path)
	if !kept {
		octets, err := os.ReadFile(path)
		if err != nil {
			return readError(path, err)
		}
		text = string(octets)
	}
	in.TellLoaded(path, text)
	return in.RunText(ctx, path, text)
}

// RunText is RunFile for a text that was read already, such as standard input;
// name stands for the file in messages. There is no limit of time.
func (in *Interpreter) RunText(ctx context.Context, name, text string) error {
	return in.Machine().Submit(ctx, script.Console, func() error {
		return in.Enter(machine.Evaluation{Context: ctx, Kind: script.Config}, func(c *script.Call) error {
			return in.runText(c.Stack(), name, text)
		})
	})
}

// CompileText tells what is wrong with the syntax of a text, as RunText would, and runs
// nothing.
func (in *Interpreter) CompileText(ctx context.Context, name, text string) error {
	return in.Machine().Submit(ctx, script.Console, func() error {
		return in.Enter(machine.Evaluation{Context: ctx, Kind: script.Config}, func(c *script.Call) error {
			chunk := source.FileChunk(name)
			err := in.Load(c.Stack(), source.WithoutHashBang(text), chunk)
			if e := new(script.Error); errors.As(err, &e) {
				return fileError(source.Shown(chunk), chunk, 0, e.Message)
			}
			return err
		})
	})
}

func (in *Interpreter) runText(l *lua.State, name, text string) error {
	text = source.WithoutHashBang(text)
	chunk := source.FileChunk(name)
	in.Sources().Add(chunk, text)
	where := 0
	l.PushGoFunction(func(l *lua.State) int { // sees the stack before it unwinds
		where = lineIn(l, chunk)
		return 1
	})
	handler := l.Top()
	err := in.Load(l, text, chunk)
	if err == nil {
		err = in.Machine().ProtectedCall(l, 0, 0, handler)
	}
	var e *script.Error
	if errors.As(err, &e) {
		wrong := fileError(source.Shown(chunk), chunk, where, e.Message)
		wrong.Msg = in.NewSession().suggest(l, wrong.Msg, text, wrong.Line)
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
