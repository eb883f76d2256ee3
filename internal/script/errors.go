package script

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script/source"
	"kresd/internal/wording"
)

// An Error is a Lua error that nothing in Lua caught.
type Error struct {
	Message string
	value   any // the error value when it is no string

	traceback string // of the place where it was raised; "" where nobody asked for it
}

func (e *Error) Error() string { return e.Message }

// popError takes the error value from the stack.
func popError(l *lua.State) *Error {
	defer l.Pop(1)
	switch v := l.ToValue(-1).(type) {
	case string:
		return &Error{Message: v}
	case float64:
		return &Error{Message: formatNumber(v), value: v}
	case nil:
		return &Error{Message: "nil"}
	default:
		return &Error{Message: fmt.Sprintf("(error object is %s value)", withArticle(l.TypeOf(-1).String())), value: v}
	}
}

// withArticle puts "a" or "an" before a word, as it is spoken.
func withArticle(word string) string {
	if word != "" && strings.ContainsRune("aeioAEIO", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}

// A FileError is an error in a configuration file.
type FileError struct {
	File string
	Line int    // 0 when unknown
	Msg  string // without the position
}

// Error is "file:line: message", in one line for all but messages that have
// several themselves.
func (e *FileError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Msg
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

// fileError attributes an error to a file. Line is where the machine stood,
// for errors that do not begin with their position.
func (vm *VM) fileError(file, chunk string, line int, msg string) *FileError {
	e := &FileError{File: file, Line: line, Msg: msg}
	if rest, ok := strings.CutPrefix(msg, source.Shown(chunk)+":"); ok {
		if digits, text, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(digits); err == nil {
				e.Line, e.Msg = n, text
			}
		}
	}
	return e
}

// position is "name:line: " of the innermost Lua code, or "".
func position(l *lua.State) string {
	return located(innermost(l))
}

// callerPosition is position of what called the function that runs, or "" when that
// is not Lua code.
func callerPosition(l *lua.State) string { return located(caller(l)) }

func located(d lua.Debug, ok bool) string {
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s:%d: ", d.ShortSource, d.CurrentLine)
}

// filePosition is position for code in a file and "" for commands.
func filePosition(l *lua.State) string {
	if d, ok := innermost(l); ok && strings.HasPrefix(d.Source, "@") {
		return position(l)
	}
	return ""
}

// caller is the code that called the function which runs; there is none when that is
// not written in Lua, such as pcall.
func caller(l *lua.State) (d lua.Debug, ok bool) {
	f, ok := lua.Stack(l, 1)
	if !ok {
		return lua.Debug{}, false
	}
	d, _ = lua.Info(l, "Sl", f)
	return d, d.CurrentLine > 0
}

func innermost(l *lua.State) (d lua.Debug, ok bool) {
	for level := 0; ; level++ {
		f, ok := lua.Stack(l, level)
		if !ok {
			return lua.Debug{}, false
		}
		if d = frameInfo(l, "Sl", f); d.CurrentLine > 0 {
			return d, true
		}
	}
}

// frameInfo is lua.Info also where a function is at its very first instruction, as in
// the count hook, where the machine looks for the line of the one before.
func frameInfo(l *lua.State, what string, f lua.Frame) (d lua.Debug) {
	defer func() {
		if recover() != nil {
			d, _ = lua.Info(l, "S", f)
			d.CurrentLine = d.LineDefined
		}
	}()
	d, _ = lua.Info(l, what, f)
	return d
}

// readError is an error about reading a file.
func readError(path string, err error) *FileError {
	return &FileError{File: path, Msg: wording.Reason(err).Error()}
}

// An Interrupt ends an evaluation. pcall does not catch it.
type Interrupt struct {
	Reason error
	Where  string // "file:line: " of the code that ran; "" where that is not known

	traceback string // of that place
}

// Error tells why the evaluation ended.
func (i *Interrupt) Error() string { return i.Reason.Error() }

// Unwrap returns the reason.
func (i *Interrupt) Unwrap() error { return i.Reason }

// Report is err for the log: with the place in front, where its text does not begin with
// one, and with the traceback, on lines of its own, of an error in a function that was
// called by Ref.Call.
func Report(err error) string {
	var (
		i *Interrupt
		e *Error
	)
	switch {
	case errors.As(err, &i):
		return i.Where + err.Error() + i.traceback
	case errors.As(err, &e):
		return err.Error() + e.traceback
	}
	return err.Error()
}

// tracebackOf is where the code of a stack stands, as lines to put behind a message.
// It only looks at the stack, so that the machine's count hook may call it.
func tracebackOf(l *lua.State, level int) string {
	const most = 20
	var b strings.Builder
	b.WriteString("\nstack traceback:")
	for n := 0; ; level++ {
		f, ok := lua.Stack(l, level)
		if !ok {
			return b.String()
		}
		d := frameInfo(l, "Sln", f)
		if n++; n > most {
			b.WriteString("\n\t...")
			return b.String()
		}
		b.WriteString("\n\t" + d.ShortSource + ":")
		if d.CurrentLine > 0 {
			fmt.Fprintf(&b, "%d:", d.CurrentLine)
		}
		switch {
		case d.Name != "":
			fmt.Fprintf(&b, " in function '%s'", d.Name)
		case d.What == "main":
			b.WriteString(" in main chunk")
		case d.What == "Go" || d.What == "C":
			b.WriteString(" ?")
		default:
			fmt.Fprintf(&b, " in function <%s:%d>", d.ShortSource, d.LineDefined)
		}
	}
}

// ErrExit is why the evaluation ended that called os.exit.
var ErrExit = errors.New("the process ends")
