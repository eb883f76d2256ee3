package bindings

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"kresd/internal/bindings/caching"
	"kresd/internal/dnslua/requests"
	"kresd/internal/dnsname"
	"kresd/internal/script"
	"kresd/internal/version"
	"kresd/internal/wording"
)

// installSystem makes the single functions about the process and its host.
func installSystem(d *Daemon, cache *caching.Caching, views *requests.Views) {
	modules := d.ModuleDir
	d.VM.Register(
		script.Func{Name: "quit", Max: 0,
			Fn: func(c *script.Call) error { d.Process.Quit(); return c.Return() }},
		script.Func{Name: "package_version", Max: 0,
			Fn: func(c *script.Call) error { return c.Return(version.String()) }},
		script.Func{Name: "hostname", Args: "[fqdn]", Max: 1,
			Fn: func(c *script.Call) error {
				if c.NArgs() > 0 {
					given := c.Text(1)
					if _, err := dnsname.Parse(given); err != nil && given != "" {
						c.ArgError(1, "'%s' is no name: %v", wording.Printable(given), err)
					}
					d.Settings.Hostname.Store(&given)
				}
				if given := d.Settings.Hostname.Load(); given != nil && *given != "" {
					return c.Return(*given)
				}
				name, err := os.Hostname()
				if err != nil {
					return err
				}
				return c.Return(name)
			}},
		script.Func{Name: "moduledir", Args: "[path]", Max: 1,
			Fn: func(c *script.Call) error {
				if c.NArgs() > 0 {
					modules = c.Text(1)
					d.VM.SetModuleDir(modules)
				}
				return c.Return(modules)
			}},
		script.Func{Name: "todname", Args: "name", Min: 1, Max: 1, Fn: views.Refused.ToWire},
		script.Func{Name: "user", Args: "name[, group]", Min: 1, Max: 2,
			Fn: func(c *script.Call) error {
				name, group := c.Text(1), ""
				if !c.IsNil(2) {
					group = c.Text(2)
				}
				before := os.Geteuid()
				if err := becomeUser(d.Process, name, group); err != nil {
					return err
				}
				if d.Cache.IsOpen() && os.Geteuid() != before && d.Process.ID() == 0 {
					if what := d.Cache.ToChown(os.Geteuid()); what != "" {
						d.Log.Warn(cacheBeforeUser(cache.Opened, c.Position(), name, what, before))
					}
				}
				return c.Return(true)
			}},
	)
}

// cacheBeforeUser warns of a cache whose files another user cannot open at the
// next start. The places are "file:line: ", or "" on a console.
func cacheBeforeUser(opened, changed, name, what string, owner int) string {
	line := "line"
	if at := strings.TrimSuffix(opened, ": "); at != "" {
		line = "line " + at
	}
	return fmt.Sprintf("%sthe cache is open already, and its files belong to user %d: move the %s, which opens it, below user('%s'), and chown %s to %s, or a cache that is opened after user() cannot be opened",
		changed, owner, line, name, what, name)
}

// becomeUser changes to another user, and group if one is named. Names are
// looked up before anything happens.
func becomeUser(p Process, name, group string) error {
	uid, gids, err := lookupUser(name)
	if err != nil {
		return errors.New("invalid user name")
	}
	gid := -1
	if group != "" {
		if gid, err = lookupGroup(group); err != nil {
			return errors.New("invalid group name")
		}
	}
	return p.Become(uid, gid, gids)
}
