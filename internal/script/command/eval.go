package command

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/script/machine"
	"kresd/internal/script/source"
)

// Eval runs a console command outside of any session, as Session.Eval does, but the
// text of an error stands alone.
func (in *Interpreter) Eval(ctx context.Context, chunk string) (out string, isErr bool) {
	s := in.NewSession()
	return s.evaluate(ctx, chunk, nil, audience{value: s.show, err: unexplained})
}

// Eval runs a console command and returns what the client is shown, or the
// error's text with the line of the command where it happened. A value is printed and
// ends with a newline; what statements return is shown as it is, and nothing is empty
// text. What the command itself prints goes to echo as well, if there is one, until Eval
// returns.
func (s *Session) Eval(ctx context.Context, chunk string, echo io.Writer) (out string, isErr bool) {
	return s.evaluate(ctx, chunk, echo, audience{
		value: s.show,
		err:   func(l *lua.State, msg string) string { return s.explainError(l, chunk, msg) },
	})
}

// EvalJSON is Eval for programs: a value comes as JSON on one line, and what has no value
// as null.
func (s *Session) EvalJSON(ctx context.Context, chunk string, echo io.Writer) (out string, isErr bool) {
	return s.evaluate(ctx, chunk, echo, audience{
		value: func(l *lua.State, _ source.Reading) (string, error) { return s.in.showJSON(l) },
		err:   unexplained,
	})
}

func (s *Session) show(l *lua.State, r source.Reading) (string, error) { return s.in.show(l, r), nil }

func unexplained(_ *lua.State, msg string) string { return msg }

// An audience says how those who gave a command are told what came of it.
type audience struct {
	value func(*lua.State, source.Reading) (string, error) // the results are all of the stack
	err   func(l *lua.State, msg string) string
}

// evaluate runs a console command.
func (s *Session) evaluate(ctx context.Context, chunk string, echo io.Writer, to audience) (out string, isErr bool) {
	in := s.in
	run := machine.Evaluation{Context: ctx, Kind: script.Console, Budget: limits.ConsoleRunTime, Echo: echo}
	err := in.Machine().Submit(ctx, script.Console, func() error {
		err := in.Enter(run, func(c *script.Call) error {
			value, err := s.commandAs(c, chunk, in.displaying(chunk))
			if err == nil {
				out, err = to.value(c.Stack(), value)
			}
			return err
		})
		if e := new(script.Error); errors.As(err, &e) {
			return &script.Error{Message: to.err(in.Machine().Stack(), e.Message)}
		}
		return err
	})
	if err != nil && !errors.Is(err, script.ErrExit) {
		return err.Error(), true
	}
	return out, false
}

// displaying are the readings of a command whose value is shown.
func (in *Interpreter) displaying(text string) []source.Reading {
	list := source.Readings(text)
	if r, ok := in.lastShown(text); ok {
		list = slices.Insert(list, 1, r)
	}
	return list
}

// command runs a text. Its results lie on the stack; the reading that compiled
// comes back.
func (s *Session) command(c *script.Call, text string) (source.Reading, error) {
	return s.commandAs(c, text, source.Readings(text))
}

// commandAs is command with the readings that the text may have.
func (s *Session) commandAs(c *script.Call, text string, as []source.Reading) (source.Reading, error) {
	var wrong error
	for _, r := range as {
		kept, err := s.compile(c.Stack(), r.Text, source.CommandChunk(text))
		if err != nil {
			if wrong == nil || !r.Value && !strings.HasSuffix(wrong.Error(), "near <eof>") { // that reading fits as far as the text goes
				wrong = err
			}
			continue
		}
		s.in.Sources().Add(source.CommandChunk(text), text)
		c.Stack().Call(0, lua.MultipleReturns)
		if kept != nil {
			s.keep(c.Stack(), kept)
		}
		return r, nil
	}
	return source.Reading{}, wrong
}

// show is what a command that ran displays; its results are all of the stack.
func (in *Interpreter) show(l *lua.State, r source.Reading) string {
	if l.Top() == 0 {
		if r.Value && !r.Quiet {
			return "nil\n"
		}
		return ""
	}
	if r.Value {
		if r.Quiet && l.IsNil(1) {
			return ""
		}
		return in.Shown(l, 1)
	}
	switch v := l.ToValue(1).(type) {
	case string:
		return v
	case float64:
		return luavalue.FormatNumber(v)
	}
	return ""
}

// showJSON is the first result as JSON.
func (in *Interpreter) showJSON(l *lua.State) (string, error) {
	if l.Top() == 0 {
		return "null\n", nil
	}
	v, err := in.ToGo(l, 1)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = writeJSON(&b, v)
	return b.String() + "\n", err
}

// A Result is what a mapped expression gave in this process.
type Result struct {
	Kind  ResultKind
	Value any    // of a ResultValue: nil, bool, float64, string or *luavalue.Table
	Text  string // of a ResultError: the Lua message
}

// ResultKind tells the three outcomes of a mapped expression apart.
type ResultKind int

// The outcomes.
const (
	ResultValue   ResultKind = iota
	ResultNothing            // it returned no value
	ResultError
)

// MapEval runs an expression, or statements, for map(). It is served while
// other evaluations wait (Call.Wait). Functions and userdata in the value
// become nil.
func (in *Interpreter) MapEval(ctx context.Context, expr string) (res Result) {
	res.Kind = ResultNothing
	s := machine.Evaluation{Context: ctx, Kind: script.Mapped, Budget: limits.MapPerWorker}
	err := in.Machine().Submit(ctx, script.Mapped, func() error {
		return in.Enter(s, func(c *script.Call) error {
			if _, err := in.NewSession().command(c, expr); err != nil {
				return err
			}
			if c.Stack().Top() == 0 {
				res = Result{Kind: ResultNothing}
				return nil
			}
			v, err := in.ToGo(c.Stack(), 1)
			res = Result{Kind: ResultValue, Value: script.Portable(v)}
			return err
		})
	})
	if err != nil && !errors.Is(err, script.ErrExit) {
		return Result{Kind: ResultError, Text: err.Error()}
	}
	return res
}

// evalCmd is eval_cmd(text, raw).
func (in *Interpreter) evalCmd(c *script.Call) error {
	text, raw := c.Text(1), c.NArgs() > 1 && c.Stack().ToBoolean(2)
	var out any
	err := in.EnterPart(func(inner *script.Call) error {
		r, err := in.NewSession().command(inner, text)
		if err != nil {
			return err
		}
		if raw {
			out, err = in.ToGo(inner.Stack(), 1)
			return err
		}
		out = in.show(inner.Stack(), r)
		return nil
	})
	var e *script.Error
	if errors.As(err, &e) {
		return e
	}
	if err != nil {
		return err
	}
	return c.Return(out)
}
