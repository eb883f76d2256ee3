// Package options is how questions are resolved unless a rule says otherwise (option, mode,
// reorder_RR), and what is logged and where (verbose, log_level and the like, and the functions
// by which scripts write to the log).
package options

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kresd/internal/dnslua/terms"
	"kresd/internal/logging"
	"kresd/internal/luavalue"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/settings"
	"kresd/internal/wording"
)

// A Host is what the functions control.
type Host struct {
	VM       *script.VM
	Settings *settings.Settings
	Log      *logging.Logger
	// Changed is called after a setting was changed.
	Changed func()
}

// Install makes the functions.
func Install(d *Host) {
	installLogLines(d)
	d.VM.SetWords("group", logGroupNames)
	d.VM.Register(
		script.Func{Name: "verbose", Args: "[true | false]", Max: 1,
			Fn: func(c *script.Call) error {
				switch c.Type(1) {
				case "boolean":
					setVerbose(d, c.Bool(1))
				case "number":
					setVerbose(d, c.Int(1, 0, 1) != 0)
				case "no value", "nil":
				default:
					c.TypeError(1, "boolean")
				}
				return c.Return(d.Log.Level() == logging.Debug)
			}},
		script.Func{Name: "log_level", Args: "['debug' | 'info' | 'notice' | 'warning' | 'err' | 'crit']", Max: 1, Fn: logLevel(d)},
		script.Func{Name: "log_groups", Args: "[{ 'group', … }]", Max: 1, Fn: logGroups(d)},
		script.Func{Name: "log_target", Args: "['stdout' | 'stderr' | 'syslog']", Max: 1, Fn: logTarget(d)},
		script.Func{Name: "option", Args: "name[, true | false]", Min: 1, Max: 2, Fn: option(d)},
		script.Func{Name: "mode", Args: "['strict' | 'normal' | 'permissive']", Max: 1, Fn: mode(d)},
		script.Func{Name: "reorder_RR", Args: "[true | false]", Max: 1,
			Fn: func(c *script.Call) error { return optionOfAll(d, c, resolve.Options{VaryOrder: true}, 1) }},
	)
}

// A logName is a level of syslog and what it means here, where there are fewer.
type logName struct {
	name  string
	level logging.Level
}

// logNames are in rising order. The first of those with the same meaning is the
// one that is told.
func logNames() []logName {
	return []logName{
		{"debug", logging.Debug}, {"notice", logging.Notice}, {"info", logging.Notice}, {"warning", logging.Warn},
		{"err", logging.Error}, {"crit", logging.Error},
	}
}

// logLevel sets or tells how much is logged.
func logLevel(d *Host) func(c *script.Call) error {
	return func(c *script.Call) error {
		if c.NArgs() > 0 {
			name := c.Text(1)
			i := slices.IndexFunc(logNames(), func(n logName) bool { return n.name == name })
			if i < 0 {
				return fmt.Errorf("log_level: '%s' is not one of debug, info, notice, warning, err, crit", name)
			}
			d.Log.SetLevel(logNames()[i].level)
		}
		for _, n := range logNames() {
			if n.level == d.Log.Level() {
				return c.Return(n.name)
			}
		}
		return c.Return(nil)
	}
}

// logGroupNames are the groups that have debug lines.
func logGroupNames() []string {
	return []string{"system", "plan", "iter", "resl", "cache", "vldr", "nsre", "zcut", "poli", "serve_stale", "workarounds"}
}

// logGroupAliases are the names that kresd 5 has for groups; "" stands for a group
// that writes no debug lines here.
func logGroupAliases() map[string]string {
	names := map[string]string{
		"iterat": "iter", "resolv": "resl", "cach": "cache", "rc": "cache", "valdtr": "vldr", "select": "nsre", "zoncut": "zcut",
		"policy": "poli", "srvstl": "serve_stale",
	}
	for _, silent := range []string{
		"io", "net", "ta", "tasent", "tasign", "taupd", "tls", "gnutls", "tls_cl", "xdp", "doh", "dnssec", "hint", "cookies", "statis", "stat",
		"rebind", "worker", "wrkr", "daf", "timejm", "timesk", "graphi", "prefil", "primin", "wtchdg", "nsid", "dnstap", "http", "control",
		"module", "devel", "renum", "exterr", "rules",
	} {
		names[silent] = ""
	}
	return names
}

// logGroups sets or tells whose debug lines are written at any level.
func logGroups(d *Host) func(c *script.Call) error {
	return func(c *script.Call) error {
		if !c.IsNil(1) {
			groups, err := groupsOf(d, c)
			if err != nil {
				return err
			}
			d.Log.SetGroups(groups)
		}
		groups := &luavalue.Table{}
		for i, name := range d.Log.Groups() {
			groups.Add(float64(i+1), name)
		}
		return c.Return(groups)
	}
}

// groupsOf are the groups in the table that is argument 1, each once.
func groupsOf(d *Host, c *script.Call) ([]string, error) {
	var groups []string
	for _, p := range c.Table(1).Pairs {
		name, ok := p.Value.(string)
		if _, listed := p.Key.(float64); !ok || !listed {
			return nil, errors.New("log_groups: a list of names of groups expected, such as { 'cache', 'iter' }")
		}
		if alias, known := logGroupAliases()[name]; known && alias == "" {
			d.Log.Warn(fmt.Sprintf("%slog_groups: the group '%s' is not in this version; it has no lines", c.Position(), name))
			continue
		} else if known {
			name = alias
		}
		if !slices.Contains(logGroupNames(), name) {
			return nil, fmt.Errorf("log_groups: '%s' is not one of %s", wording.Printable(name), strings.Join(logGroupNames(), ", "))
		}
		if !slices.Contains(groups, name) {
			groups = append(groups, name)
		}
	}
	return groups, nil
}

// logTarget sets or tells where the log goes.
func logTarget(d *Host) func(c *script.Call) error {
	return func(c *script.Call) error {
		if !c.IsNil(1) {
			target := logging.Target(c.Text(1))
			switch target {
			case logging.Stdout, logging.Stderr, logging.Syslog:
			default:
				return fmt.Errorf("log_target: '%s' is not one of stdout, stderr, syslog", wording.Printable(string(target)))
			}
			if err := d.Log.SetTarget(target); err != nil {
				return fmt.Errorf("log_target: %w", err)
			}
		}
		return c.Return(string(d.Log.Target()))
	}
}

func setVerbose(d *Host, on bool) {
	level := logging.Notice
	if on {
		level = logging.Debug
	}
	d.Log.SetLevel(level)
}

func option(d *Host) func(c *script.Call) error {
	return func(c *script.Call) error {
		o, ok := terms.OptionByName(c.Text(1))
		if !ok {
			return fmt.Errorf("option: unknown option '%s'", c.String(1))
		}
		return optionOfAll(d, c, o, 2)
	}
}

// optionOfAll gets an option of all requests, or sets it from argument i.
func optionOfAll(d *Host, c *script.Call, o resolve.Options, i int) error {
	if !c.IsNil(i) {
		if v := c.Arg(i); c.Type(i) == "number" || c.Type(i) == "string" {
			c.ArgError(i, "boolean expected, got '%v'", v)
		}
		on := c.Bool(i)
		d.Settings.Change(func(all *resolve.Options) { terms.Turn(all, o, on) })
		d.Changed()
	}
	return c.Return(o.Within(d.Settings.Options()))
}

func mode(d *Host) func(c *script.Call) error {
	return func(c *script.Call) error {
		if c.NArgs() == 0 {
			return c.Return(currentMode(d))
		}
		name := c.Text(1)
		switch name {
		case "strict", "normal", "permissive":
		default:
			return fmt.Errorf("mode: '%s' is not one of strict, normal, permissive", name)
		}
		d.Settings.Change(func(all *resolve.Options) { all.Strict, all.Permissive = name == "strict", name == "permissive" })
		d.Changed()
		return c.Return(true)
	}
}

// currentMode is the mode's name. Both flags can be set by option(); strict is
// what such requests are then.
func currentMode(d *Host) string {
	switch all := d.Settings.Options(); {
	case all.Strict:
		return "strict"
	case all.Permissive:
		return "permissive"
	}
	return "normal"
}
