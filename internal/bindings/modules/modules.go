// Package modules is the global modules, and the globals of the modules that are loaded: those
// that are built in show their functions, those in Lua are the tables that scripts return
// (package lualayer). What other versions have and this one lacks is told with what to use
// instead.
package modules

import (
	"errors"
	"fmt"
	"strings"

	"kresd/internal/dnslua/requests"
	"kresd/internal/logging"
	"kresd/internal/lualayer"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/safe"
	"kresd/internal/script"
)

// A Host is what the global controls.
type Host struct {
	VM    *script.VM
	Chain *module.Chain
	Log   *logging.Logger
	Group *safe.Group
	// Own are the objects of modules that scripts use in more ways than as functions over
	// plain values.
	Own map[string]func() script.Object
}

// Install makes the global modules, and those of the modules that are loaded.
func Install(d *Host, views *requests.Views) {
	m := &modules{d: d, shown: map[string]bool{}, inLua: map[string]bool{}}
	m.lua = &lualayer.Loader{VM: d.VM, Views: views, Tasks: d.Group, Warn: func(line string) { d.Log.Warn(line) }}
	d.VM.RegisterObject(script.Object{
		Name:      "modules",
		Protected: true,
		Funcs: []script.Func{
			{Name: "list", Max: 0,
				Fn: func(c *script.Call) error { return c.Return(d.Chain.Names()) }},
			{Name: "load", Args: "'name[ > other | < other]'", Min: 1, Max: 1,
				Fn: func(c *script.Call) error {
					name, err := m.loadOrPass(c, c.Text(1))
					if err != nil {
						return err
					}
					return c.Return(d.Chain.Instance(name) != nil)
				}},
			{Name: "unload", Args: "name", Min: 1, Max: 1,
				Fn: func(c *script.Call) error {
					if err := m.unload(c.Text(1)); err != nil {
						return err
					}
					return c.Return(true)
				}},
		},
		Assign: m.assign,
	})
	d.VM.SetAbsent(Lacking())
	d.VM.SetWords("module", d.Chain.Known)
	d.VM.SetWords("loaded", d.Chain.Names)
	for _, name := range d.Chain.Names() {
		m.expose(name)
	}
}

// modules makes loaded modules visible to scripts.
type modules struct {
	d     *Host
	lua   *lualayer.Loader
	shown map[string]bool // names that are globals for their module
	inLua map[string]bool // modules that are written in Lua
}

func (m *modules) load(declaration string) (string, error) {
	name, err := m.d.Chain.Load(declaration)
	if errors.Is(err, module.ErrUnknown) {
		return name, m.loadLua(declaration, name, err)
	}
	if err != nil {
		m.hide(name)
		return name, err
	}
	m.expose(name)
	if file, _ := m.d.VM.ModuleFile(name); file != "" && !strings.HasPrefix(file, "/usr/") {
		m.d.Log.Warn(fmt.Sprintf("module '%s' is built in; %s is not used", name, file))
	}
	return name, nil
}

// loadOrPass loads a module, or lets a configuration go on without one that other versions
// have and that changes nothing of what clients are told.
func (m *modules) loadOrPass(c *script.Call, declaration string) (name string, err error) {
	name, err = m.load(declaration)
	lacking := absentModules()[name]
	if !errors.As(err, new(absentError)) || !lacking.spare || !c.Within(script.Config) {
		return name, err
	}
	m.d.Log.Warn(c.Position() + lacking.sentence(name) + "; the configuration goes on without it")
	m.d.VM.RegisterObject(lacking.standIn(name))
	m.shown[name] = true
	return name, nil
}

// loadLua loads a module that is not built in, which err says. Its global is the table
// of the script.
func (m *modules) loadLua(declaration, name string, err error) error {
	src, tried, found := m.lua.Find(name)
	switch {
	case !found && Absent(name):
		return absentError{absentModules()[name].sentence(name)}
	case !found:
		return fmt.Errorf("%w; looked for %s", err, script.Places(name, tried))
	case !m.inLua[name] && m.d.VM.Registered(name):
		return fmt.Errorf("module '%s' in %s cannot be loaded: its global would take the place of '%s', which is part of the program; give the file another name", name, src.File, name)
	}
	err = m.d.Chain.LoadOther(declaration, m.lua.Module(src))
	m.inLua[name] = m.d.Chain.Instance(name) != nil
	if m.shown[name] = m.inLua[name]; !m.shown[name] {
		m.hide(name)
	}
	return err
}

// unload unloads a module. One that this version lacks, or has not loaded where others have, is
// as good as unloaded.
func (m *modules) unload(name string) error {
	if (Absent(name) || loadedElsewhere(name)) && m.d.Chain.Instance(name) == nil {
		m.hide(name)
		return nil
	}
	if err := m.d.Chain.Unload(name); err != nil {
		return err
	}
	m.hide(name)
	return nil
}

// hide removes the global of a module that is not loaded any more, because it
// was unloaded or could not be loaded again. The core's globals stay.
func (m *modules) hide(name string) {
	if m.shown[name] && m.d.Chain.Instance(name) == nil {
		m.d.VM.Unregister(name)
		delete(m.shown, name)
		delete(m.inLua, name)
	}
}

// assign serves one entry of modules = { 'a', 'b > a', c = options }.
func (m *modules) assign(c *script.Call, key any) (bool, error) {
	declaration, given := "", false
	switch k := key.(type) {
	case float64:
		if c.Type(1) != "string" {
			c.TypeError(1, "name of a module")
		}
		declaration = c.String(1)
	case string:
		declaration, given = k, !c.IsNil(1)
	default:
		return false, nil
	}
	name, err := m.loadOrPass(c, declaration)
	if err != nil {
		return true, err
	}
	inst := m.d.Chain.Instance(name)
	switch {
	case inst == nil: // the configuration goes on without it
	case inst.Config != nil:
		if err := inst.Config(m.options(c, name, given)); err != nil {
			return true, fmt.Errorf("module '%s': %w", name, err)
		}
	case given:
		m.d.Log.Warn(fmt.Sprintf("%smodule '%s' takes no options; they were ignored", c.Position(), name))
	}
	return true, nil
}

// options are those that were assigned to a module, nil where none were. A script gets
// the very value that was written.
func (m *modules) options(c *script.Call, name string, given bool) any {
	switch {
	case !given:
		return nil
	case m.inLua[name]:
		return c.Ref(1)
	}
	return c.Arg(1)
}

// expose makes the module's global. A module without functions is still a
// global, so that scripts can tell whether it is loaded; the core's globals keep
// their names.
func (m *modules) expose(name string) {
	inst := m.d.Chain.Instance(name)
	if name == "cache" {
		return
	}
	if object := m.d.Own[name]; object != nil {
		m.show(object())
		return
	}
	o := script.Object{Name: name, Protected: true, Index: index(inst), Assign: set(inst)}
	if m.d.VM.Book().Find(name) == nil {
		o.Help = "a module"
	}
	for _, f := range inst.Functions {
		o.Funcs = append(o.Funcs, script.Func{Name: f.Name, Args: f.Args, Min: f.Min, Max: f.Max, Fn: m.call(name, f)})
	}
	for _, key := range inst.Options {
		o.Fields = append(o.Fields, script.Field{Name: key,
			Get: func(*script.Call) (any, error) { return inst.Get(key) },
			Set: func(c *script.Call) error { return inst.Set(key, c.Arg(1)) },
		})
	}
	if inst.Config != nil {
		o.Funcs = append(o.Funcs, script.Func{Name: "config", Args: "[options]", Max: 1,
			Fn: func(c *script.Call) error {
				if err := inst.Config(c.Arg(1)); err != nil {
					return fmt.Errorf("%s.config: %w", name, err)
				}
				return nil
			}})
	}
	m.show(o)
}

// show makes the global of a built-in module, which scripts also have by require, as in
// versions whose modules are files.
func (m *modules) show(o script.Object) {
	m.d.VM.RegisterObject(o)
	m.d.VM.Preload(lualayer.Namespace+o.Name, o.Name)
	m.shown[o.Name] = true
}

func (m *modules) call(of string, f module.Function) func(c *script.Call) error {
	return func(c *script.Call) error {
		args := make([]any, c.NArgs())
		for i := range args {
			args[i] = c.Arg(i + 1)
		}
		results, err := f.Fn(args)
		if bad := new(module.ArgError); errors.As(err, &bad) {
			return fmt.Errorf("%s.%s: %w", of, f.Name, err)
		} else if err != nil {
			return err
		}
		if len(results) > 0 && c.Within(script.Config) {
			m.tellRefusal(c.Position()+of+"."+f.Name, results)
		}
		return c.Return(results...)
	}
}

// tellRefusal writes to the log that a function returned { result = false }, which
// a console shows and a configuration file would pass over in silence. The reason is
// the field error, or the second value.
func (m *modules) tellRefusal(where string, results []any) {
	t, ok := results[0].(*luavalue.Table)
	if !ok || t.Get("result") != false {
		return
	}
	why := "it was refused"
	if text, ok := t.Get("error").(string); ok {
		why = text
	} else if text, ok := results[len(results)-1].(string); ok {
		why = text
	}
	m.d.Log.Warn(where + ": " + why)
}

func index(inst *module.Instance) func(*script.Call, any) any {
	return func(c *script.Call, key any) any {
		name, ok := key.(string)
		if !ok || inst.Get == nil {
			return nil
		}
		v, err := inst.Get(name)
		if err != nil {
			c.Raise(err)
		}
		return v
	}
}

func set(inst *module.Instance) func(*script.Call, any) (bool, error) {
	return func(c *script.Call, key any) (bool, error) {
		name, ok := key.(string)
		if !ok || inst.Set == nil {
			return false, nil
		}
		return true, inst.Set(name, c.Arg(1))
	}
}
