package bindings

import (
	"errors"
	"fmt"
	"slices"

	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/script"
)

// installModules makes the global modules. Modules that scripts use in more ways
// than as functions over plain values have objects of their own.
func installModules(d *Daemon, own map[string]func() script.Object) {
	m := &modules{d: d, own: own, shown: map[string]bool{}}
	d.VM.RegisterObject(script.Object{
		Name:      "modules",
		Help:      "loaded modules; modules = { 'hints > iterate', name = options } loads and configures",
		Protected: true,
		Funcs: funcs(
			script.Func{Name: "list", Max: 0, Help: "loaded modules in the order in which they are called",
				Fn: func(c *script.Call) error { return c.Return(d.Chain.Names()) }},
			script.Func{Name: "load", Args: "'name[ > other | < other]'", Min: 1, Max: 1, Help: "load a module at the end, after or before another one",
				Fn: func(c *script.Call) error {
					if _, err := m.load(c.Text(1)); err != nil {
						return err
					}
					return c.Return(true)
				}},
			script.Func{Name: "unload", Args: "name", Min: 1, Max: 1, Help: "unload a module",
				Fn: func(c *script.Call) error {
					if err := m.unload(c.Text(1)); err != nil {
						return err
					}
					return c.Return(true)
				}},
		),
		Assign: m.assign,
	})
	d.VM.SetWords("module", d.Chain.Known)
	d.VM.SetWords("loaded", d.Chain.Names)
	for _, name := range d.Chain.Names() {
		m.expose(name)
	}
}

// modules makes loaded modules visible to scripts.
type modules struct {
	d     *Daemon
	own   map[string]func() script.Object
	shown map[string]bool // names that are globals for their module
}

func (m *modules) load(declaration string) (string, error) {
	name, err := m.d.Chain.Load(declaration)
	if err != nil {
		m.hide(name)
		if !slices.Contains(m.d.Chain.Known(), name) && AbsentModule(name) {
			err = errors.New(absentModule(name))
		} else if errors.Is(err, module.ErrUnknown) {
			err = m.unknown(name, err)
		}
		return name, err
	}
	m.expose(name)
	return name, nil
}

// unknown says of a module that is not built in where its file was looked for, or
// that the file is there and cannot be used.
func (m *modules) unknown(name string, err error) error {
	if name == "" {
		return err
	}
	file, tried := m.d.VM.ModuleFile(name)
	if file != "" {
		return fmt.Errorf("module '%s' is written in Lua, in %s: modules in Lua are not in this version", name, file)
	}
	return fmt.Errorf("%w; looked for %s", err, script.Places(name, tried))
}

func (m *modules) unload(name string) error {
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
	}
}

// assign serves one entry of modules = { 'a', 'b > a', c = options }.
func (m *modules) assign(c *script.Call, key any) (bool, error) {
	declaration, options := "", any(nil)
	switch k := key.(type) {
	case float64:
		if c.Type(1) != "string" {
			c.TypeError(1, "name of a module")
		}
		declaration = c.String(1)
	case string:
		declaration, options = k, c.Arg(1)
	default:
		return false, nil
	}
	name, err := m.load(declaration)
	if err != nil {
		return true, err
	}
	inst := m.d.Chain.Instance(name)
	if inst.Config != nil {
		if err := inst.Config(options); err != nil {
			return true, fmt.Errorf("module '%s': %w", name, err)
		}
	} else if options != nil {
		m.d.Log.Warn(fmt.Sprintf("%smodule '%s' takes no options; they were ignored", c.Position(), name))
	}
	return true, nil
}

// expose makes the module's global. A module without functions is still a
// global, so that scripts can tell whether it is loaded; the core's globals keep
// their names.
func (m *modules) expose(name string) {
	inst := m.d.Chain.Instance(name)
	if name == "cache" {
		return
	}
	if object := m.own[name]; object != nil {
		m.d.VM.RegisterObject(object())
		m.shown[name] = true
		return
	}
	o := script.Object{Name: name, Protected: true, Help: m.d.Chain.Help(name), Index: index(inst), Assign: set(inst)}
	for _, f := range inst.Functions {
		o.Funcs = append(o.Funcs, script.Func{Name: f.Name, Args: f.Args, Help: f.Help, Min: f.Min, Max: f.Max, Fn: m.call(name, f)})
	}
	if inst.Config != nil {
		o.Funcs = append(o.Funcs, script.Func{Name: "config", Args: "[options]", Max: 1, Help: "configure the module",
			Fn: func(c *script.Call) error {
				if err := inst.Config(c.Arg(1)); err != nil {
					return fmt.Errorf("%s.config: %w", name, err)
				}
				return nil
			}})
	}
	m.d.VM.RegisterObject(o)
	m.shown[name] = true
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
