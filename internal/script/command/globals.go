package command

import (
	"strings"

	"kresd/internal/script"
	"kresd/internal/script/language"
)

// addGlobals defines what this package gives to scripts by itself.
func (in *Interpreter) addGlobals() {
	in.Register(
		script.Func{Name: "help", Args: "[name]", Max: 1, Fn: in.help},
		script.Func{Name: "tojson", Args: "value", Min: 1, Max: 1, Fn: toJSON},
		script.Func{Name: "fromjson", Args: "text", Min: 1, Max: 1, Fn: fromJSON},
		script.Func{Name: "table_print", Args: "value", Max: 1, Fn: in.tablePrint},
		script.Func{Name: "print", Args: "...", Max: -1, Fn: printValues},
		script.Func{Name: "log", Args: "format, ...", Min: 1, Fn: logLine},
		script.Func{Name: "warn", Args: "format, ...", Min: 1, Fn: warnLine},
		script.Func{Name: "panic", Args: "format, ...", Min: 1, Fn: panicLine},
		script.Func{Name: "eval_cmd", Args: "text[, raw]", Min: 1, Max: 2, Fn: in.evalCmd},
	)
	for _, u := range units {
		in.SetGlobal(u.name, u.value)
	}
	in.SetGlobal("_VERSION", "Lua 5.1")
	in.RegisterObject(in.Environment())
}

// units are the constants for sizes in octets and times in milliseconds.
var units = []struct {
	name  string
	value int
}{
	{"kB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30},
	{"sec", 1000}, {"second", 1000}, {"minute", 60_000}, {"min", 60_000}, {"hour", 3_600_000}, {"day", 86_400_000},
}

func (in *Interpreter) tablePrint(c *script.Call) error {
	return c.Return(in.Shown(c.Stack(), 1))
}

// printValues writes its arguments as tostring shows them, with tabs between.
func printValues(c *script.Call) error {
	var b strings.Builder
	for i := 1; i <= c.NArgs(); i++ {
		if i > 1 {
			b.WriteByte('\t')
		}
		b.WriteString(language.Displayed(c.Stack(), i))
	}
	b.WriteByte('\n')
	return c.VM().Write(b.String())
}

func logLine(c *script.Call) error {
	return c.VM().Note(language.Format(c, 1))
}

func warnLine(c *script.Call) error {
	return c.VM().Warn(language.Format(c, 1))
}

func panicLine(c *script.Call) error {
	c.Raise(script.Usage(script.ErrorWord + language.Format(c, 1)))
	return nil
}
