package language

import (
	"bufio"
	"errors"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
	"kresd/internal/script"
)

// fetch does one read and returns what it gave; ok is false at the end of the file.
func fetch[T any](c *script.Call, s *stream, fn func(*bufio.Reader) (T, bool, error)) (v any, ok bool, err error) {
	in, err := s.readable()
	if err != nil {
		return nil, false, err
	}
	var got T
	err = outside(c, s, func() (err error) {
		got, ok, err = fn(in)
		return err
	})
	if errors.Is(err, errTooMuch) {
		c.Raise(script.Usage(errTooMuch.Error()))
	}
	return got, ok, err
}

// read reads what the arguments from first on say, a line if there are none.
func read(c *script.Call, s *stream, first, shift int) error {
	results, err := readAll(c, s, first, shift)
	return gave(c, results, err)
}

// gave returns what was read, or the reason why nothing was.
func gave(c *script.Call, results []any, err error) error {
	var i *script.Interrupt
	switch {
	case errors.As(err, &i):
		return err
	case err != nil:
		return failed(c, err, "")
	}
	return c.Return(results...)
}

func readAll(c *script.Call, s *stream, first, shift int) (results []any, err error) {
	if c.NArgs() < first {
		line, ok, err := fetch(c, s, readLine)
		return []any{orNil(line, ok)}, err
	}
	for i := first; i <= c.NArgs(); i++ {
		v, ok, err := readOne(c, s, i, shift)
		if err != nil {
			return nil, err
		}
		if results = append(results, orNil(v, ok)); !ok {
			break
		}
	}
	return results, nil
}

func orNil(v any, ok bool) any {
	if !ok {
		return nil
	}
	return v
}

// readOne reads what argument i says.
func readOne(c *script.Call, s *stream, i, shift int) (v any, ok bool, err error) {
	if n, isNumber := c.Stack().ToValue(i).(float64); isNumber {
		return fetch(c, s, func(in *bufio.Reader) (string, bool, error) { return readOctets(in, octets(n)) })
	}
	format, _ := c.Stack().ToValue(i).(string)
	if format == "" || format[0] != '*' {
		badArgument(c, i, shift, "invalid option")
	}
	switch (format + " ")[1] {
	case 'n':
		return fetch(c, s, readNumber)
	case 'l':
		return fetch(c, s, readLine)
	case 'a':
		v, _, err := fetch(c, s, func(in *bufio.Reader) (string, bool, error) { return readOctets(in, octets(-1)) })
		return v, true, err
	}
	badArgument(c, i, shift, "invalid format")
	return nil, false, nil
}

// octets is a number of octets as C takes it: one below 0 is very large.
func octets(n float64) int64 {
	if n < 0 || n > limits.LuaString {
		return limits.LuaString + 1
	}
	return int64(n)
}

func ioLines(c *script.Call) error {
	if !c.IsNil(1) {
		opened(c, "r")
		c.Stack().Replace(1)
		return lines(c, 1, true)
	}
	standardStream(c, ioInput)
	c.Stack().SetTop(0)
	c.Stack().Field(lua.RegistryIndex, ioInput)
	return lines(c, 1, false)
}

// lines returns an iterator over the lines of the file at i, which it closes at its
// end when it was opened for that.
func lines(c *script.Call, i int, closes bool) error {
	s := c.Stack().ToUserData(i).(*stream)
	c.VM().PushFunc(c.Stack(), script.Func{Name: "lines", Max: -1, Fn: func(c *script.Call) error {
		if s.closed {
			return script.Usage("file is already closed")
		}
		line, ok, err := fetch(c, s, readLine)
		var interrupt *script.Interrupt
		switch {
		case errors.As(err, &interrupt):
			return err
		case err != nil:
			text, _ := reason(err)
			return script.Usage(text)
		case ok:
			return c.Return(line)
		case closes:
			_ = s.close()
		}
		return c.Return(nil)
	}})
	return c.ReturnFrom(c.Stack().Top())
}
