package module

import (
	"errors"
	"math"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
)

// A Param is one parameter of a function that scripts call: its name, and how a
// script's value becomes a T. Call0, Call1 and Call2 make Functions of Go
// functions whose arguments have these types.
type Param[T any] struct {
	name   string
	decode func(value any) (T, error)
	absent *T // the value of a parameter that is left out; nil where it must be there
}

// Or makes a parameter optional: without it, or with nil, the function is given
// absent.
func (p Param[T]) Or(absent T) Param[T] {
	p.absent = &absent
	return p
}

// of is the argument of a call at index i.
func (p Param[T]) of(args []any, i int) (T, error) {
	if i >= len(args) || args[i] == nil {
		if p.absent != nil {
			return *p.absent, nil
		}
		return p.decode(nil)
	}
	return p.decode(args[i])
}

// usage is how help() shows the parameter.
func (p Param[T]) usage() string {
	if p.absent != nil {
		return "[" + p.name + "]"
	}
	return p.name
}

// least is how many arguments the parameter demands.
func (p Param[T]) least() int {
	if p.absent != nil {
		return 0
	}
	return 1
}

// Value decodes value as the parameter does: for options and fields of modules,
// which scripts assign.
func (p Param[T]) Value(value any) (T, error) { return p.of([]any{value}, 0) }

// wants makes a parameter of values of one Go type. expected says in words what a
// script has to write.
func wants[T any](name, expected string, ok func(T) bool) Param[T] {
	return Param[T]{name: name, decode: func(value any) (T, error) {
		v, is := value.(T)
		if !is || ok != nil && !ok(v) {
			var none T
			return none, errors.New(expected + " expected")
		}
		return v, nil
	}}
}

// Text is a string.
func Text(name, expected string) Param[string] { return wants[string](name, expected, nil) }

// Switch is true or false.
func Switch(name, expected string) Param[bool] { return wants[bool](name, expected, nil) }

// Whole is a whole number from lo to hi.
func Whole(name, expected string, lo, hi float64) Param[float64] {
	return wants(name, expected, func(v float64) bool { return v >= lo && v <= hi && v == math.Trunc(v) })
}

// Finite is any number but infinity and "not a number".
func Finite(name, expected string) Param[float64] {
	return wants(name, expected, func(v float64) bool { return v >= -math.MaxFloat64 && v <= math.MaxFloat64 })
}

// Table is a table.
func Table(name, expected string) Param[*luavalue.Table] {
	return wants[*luavalue.Table](name, expected, nil)
}

// DomainName is a domain name in presentation format.
func DomainName(name, expected string) Param[dnsname.Name] {
	text := Text(name, expected)
	return Custom(name, func(value any) (dnsname.Name, error) {
		t, err := text.decode(value)
		if err != nil {
			return "", err
		}
		n, err := dnsname.Parse(t)
		if err != nil {
			return "", errors.New("'" + t + "': " + err.Error())
		}
		return n, nil
	})
}

// Custom is a parameter that a module decodes itself. decode is given nil where
// the argument is missing.
func Custom[T any](name string, decode func(value any) (T, error)) Param[T] {
	return Param[T]{name: name, decode: decode}
}

// An ArgError says what an argument should have been. It is shown behind the names of
// module and function.
type ArgError struct{ Err error }

func (e *ArgError) Error() string { return e.Err.Error() }
func (e *ArgError) Unwrap() error { return e.Err }

// Call0 is a function without parameters.
func Call0(name string, fn func() ([]any, error)) Function {
	return Function{Name: name, Fn: func([]any) ([]any, error) { return fn() }}
}

// Call1 is a function with one parameter.
func Call1[A any](name string, a Param[A], fn func(A) ([]any, error)) Function {
	return Function{Name: name, Args: a.usage(), Min: a.least(), Max: 1, Fn: func(args []any) ([]any, error) {
		v, err := a.of(args, 0)
		if err != nil {
			return nil, &ArgError{err}
		}
		return fn(v)
	}}
}

// Call2 is a function with two parameters.
func Call2[A, B any](name string, a Param[A], b Param[B], fn func(A, B) ([]any, error)) Function {
	return Function{Name: name, Args: a.usage() + ", " + b.usage(), Min: a.least() + b.least(), Max: 2, Fn: func(args []any) ([]any, error) {
		v, err := a.of(args, 0)
		if err != nil {
			return nil, &ArgError{err}
		}
		w, err := b.of(args, 1)
		if err != nil {
			return nil, &ArgError{err}
		}
		return fn(v, w)
	}}
}
