package options

import (
	"strings"

	"kresd/internal/dnslua/terms"
	"kresd/internal/logging"
	"kresd/internal/script"
	"kresd/internal/script/language"
)

// installLogLines makes the functions by which scripts for kresd 5 write lines of a
// group to the log.
func installLogLines(d *Host) {
	for name, at := range map[string]logging.Level{
		"log_debug": logging.Debug, "log_info": logging.Notice, "log_notice": logging.Notice, "log_warn": logging.Warn, "log_error": logging.Error,
	} {
		d.VM.Register(script.Func{Name: name, Args: "group, format, ...", Min: 2, Max: -1, Fn: logLine(d, at)})
	}
}

// logLine writes a line of a level. A line that nobody reads is not put together.
func logLine(d *Host, at logging.Level) func(c *script.Call) error {
	return func(c *script.Call) error {
		group := c.Text(1)
		if !terms.IsLogGroup(group) {
			c.ArgError(1, "a group expected, such as require('ffi').C.LOG_GRP_MODULE; log(format, …) takes none")
		}
		if alias := logGroupAliases()[group]; alias != "" {
			group = alias
		}
		l := d.Log.Group(group)
		switch at {
		case logging.Debug:
			if l.DebugOn() {
				l.Debug(line(c))
			}
		case logging.Notice:
			l.Notice(line(c))
		case logging.Warn:
			l.Warn(line(c))
		default:
			l.Error(line(c))
		}
		return nil
	}
}

// line is the text of a line, without the newline at its end that scripts for kresd give.
func line(c *script.Call) string { return strings.TrimSuffix(language.Format(c, 2), "\n") }
