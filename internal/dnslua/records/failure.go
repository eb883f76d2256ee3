package records

import (
	"errors"
	"syscall"

	"kresd/internal/dnslua/message"
	"kresd/internal/script"
)

// A methodMaker makes a method of its name, its own arguments, and how many there are at
// least and at most.
type methodMaker[T any] func(name, args string, least, most int, fn func(c *script.Call, of T) (any, error)) script.Func

// methods makes those of the values that of finds in an argument. What fails is nil to the
// script, and the object that says why.
func methods[T any](v *Objects, of func(c *script.Call, i int) T) methodMaker[T] {
	return func(name, args string, least, most int, fn func(c *script.Call, of T) (any, error)) script.Func {
		return script.Func{Name: name, Args: args, Min: least + 1, Max: most + 1, Fn: func(c *script.Call) error {
			result, err := fn(c, of(c, 1))
			if err != nil {
				return c.Return(nil, v.Failure(err))
			}
			return c.Return(result)
		}}
	}
}

// Failure is the object for what did not work, which scripts get beside nil.
func (v *Objects) Failure(err error) *script.Handle {
	return &script.Handle{Class: v.failed, Value: err}
}

// codeOf is the code of an error object: the negative number of the system's error that
// comes closest, for what did not fit and for what is wrong.
func codeOf(err error) int {
	if errors.Is(err, message.ErrFull) || errors.Is(err, message.ErrTooMany) {
		return -int(syscall.ENOSPC)
	}
	return -int(syscall.EINVAL)
}

func failureClass() *script.Class {
	class := &script.Class{Name: "error", CData: true}
	class.Get = func(_ *script.Call, value any, key any) (any, error) {
		if key == "code" {
			return codeOf(value.(error)), nil
		}
		return nil, script.NoMember(class, key, "code")
	}
	class.Text = func(value any) string { return value.(error).Error() }
	return class
}
