package language

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/luavalue"
	"kresd/internal/script"
)

// ioFuncs are the library io of Lua 5.1. Functions wait for the other end of a pipe as
// Call.Wait does, and not for ever.
var ioFuncs = []script.Func{
	{Name: "close", Args: "[file]", Max: -1, Fn: ioClose},
	{Name: "flush", Max: -1, Fn: func(c *script.Call) error { standardStream(c, ioOutput); return c.Return(true) }},
	{Name: "input", Args: "[file or path]", Max: -1, Fn: func(c *script.Call) error { return chooseStream(c, ioInput, "r") }},
	{Name: "lines", Args: "[path]", Max: -1, Fn: ioLines},
	{Name: "open", Args: "path[, mode]", Max: -1, Fn: ioOpen},
	{Name: "output", Args: "[file or path]", Max: -1, Fn: func(c *script.Call) error { return chooseStream(c, ioOutput, "w") }},
	{Name: "popen", Args: "command[, mode]", Max: -1, Fn: ioPopen},
	{Name: "read", Args: "...", Max: -1, Fn: func(c *script.Call) error { return read(c, standardStream(c, ioInput), 1, 0) }},
	{Name: "tmpfile", Max: -1, Fn: ioTmpfile},
	{Name: "type", Args: "value", Max: -1, Fn: ioType},
	{Name: "write", Args: "...", Max: -1, Fn: func(c *script.Call) error { return write(c, standardStream(c, ioOutput), 1, 0) }},
}

// streamFuncs are the methods of files; argument 1 is the file.
var streamFuncs = []script.Func{
	{Name: "close", Max: -1, Fn: func(c *script.Call) error { return closeStream(c, streamAt(c, 1)) }},
	{Name: "flush", Max: -1, Fn: func(c *script.Call) error { streamAt(c, 1); return c.Return(true) }},
	{Name: "lines", Args: "...", Max: -1, Fn: func(c *script.Call) error { streamAt(c, 1); return lines(c, 1, false) }},
	{Name: "read", Args: "...", Max: -1, Fn: func(c *script.Call) error { return read(c, streamAt(c, 1), 2, 1) }},
	{Name: "seek", Args: "[whence[, offset]]", Max: -1, Fn: streamSeek},
	{Name: "setvbuf", Args: "mode[, size]", Max: -1, Fn: func(c *script.Call) error {
		streamAt(c, 1)
		choice(c, 2, "", "no", "full", "line")
		return c.Return(true)
	}},
	{Name: "write", Args: "...", Max: -1, Fn: func(c *script.Call) error { return write(c, streamAt(c, 1), 2, 1) }},
}

// Names in the registry: the class of files as in Lua 5.1, and the default files.
const (
	ioClass  = "FILE*"
	ioInput  = "kresd.input"
	ioOutput = "kresd.output"
)

// openIO replaces the machine's library, which cannot read.
func openIO(vm *script.VM, l *lua.State) {
	l.NewTable()
	for _, f := range streamFuncs {
		vm.PushFunc(l, f)
		l.SetField(-2, f.Name)
	}
	vm.PushFunc(l, script.Func{Name: "tostring", Fn: func(c *script.Call) error { return c.Return(streamText(c.Stack().ToUserData(1))) }, Max: -1})
	l.SetField(-2, "__tostring")
	l.PushValue(-1)
	l.SetField(-2, "__index")
	l.SetField(lua.RegistryIndex, ioClass)
	extend(vm, l, "io", ioFuncs)
	l.Global("io")
	in := &stream{standard: true, in: bufio.NewReader(eof{})}
	if vm.Options().Stdin != nil {
		in = newStream(vm.Options().Stdin)
		in.standard = true
	}
	standard(vm, l, "stdin", in, ioInput)
	standard(vm, l, "stdout", &stream{standard: true, out: writerFunc(vm.Write)}, ioOutput)
	standard(vm, l, "stderr", &stream{standard: true, out: vm.Options().Stderr}, "")
	l.Pop(1)
}

// standard puts a stream into the library io on top of the stack.
func standard(vm *script.VM, l *lua.State, name string, s *stream, role string) {
	pushStream(l, s)
	if role != "" {
		l.PushValue(-1)
		l.SetField(lua.RegistryIndex, role)
	}
	l.SetField(-2, name)
}

// eof is a standard input from which nothing comes.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

type writerFunc func(text string) error

func (w writerFunc) Write(p []byte) (int, error) { return len(p), w(string(p)) }

func pushStream(l *lua.State, s *stream) {
	l.PushUserData(s)
	l.Field(lua.RegistryIndex, ioClass)
	l.SetMetaTable(-2)
}

func returnStream(c *script.Call, s *stream) error {
	pushStream(c.Stack(), s)
	return c.ReturnFrom(c.Stack().Top())
}

func streamText(v any) string {
	s, _ := v.(*stream)
	if s == nil || s.closed {
		return "file (closed)"
	}
	return fmt.Sprintf("file (%p)", s)
}

// badArgument raises the error for argument i as C's library words it. What is called
// as a method does not count the file that it is called on: it says so by a shift of 1.
func badArgument(c *script.Call, i, shift int, format string, args ...any) {
	if shift > 0 && !isMethodCall(c) {
		shift = 0
	}
	c.Raise(script.Usage(fmt.Sprintf("bad argument #%d to '%s' (%s)", i-shift, c.Name(), fmt.Sprintf(format, args...))))
}

func isMethodCall(c *script.Call) bool {
	f, ok := lua.Stack(c.Stack(), 0)
	if !ok {
		return false
	}
	d, _ := lua.Info(c.Stack(), "n", f)
	return d.NameKind == "method"
}

// streamAt is argument i, an open file.
func streamAt(c *script.Call, i int) *stream {
	s, ok := c.Stack().ToUserData(i).(*stream)
	if i > c.NArgs() || !ok {
		badArgument(c, i, 0, "FILE* expected, got %s", c.Type(i))
	}
	if s.closed {
		c.Raise(script.Usage("attempt to use a closed file"))
	}
	return s
}

// standardStream is the default input or output.
func standardStream(c *script.Call, role string) *stream {
	c.Stack().Field(lua.RegistryIndex, role)
	s := c.Stack().ToUserData(-1).(*stream)
	c.Stack().Pop(1)
	if s.closed {
		c.Raise(script.Usage("standard " + role[len("kresd."):] + " file is closed"))
	}
	return s
}

// failed returns nil, the message and the number of an error of the system.
func failed(c *script.Call, err error, name string) error {
	text, number := reason(err)
	if name != "" {
		text = name + ": " + text
	}
	return c.Return(nil, text, number)
}

func ioOpen(c *script.Call) error {
	name := c.String(1)
	s, err := openNamed(c, name, c.OptString(2, "r"))
	if err != nil {
		return failed(c, err, name)
	}
	return returnStream(c, s)
}

func ioPopen(c *script.Call) error {
	command := c.String(1)
	if c.Withheld("the command '%s' was not run", command) {
		return unopened(c)
	}
	s, err := openCommand(c.VM(), command, c.OptString(2, "r"))
	if err != nil {
		return failed(c, err, command)
	}
	return returnStream(c, s)
}

// unopened returns a file in memory in place of one that only this process would know.
func unopened(c *script.Call) error {
	s, err := inMemory()
	if err != nil {
		return failed(c, err, "")
	}
	return returnStream(c, s)
}

func ioTmpfile(c *script.Call) error {
	if c.VM().Options().Withhold != nil { // nobody would see it anyway
		return unopened(c)
	}
	f, err := os.CreateTemp("", "lua_")
	if err != nil {
		return failed(c, err, "")
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return failed(c, err, "")
	}
	return returnStream(c, newStream(f))
}

func ioType(c *script.Call) error {
	if c.NArgs() == 0 {
		badArgument(c, 1, 0, "value expected")
	}
	s, ok := c.Stack().ToUserData(1).(*stream)
	switch {
	case !ok:
		return c.Return(nil)
	case s.closed:
		return c.Return("closed file")
	}
	return c.Return("file")
}

// chooseStream is io.input and io.output.
func chooseStream(c *script.Call, role, mode string) error {
	if !c.IsNil(1) {
		switch c.Type(1) {
		case "string", "number":
			opened(c, mode)
		default:
			streamAt(c, 1)
			c.Stack().PushValue(1)
		}
		c.Stack().SetField(lua.RegistryIndex, role)
	}
	c.Stack().Field(lua.RegistryIndex, role)
	return c.ReturnFrom(c.Stack().Top())
}

// opened pushes the file that argument 1 names.
func opened(c *script.Call, mode string) {
	name := c.String(1)
	s, err := openNamed(c, name, mode)
	if err != nil {
		text, _ := reason(err)
		badArgument(c, 1, 0, "%s: %s", name, text)
	}
	pushStream(c.Stack(), s)
}

func ioClose(c *script.Call) error {
	if c.NArgs() == 0 {
		return closeStream(c, standardStream(c, ioOutput))
	}
	return closeStream(c, streamAt(c, 1))
}

func closeStream(c *script.Call, s *stream) error {
	if s.standard {
		return c.Return(nil, "cannot close standard file")
	}
	err := s.close()
	if s.child != nil {
		if err := awaitChild(c, s.child); err != nil {
			return err
		}
	}
	if err != nil {
		return failed(c, err, "")
	}
	return c.Return(true)
}

// write writes the arguments from first on.
func write(c *script.Call, s *stream, first, shift int) error {
	var failure error
	for i := first; i <= c.NArgs(); i++ {
		var text string
		switch v := c.Stack().ToValue(i).(type) {
		case string:
			text = v
		case float64:
			text = luavalue.FormatNumber(v)
		default:
			badArgument(c, i, shift, "string expected, got %s", c.Type(i))
		}
		err := outside(c, s, func() error { return s.write(text) })
		var interrupt *script.Interrupt
		if errors.As(err, &interrupt) {
			return err
		}
		if failure == nil {
			failure = err
		}
	}
	if failure != nil {
		return failed(c, failure, "")
	}
	return c.Return(true)
}

// choice is argument i of a method, one of a few words. absent "" demands it.
func choice(c *script.Call, i int, absent string, words ...string) int {
	word := absent
	switch v := c.Stack().ToValue(i).(type) {
	case string:
		word = v
	case float64:
		word = luavalue.FormatNumber(v)
	default:
		if absent == "" || !c.IsNil(i) {
			badArgument(c, i, 1, "string expected, got %s", c.Type(i))
		}
	}
	for n, w := range words {
		if w == word {
			return n
		}
	}
	badArgument(c, i, 1, "invalid option '%s'", word)
	return 0
}

func streamSeek(c *script.Call) error {
	s := streamAt(c, 1)
	whence := [...]int{io.SeekStart, io.SeekCurrent, io.SeekEnd}[choice(c, 2, "cur", "set", "cur", "end")]
	offset := 0.0
	if !c.IsNil(3) {
		n, ok := c.Stack().ToNumber(3)
		if !ok {
			badArgument(c, 3, 1, "number expected, got %s", c.Type(3))
		}
		offset = n
	}
	at, err := s.seek(int64(offset), whence)
	if err != nil {
		return failed(c, err, "")
	}
	return c.Return(at)
}

// File is argument i, an open file of the library io that is more than a name for what
// the console shows.
func File(c *script.Call, i int) *os.File {
	s := streamAt(c, i)
	if s.file == nil {
		badArgument(c, i, 0, "a standard stream is no file")
	}
	return s.file
}
