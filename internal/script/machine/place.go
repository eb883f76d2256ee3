package machine

import (
	"fmt"
	"strings"

	lua "github.com/Shopify/go-lua"
)

// Position is "name:line: " of the innermost Lua code, or "".
func Position(l *lua.State) string {
	return Located(Innermost(l))
}

// CallerPosition is Position of what called the function that runs, or "" when that
// is not Lua code.
func CallerPosition(l *lua.State) string { return Located(caller(l)) }

// Located is the place of what runs as a message begins with it, "name:line: ", or "".
func Located(d lua.Debug, ok bool) string {
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s:%d: ", d.ShortSource, d.CurrentLine)
}

// FilePosition is Position for code in a file and "" for commands.
func FilePosition(l *lua.State) string {
	if d, ok := Innermost(l); ok && strings.HasPrefix(d.Source, "@") {
		return Position(l)
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

// Innermost is the Lua code that runs.
func Innermost(l *lua.State) (d lua.Debug, ok bool) {
	for level := 0; ; level++ {
		f, ok := lua.Stack(l, level)
		if !ok {
			return lua.Debug{}, false
		}
		if d = FrameInfo(l, "Sl", f); d.CurrentLine > 0 {
			return d, true
		}
	}
}

// FrameInfo is lua.Info also where a function is at its very first instruction, as in
// the count hook, where the machine looks for the line of the one before.
func FrameInfo(l *lua.State, what string, f lua.Frame) (d lua.Debug) {
	defer func() {
		if recover() != nil {
			d, _ = lua.Info(l, "S", f)
			d.CurrentLine = d.LineDefined
		}
	}()
	d, _ = lua.Info(l, what, f)
	return d
}

// Traceback is where the code of a stack stands, as lines to put behind a message.
// It only looks at the stack, so that the machine's count hook may call it.
func Traceback(l *lua.State, level int) string {
	const most = 20
	var b strings.Builder
	b.WriteString("\nstack traceback:")
	for n := 0; ; level++ {
		f, ok := lua.Stack(l, level)
		if !ok {
			return b.String()
		}
		d := FrameInfo(l, "Sln", f)
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
