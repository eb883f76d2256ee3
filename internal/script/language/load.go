package language

import (
	"errors"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script"
	"kresd/internal/script/source"
)

// loadFuncs compile text. Bytecode, which can break the machine, is refused.
var loadFuncs = []script.Func{
	{Name: "load", Args: "function or text[, name[, mode[, environment]]]", Min: 1, Max: 4, Fn: baseLoad},
	{Name: "loadstring", Args: "text[, name]", Min: 1, Max: 2, Fn: baseLoad},
	{Name: "loadfile", Args: "path", Min: 1, Max: 3, Fn: baseLoadfile},
	{Name: "dofile", Args: "path", Min: 1, Max: 1, Fn: baseDofile},
}

func baseLoad(c *script.Call) error {
	var text string
	if c.Stack().TypeOf(1) == lua.TypeFunction {
		var err error
		if text, err = readPieces(c); err != nil {
			return compiled(c, err, 0)
		}
	} else {
		text = c.String(1)
	}
	name := source.CommandChunk(text)
	if !c.IsNil(2) {
		name = c.String(2)
		if !strings.HasPrefix(name, "@") && !strings.HasPrefix(name, "=") {
			name = source.CommandChunk(name)
		}
		name = name[:min(len(name), 59)]
	}
	return compiled(c, c.VM().Load(c.Stack(), text, name), 4)
}

// readPieces calls a reader until it returns nil or "". The text is complete before it
// is compiled. An error in the reader is one of load's; the end of the evaluation is not.
func readPieces(c *script.Call) (string, error) {
	var b strings.Builder
	for {
		c.Stack().PushValue(1)
		if err := c.VM().Machine().ProtectedCall(c.Stack(), 0, 1, 0); err != nil {
			var i *script.Interrupt
			if errors.As(err, &i) {
				panic(i)
			}
			return "", err
		}
		piece, ok := c.Stack().ToValue(-1).(string)
		if !ok && !c.Stack().IsNil(-1) {
			return "", script.Usage("reader function must return a string")
		}
		c.Stack().Pop(1)
		if piece == "" {
			return b.String(), nil
		}
		c.TooLong(b.Len() + len(piece))
		b.WriteString(piece)
	}
}

// compiled returns the function on top of the stack, with the environment in
// argument env if there is one, or nil and the message.
func compiled(c *script.Call, err error, env int) error {
	if err != nil {
		return c.Return(nil, err.Error())
	}
	if env <= c.NArgs() {
		c.Stack().PushValue(env)
		lua.SetUpValue(c.Stack(), -2, 1)
	}
	return c.ReturnFrom(c.Stack().Top())
}

func baseLoadfile(c *script.Call) error {
	return compiled(c, c.VM().LoadFile(c.Stack(), c.String(1)), 3)
}

func baseDofile(c *script.Call) error {
	if err := c.VM().LoadFile(c.Stack(), c.String(1)); err != nil {
		return err
	}
	c.Stack().Call(0, lua.MultipleReturns)
	return c.ReturnFrom(2)
}
