package bindings

import (
	"fmt"

	"kresd/internal/logging"
	"kresd/internal/resolve"
	"kresd/internal/script"
)

// installOptions makes the switches: option, mode, reorder_RR, verbose.
func installOptions(d *Daemon) {
	d.VM.Register(
		script.Func{Name: "verbose", Args: "[true | false]", Max: 1, Help: "whether every step of resolution is logged",
			Fn: func(c *script.Call) error {
				switch c.Type(1) {
				case "boolean":
					setVerbose(d, c.Bool(1))
				case "number":
					setVerbose(d, c.Number(1) != 0)
				}
				return c.Return(d.Log.DebugOn())
			}},
		script.Func{Name: "option", Args: "name[, true | false]", Min: 1, Max: 2, Help: "a switch of resolution for all requests, such as NO_MINIMIZE", Fn: option(d)},
		script.Func{Name: "mode", Args: "['strict' | 'normal' | 'permissive']", Max: 1, Help: "how strictly referrals are checked", Fn: mode(d)},
		script.Func{Name: "reorder_RR", Args: "[true | false]", Max: 1, Help: "whether records of a set are rotated in answers",
			Fn: func(c *script.Call) error { return flag(d, c, resolve.ReorderRR, 1) }},
	)
}

func setVerbose(d *Daemon, on bool) {
	level := logging.Notice
	if on {
		level = logging.Debug
	}
	d.Log.SetLevel(level)
}

func option(d *Daemon) func(c *script.Call) error {
	return func(c *script.Call) error {
		f, ok := resolve.FlagByName(c.String(1))
		if !ok {
			return fmt.Errorf("option: unknown option '%s'", c.String(1))
		}
		return flag(d, c, f, 2)
	}
}

// flag gets a flag, or sets it from argument i.
func flag(d *Daemon, c *script.Call, f resolve.Flags, i int) error {
	if !c.IsNil(i) {
		if c.Type(i) != "boolean" {
			c.TypeError(i, "boolean")
		}
		d.Settings.SetFlag(f, c.Bool(i))
		d.changed()
	}
	return c.Return(d.Settings.Flag(f))
}

var modes = map[string]resolve.Flags{"strict": resolve.Strict, "normal": 0, "permissive": resolve.Permissive}

func mode(d *Daemon) func(c *script.Call) error {
	return func(c *script.Call) error {
		if c.NArgs() == 0 {
			for name, f := range modes {
				if f != 0 && d.Settings.Flag(f) {
					return c.Return(name)
				}
			}
			return c.Return("normal")
		}
		f, ok := modes[c.String(1)]
		if !ok {
			return fmt.Errorf("mode: '%s' is not one of strict, normal, permissive", c.String(1))
		}
		d.Settings.SetFlag(resolve.Strict, f == resolve.Strict)
		d.Settings.SetFlag(resolve.Permissive, f == resolve.Permissive)
		return c.Return(true)
	}
}
