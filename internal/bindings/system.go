package bindings

import (
	"errors"
	"fmt"
	"os"

	"kresd/internal/dnsname"
	"kresd/internal/script"
	"kresd/internal/version"
)

// installSystem makes the single functions about the process and its host.
func installSystem(d *Daemon) {
	var given string // the host name that the operator set
	modules := d.ModuleDir
	d.VM.Register(
		script.Func{Name: "quit", Max: 0, Help: "end this process",
			Fn: func(c *script.Call) error { d.Process.Quit(); return c.Return() }},
		script.Func{Name: "package_version", Max: 0, Help: "version of this program",
			Fn: func(c *script.Call) error { return c.Return(version.String()) }},
		script.Func{Name: "hostname", Args: "[fqdn]", Max: 1, Help: "name of this host, or set the one that is used",
			Fn: func(c *script.Call) error {
				if c.NArgs() > 0 {
					if c.Type(1) != "string" {
						c.TypeError(1, "string")
					}
					given = c.String(1)
				}
				if given != "" {
					return c.Return(given)
				}
				name, err := os.Hostname()
				if err != nil {
					return err
				}
				return c.Return(name)
			}},
		script.Func{Name: "moduledir", Args: "[path]", Max: 1, Help: "directory of modules, also searched by require()",
			Fn: func(c *script.Call) error {
				if c.NArgs() > 0 {
					modules = c.String(1)
					d.VM.SetModuleDir(modules)
				}
				return c.Return(modules)
			}},
		script.Func{Name: "todname", Args: "name", Min: 1, Max: 1, Help: "a name in wire form; nil for what is no name",
			Fn: func(c *script.Call) error {
				if c.Type(1) != "string" {
					return c.Return(nil)
				}
				n, err := dnsname.Parse(c.String(1))
				if err != nil {
					return c.Return(nil)
				}
				return c.Return(string(n))
			}},
		script.Func{Name: "user", Args: "name[, group]", Min: 1, Max: 2, Help: "give up privileges: run as this user from now on; addresses are bound first, open the cache after it",
			Fn: func(c *script.Call) error {
				if err := d.Process.BeforeUser(); err != nil {
					return err
				}
				if err := becomeUser(c.String(1), c.OptString(2, "")); err != nil {
					return err
				}
				return c.Return(true)
			}},
	)
}

// becomeUser changes to another user, and group if one is named: group first,
// because afterwards it would not be allowed.
func becomeUser(name, group string) error {
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
	if err := switchTo(uid, gid, gids); err != nil {
		return fmt.Errorf("%s", capitalised(err))
	}
	return nil
}
