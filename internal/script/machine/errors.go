package machine

import (
	"errors"
	"fmt"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/luavalue"
	"kresd/internal/wording"
)

// An Error is a Lua error that nothing in Lua caught.
type Error struct {
	Message string
	value   any // the error value when it is no string

	traceback string // of the code that raised it; "" where none was made (TracedCall and tasks make one)
}

func (e *Error) Error() string { return e.Message }

// PopError takes the error value from the stack.
func PopError(l *lua.State) *Error {
	defer l.Pop(1)
	switch v := l.ToValue(-1).(type) {
	case string:
		return &Error{Message: v}
	case float64:
		return &Error{Message: luavalue.FormatNumber(v), value: v}
	case nil:
		return &Error{Message: "nil"}
	default:
		return &Error{Message: fmt.Sprintf("(error object is %s value)", wording.WithArticle(l.TypeOf(-1).String())), value: v}
	}
}

var (
	// ErrClosed is returned for work given to a machine that was closed.
	ErrClosed = errors.New("the Lua machine is closed")

	// ErrExit is why an evaluation ended whose code has ended the process (Machine.Exit).
	ErrExit = errors.New("the process ends")
)

// Raise raises the error's value as a Lua error, and does not return. It does nothing if
// the value is a string, which is Message.
func (e *Error) Raise(l *lua.State) {
	if e.value != nil {
		l.PushLightUserData(e.value)
		l.Error()
	}
}

// An Interrupt ends an evaluation. pcall does not catch it.
type Interrupt struct {
	Reason error
	Where  string // "file:line: " of the code that ran; "" where that is not known

	traceback string // of that code
}

// Error tells why the evaluation ended.
func (i *Interrupt) Error() string { return i.Reason.Error() }

// Unwrap returns the reason.
func (i *Interrupt) Unwrap() error { return i.Reason }

// Report is err for the log. An Interrupt gets its position in front, which the texts of
// other errors begin with. The traceback, if err has one, follows on lines of its own.
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
