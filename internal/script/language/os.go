package language

import (
	"errors"
	"math"
	"os"
	"strings"
	"syscall"
	"time"

	"kresd/internal/luavalue"
	"kresd/internal/script"
)

var osFuncs = []script.Func{
	{Name: "date", Args: "[format[, time]]", Max: 2, Fn: osDate},
	{Name: "time", Args: "[table]", Max: 1, Fn: osTime},
	{Name: "getenv", Args: "name", Min: 1, Max: 1, Fn: osGetenv},
	{Name: "difftime", Args: "later, earlier", Min: 1, Max: 2, Fn: osDifftime},
	{Name: "execute", Args: "[command]", Max: 1, Fn: osExecute},
	{Name: "exit", Args: "[status]", Max: 1, Fn: osExit},
	{Name: "remove", Args: "path", Min: 1, Max: 1, Fn: osRemove},
	{Name: "rename", Args: "from, to", Min: 2, Max: 2, Fn: osRename},
	{Name: "setlocale", Args: "[locale[, category]]", Max: 2, Fn: osSetlocale},
	{Name: "tmpname", Max: 0, Fn: osTmpname},
}

func osGetenv(c *script.Call) error {
	if v, ok := c.VM().Options().Getenv(c.String(1)); ok {
		return c.Return(v)
	}
	return c.Return(nil)
}

func osDifftime(c *script.Call) error {
	earlier := 0.0
	if !c.IsNil(2) {
		earlier = c.Number(2)
	}
	return c.Return(c.Number(1) - earlier)
}

// osTime returns the seconds since 1970, now or of a date in local time.
func osTime(c *script.Call) error {
	if c.IsNil(1) {
		return c.Return(c.VM().Options().Clock.Unix())
	}
	c.NeedTable(1)
	field := func(name string, absent int) int {
		c.Stack().Field(1, name)
		n, ok := c.Stack().ToNumber(-1)
		c.Stack().Pop(1)
		if ok {
			return int(n)
		}
		if absent < 0 {
			c.Raise(script.Usage("field '" + name + "' missing in date table"))
		}
		return absent
	}
	day, month, year := field("day", -1), time.Month(field("month", -1)), field("year", -1)
	t := time.Date(year, month, day, field("hour", 12), field("min", 0), field("sec", 0), 0, time.Local)
	return c.Return(t.Unix())
}

// osDate formats a time as C's strftime does in the C locale; the format *t
// gives a table, and a leading ! means UTC.
func osDate(c *script.Call) error {
	format := c.OptString(1, "%c")
	at := c.VM().Options().Clock.Now()
	if !c.IsNil(2) {
		s := c.Number(2)
		if math.IsNaN(s) || math.Abs(s) > 1<<40 {
			c.ArgError(2, "time out of range")
		}
		at = time.Unix(int64(s), 0)
	}
	at = at.Local()
	if rest, ok := strings.CutPrefix(format, "!"); ok {
		format, at = rest, at.UTC()
	}
	if strings.HasPrefix(format, "*t") {
		return c.Return(dateTable(at))
	}
	return c.Return(strftime(format, at))
}

func dateTable(t time.Time) *luavalue.Table {
	return (&luavalue.Table{}).Add("year", t.Year()).Add("month", int(t.Month())).Add("day", t.Day()).
		Add("hour", t.Hour()).Add("min", t.Minute()).Add("sec", t.Second()).
		Add("wday", int(t.Weekday())+1).Add("yday", t.YearDay()).Add("isdst", t.IsDST())
}

// osExecute is C's system: the status of a command, or 1 for the question whether
// there is a shell.
func osExecute(c *script.Call) error {
	if c.IsNil(1) {
		return c.Return(1)
	}
	if c.Withheld("the command '%s' was not run", c.String(1)) {
		return c.Return(0)
	}
	child, err := startCommand(c.VM(), c.String(1), nil, nil)
	if errors.Is(err, syscall.ENOENT) {
		return c.Return(127 << 8)
	}
	if err != nil {
		return c.Return(-1)
	}
	if err := awaitChild(c, child); err != nil {
		return err
	}
	return c.Return(child.status())
}

// osExit ends the process, in order: what was written before is out, sockets and the
// cache are closed. No code runs after it.
func osExit(c *script.Call) error {
	status := 0
	switch v := c.Stack().ToValue(1).(type) {
	case bool: // of LuaJIT
		if !v {
			status = 1
		}
	default:
		if !c.IsNil(1) {
			status = int(c.Number(1))
		}
	}
	if c.VM().Options().Exit == nil {
		return script.Usage("there is no process to end here")
	}
	c.VM().Options().Exit(status & 0xff)
	return c.VM().Machine().Exit()
}

func osRemove(c *script.Call) error {
	path := c.String(1)
	if c.Withheld("'%s' was not removed", path) {
		return c.Return(true)
	}
	return done(c, os.Remove(path), path)
}

func osRename(c *script.Call) error {
	from, to := c.String(1), c.String(2)
	if c.Withheld("'%s' was not renamed to '%s'", from, to) {
		return c.Return(true)
	}
	return done(c, os.Rename(from, to), from)
}

// done returns true, or what prevented a change of the named file.
func done(c *script.Call, err error, name string) error {
	if err != nil {
		return failed(c, err, name)
	}
	return c.Return(true)
}

// osSetlocale knows the locale C alone.
func osSetlocale(c *script.Call) error {
	switch c.OptString(1, "C") {
	case "", "C", "POSIX":
		return c.Return("C")
	}
	return c.Return(nil)
}

func osTmpname(c *script.Call) error {
	if c.Withheld("no file was made for os.tmpname()") {
		return c.Return(unmadeName())
	}
	f, err := os.CreateTemp("", "lua_")
	if err != nil {
		return script.Usage("unable to generate a unique filename")
	}
	defer f.Close()
	return c.Return(f.Name())
}
