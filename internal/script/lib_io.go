package script

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
)

// ioFuncs are the library io of Lua 5.1. What reads, writes or waits at the other end
// of a pipe is waited for as Call.Wait does, and not for ever.
var ioFuncs = []Func{
	{Name: "close", Args: "[file]", Max: -1, Fn: ioClose},
	{Name: "flush", Max: -1, Fn: func(c *Call) error { c.standardStream(ioOutput); return c.Return(true) }},
	{Name: "input", Args: "[file or path]", Max: -1, Fn: func(c *Call) error { return c.chooseStream(ioInput, "r") }},
	{Name: "lines", Args: "[path]", Max: -1, Fn: ioLines},
	{Name: "open", Args: "path[, mode]", Max: -1, Fn: ioOpen},
	{Name: "output", Args: "[file or path]", Max: -1, Fn: func(c *Call) error { return c.chooseStream(ioOutput, "w") }},
	{Name: "popen", Args: "command[, mode]", Max: -1, Fn: ioPopen},
	{Name: "read", Args: "...", Max: -1, Fn: func(c *Call) error { return c.read(c.standardStream(ioInput), 1, 0) }},
	{Name: "tmpfile", Max: -1, Fn: ioTmpfile},
	{Name: "type", Args: "value", Max: -1, Fn: ioType},
	{Name: "write", Args: "...", Max: -1, Fn: func(c *Call) error { return c.write(c.standardStream(ioOutput), 1, 0) }},
}

// streamFuncs are the methods of files; argument 1 is the file.
var streamFuncs = []Func{
	{Name: "close", Max: -1, Fn: func(c *Call) error { return c.closeStream(c.stream(1)) }},
	{Name: "flush", Max: -1, Fn: func(c *Call) error { c.stream(1); return c.Return(true) }},
	{Name: "lines", Args: "...", Max: -1, Fn: func(c *Call) error { c.stream(1); return c.lines(1, false) }},
	{Name: "read", Args: "...", Max: -1, Fn: func(c *Call) error { return c.read(c.stream(1), 2, 1) }},
	{Name: "seek", Args: "[whence[, offset]]", Max: -1, Fn: streamSeek},
	{Name: "setvbuf", Args: "mode[, size]", Max: -1, Fn: func(c *Call) error {
		c.stream(1)
		c.choice(2, "", "no", "full", "line")
		return c.Return(true)
	}},
	{Name: "write", Args: "...", Max: -1, Fn: func(c *Call) error { return c.write(c.stream(1), 2, 1) }},
}

// Names in the registry: the class of files as in Lua 5.1, and the default files.
const (
	ioClass  = "FILE*"
	ioInput  = "kresd.input"
	ioOutput = "kresd.output"
)

// openIO replaces the machine's library, which cannot read.
func (vm *VM) openIO(l *lua.State) {
	l.NewTable()
	for _, f := range streamFuncs {
		vm.pushFunc(l, f)
		l.SetField(-2, f.Name)
	}
	vm.pushFunc(l, Func{Name: "tostring", Fn: func(c *Call) error { return c.Return(streamText(c.l.ToUserData(1))) }, Max: -1})
	l.SetField(-2, "__tostring")
	l.PushValue(-1)
	l.SetField(-2, "__index")
	l.SetField(lua.RegistryIndex, ioClass)
	vm.extend(l, "io", ioFuncs)
	l.Global("io")
	in := &stream{standard: true, in: bufio.NewReader(eof{})}
	if vm.opts.Stdin != nil {
		in = newStream(vm.opts.Stdin)
		in.standard = true
	}
	vm.standard(l, "stdin", in, ioInput)
	vm.standard(l, "stdout", &stream{standard: true, out: writerFunc(vm.print)}, ioOutput)
	vm.standard(l, "stderr", &stream{standard: true, out: vm.opts.Stderr}, "")
	l.Pop(1)
}

// standard puts a stream into the library io on top of the stack.
func (vm *VM) standard(l *lua.State, name string, s *stream, role string) {
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

func (c *Call) returnStream(s *stream) error {
	pushStream(c.l, s)
	return c.multi(c.l.Top())
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
func (c *Call) badArgument(i, shift int, format string, args ...any) {
	if shift > 0 && !c.isMethodCall() {
		shift = 0
	}
	c.Raise(Usage(fmt.Sprintf("bad argument #%d to '%s' (%s)", i-shift, c.fn.Name, fmt.Sprintf(format, args...))))
}

func (c *Call) isMethodCall() bool {
	f, ok := lua.Stack(c.l, 0)
	if !ok {
		return false
	}
	d, _ := lua.Info(c.l, "n", f)
	return d.NameKind == "method"
}

// stream is argument i, an open file.
func (c *Call) stream(i int) *stream {
	s, ok := c.l.ToUserData(i).(*stream)
	if i > c.args || !ok {
		c.badArgument(i, 0, "FILE* expected, got %s", c.Type(i))
	}
	if s.closed {
		c.Raise(Usage("attempt to use a closed file"))
	}
	return s
}

// standardStream is the default input or output.
func (c *Call) standardStream(role string) *stream {
	c.l.Field(lua.RegistryIndex, role)
	s := c.l.ToUserData(-1).(*stream)
	c.l.Pop(1)
	if s.closed {
		c.Raise(Usage("standard " + role[len("kresd."):] + " file is closed"))
	}
	return s
}

// failed returns nil, the message and the number of an error of the system.
func (c *Call) failed(err error, name string) error {
	text, number := reason(err)
	if name != "" {
		text = name + ": " + text
	}
	return c.Return(nil, text, number)
}

func ioOpen(c *Call) error {
	name := c.String(1)
	s, err := c.openNamed(name, c.OptString(2, "r"))
	if err != nil {
		return c.failed(err, name)
	}
	return c.returnStream(s)
}

func ioPopen(c *Call) error {
	command := c.String(1)
	if c.withheld("the command '%s' was not run", command) {
		return c.unopened()
	}
	s, err := c.vm.openCommand(command, c.OptString(2, "r"))
	if err != nil {
		return c.failed(err, command)
	}
	return c.returnStream(s)
}

// unopened returns a file in memory in place of one that only this process would know.
func (c *Call) unopened() error {
	s, err := inMemory()
	if err != nil {
		return c.failed(err, "")
	}
	return c.returnStream(s)
}

// openCommand is popen: a stream to read what a command writes, or to write what it
// reads.
func (vm *VM) openCommand(command, mode string) (*stream, error) {
	if mode != "r" && mode != "w" {
		return nil, syscall.EINVAL
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	mine, its, in, out := r, w, (*os.File)(nil), w
	if mode == "w" {
		mine, its, in, out = w, r, r, nil
	}
	c, err := vm.startCommand(command, in, out)
	its.Close()
	if err != nil {
		mine.Close()
		return nil, err
	}
	s := &stream{file: mine, slow: true, child: c}
	if mode == "r" {
		s.in = bufio.NewReader(mine)
	} else {
		s.out = mine
	}
	return s, nil
}

func ioTmpfile(c *Call) error {
	if c.vm.opts.Withhold != nil { // nobody would see it anyway
		return c.unopened()
	}
	f, err := os.CreateTemp("", "lua_")
	if err != nil {
		return c.failed(err, "")
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return c.failed(err, "")
	}
	return c.returnStream(newStream(f))
}

func ioType(c *Call) error {
	if c.NArgs() == 0 {
		c.badArgument(1, 0, "value expected")
	}
	s, ok := c.l.ToUserData(1).(*stream)
	switch {
	case !ok:
		return c.Return(nil)
	case s.closed:
		return c.Return("closed file")
	}
	return c.Return("file")
}

// chooseStream is io.input and io.output.
func (c *Call) chooseStream(role, mode string) error {
	if !c.IsNil(1) {
		switch c.Type(1) {
		case "string", "number":
			c.opened(mode)
		default:
			c.stream(1)
			c.l.PushValue(1)
		}
		c.l.SetField(lua.RegistryIndex, role)
	}
	c.l.Field(lua.RegistryIndex, role)
	return c.multi(c.l.Top())
}

// opened pushes the file that argument 1 names.
func (c *Call) opened(mode string) {
	name := c.String(1)
	s, err := c.openNamed(name, mode)
	if err != nil {
		text, _ := reason(err)
		c.badArgument(1, 0, "%s: %s", name, text)
	}
	pushStream(c.l, s)
}

func ioClose(c *Call) error {
	if c.NArgs() == 0 {
		return c.closeStream(c.standardStream(ioOutput))
	}
	return c.closeStream(c.stream(1))
}

func (c *Call) closeStream(s *stream) error {
	if s.standard {
		return c.Return(nil, "cannot close standard file")
	}
	err := s.close()
	if s.child != nil {
		if err := c.awaitChild(s.child); err != nil {
			return err
		}
	}
	if err != nil {
		return c.failed(err, "")
	}
	return c.Return(true)
}

// awaitChild waits for the end of a command, which comes at the latest with the end
// of the time that it has.
func (c *Call) awaitChild(child *child) error {
	timer := time.AfterFunc(limits.LuaCommandTime, child.kill)
	defer timer.Stop()
	err := c.Wait(child.ended)
	if err != nil {
		child.kill()
	}
	return err
}

// outside does what may have to wait for somebody else. The machine serves what
// cannot wait meanwhile. fn touches no Lua value.
func (c *Call) outside(s *stream, fn func() error) error {
	if !s.slow {
		return fn()
	}
	limit := limits.LuaPipeTime
	if s.child != nil {
		limit = limits.LuaCommandTime
	}
	var (
		once        sync.Once
		done, early = make(chan struct{}), make(chan struct{})
		end         = func() { once.Do(func() { close(early) }) }
		err         error
	)
	timer := time.AfterFunc(limit, end)
	defer timer.Stop()
	c.vm.opts.Goroutines.Go("file of a script", func() {
		defer end()
		defer close(done)
		err = fn()
	})
	interrupt := c.Wait(early)
	select {
	case <-done:
	default:
		s.giveUp(done)
		if s.child != nil {
			s.child.kill()
		}
		err = errTime
	}
	if interrupt != nil {
		return interrupt
	}
	return err
}

// fetch does one read and returns what it gave; ok is false at the end of the file.
func fetch[T any](c *Call, s *stream, fn func(*bufio.Reader) (T, bool, error)) (v any, ok bool, err error) {
	in, err := s.readable()
	if err != nil {
		return nil, false, err
	}
	var got T
	err = c.outside(s, func() (err error) {
		got, ok, err = fn(in)
		return err
	})
	if errors.Is(err, errTooMuch) {
		c.Raise(Usage(errTooMuch.Error()))
	}
	return got, ok, err
}

// read reads what the arguments from first on say, a line if there are none.
func (c *Call) read(s *stream, first, shift int) error {
	results, err := c.readAll(s, first, shift)
	return c.gave(results, err)
}

// gave returns what was read, or the reason why nothing was.
func (c *Call) gave(results []any, err error) error {
	var i *Interrupt
	switch {
	case errors.As(err, &i):
		return err
	case err != nil:
		return c.failed(err, "")
	}
	return c.Return(results...)
}

func (c *Call) readAll(s *stream, first, shift int) (results []any, err error) {
	if c.NArgs() < first {
		line, ok, err := fetch(c, s, readLine)
		return []any{orNil(line, ok)}, err
	}
	for i := first; i <= c.NArgs(); i++ {
		v, ok, err := c.readOne(s, i, shift)
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
func (c *Call) readOne(s *stream, i, shift int) (v any, ok bool, err error) {
	if n, isNumber := c.l.ToValue(i).(float64); isNumber {
		return fetch(c, s, func(in *bufio.Reader) (string, bool, error) { return readOctets(in, octets(n)) })
	}
	format, _ := c.l.ToValue(i).(string)
	if format == "" || format[0] != '*' {
		c.badArgument(i, shift, "invalid option")
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
	c.badArgument(i, shift, "invalid format")
	return nil, false, nil
}

// octets is a number of octets as C takes it: one below 0 is very large.
func octets(n float64) int64 {
	if n < 0 || n > limits.LuaString {
		return limits.LuaString + 1
	}
	return int64(n)
}

// write writes the arguments from first on.
func (c *Call) write(s *stream, first, shift int) error {
	var failure error
	for i := first; i <= c.NArgs(); i++ {
		var text string
		switch v := c.l.ToValue(i).(type) {
		case string:
			text = v
		case float64:
			text = luavalue.FormatNumber(v)
		default:
			c.badArgument(i, shift, "string expected, got %s", c.Type(i))
		}
		err := c.outside(s, func() error { return s.write(text) })
		var interrupt *Interrupt
		if errors.As(err, &interrupt) {
			return err
		}
		if failure == nil {
			failure = err
		}
	}
	if failure != nil {
		return c.failed(failure, "")
	}
	return c.Return(true)
}

// choice is argument i of a method, one of a few words. absent "" demands it.
func (c *Call) choice(i int, absent string, words ...string) int {
	word := absent
	switch v := c.l.ToValue(i).(type) {
	case string:
		word = v
	case float64:
		word = luavalue.FormatNumber(v)
	default:
		if absent == "" || !c.IsNil(i) {
			c.badArgument(i, 1, "string expected, got %s", c.Type(i))
		}
	}
	for n, w := range words {
		if w == word {
			return n
		}
	}
	c.badArgument(i, 1, "invalid option '%s'", word)
	return 0
}

func streamSeek(c *Call) error {
	s := c.stream(1)
	whence := [...]int{io.SeekStart, io.SeekCurrent, io.SeekEnd}[c.choice(2, "cur", "set", "cur", "end")]
	offset := 0.0
	if !c.IsNil(3) {
		n, ok := c.l.ToNumber(3)
		if !ok {
			c.badArgument(3, 1, "number expected, got %s", c.Type(3))
		}
		offset = n
	}
	at, err := s.seek(int64(offset), whence)
	if err != nil {
		return c.failed(err, "")
	}
	return c.Return(at)
}

func ioLines(c *Call) error {
	if !c.IsNil(1) {
		c.opened("r")
		c.l.Replace(1)
		return c.lines(1, true)
	}
	c.standardStream(ioInput)
	c.l.SetTop(0)
	c.l.Field(lua.RegistryIndex, ioInput)
	return c.lines(1, false)
}

// lines returns an iterator over the lines of the file at i, which it closes at its
// end when it was opened for that.
func (c *Call) lines(i int, closes bool) error {
	s := c.l.ToUserData(i).(*stream)
	c.vm.pushFunc(c.l, Func{Name: "lines", Max: -1, Fn: func(c *Call) error {
		if s.closed {
			return Usage("file is already closed")
		}
		line, ok, err := fetch(c, s, readLine)
		var interrupt *Interrupt
		switch {
		case errors.As(err, &interrupt):
			return err
		case err != nil:
			text, _ := reason(err)
			return Usage(text)
		case ok:
			return c.Return(line)
		case closes:
			_ = s.close()
		}
		return c.Return(nil)
	}})
	return c.multi(c.l.Top())
}

// File is argument i, an open file of the library io that is more than a name for what
// the console shows.
func (c *Call) File(i int) *os.File {
	s := c.stream(i)
	if s.file == nil {
		c.badArgument(i, 0, "a standard stream is no file")
	}
	return s.file
}
