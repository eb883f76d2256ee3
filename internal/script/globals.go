package script

import (
	"fmt"
	"strings"
)

// addGlobals defines what this package gives to scripts by itself.
func (vm *VM) addGlobals() {
	vm.Register(
		Func{Name: "help", Args: "[name]", Max: 1, Fn: help},
		Func{Name: "tojson", Args: "value", Min: 1, Max: 1, Fn: toJSON},
		Func{Name: "fromjson", Args: "text", Min: 1, Max: 1, Fn: fromJSON},
		Func{Name: "table_print", Args: "value", Max: 1, Fn: tablePrint},
		Func{Name: "print", Args: "...", Max: -1, Fn: printValues},
		Func{Name: "log", Args: "format, ...", Min: 1, Fn: logLine},
		Func{Name: "warn", Args: "format, ...", Min: 1, Fn: warnLine},
		Func{Name: "panic", Args: "format, ...", Min: 1, Fn: panicLine},
		Func{Name: "eval_cmd", Args: "text[, raw]", Min: 1, Max: 2, Fn: evalCmd},
	)
	for _, u := range units {
		vm.SetGlobal(u.name, u.value)
	}
	vm.SetGlobal("_VERSION", "Lua 5.1")
	vm.RegisterObject(vm.environment())
}

// units are the constants for sizes in octets and times in milliseconds.
var units = []struct {
	name  string
	value int
}{
	{"kB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30},
	{"sec", 1000}, {"second", 1000}, {"minute", 60_000}, {"min", 60_000}, {"hour", 3_600_000}, {"day", 86_400_000},
}

// environment is env: variables of the environment, overlaid by what scripts
// assign, which the process does not see.
func (vm *VM) environment() Object {
	assigned := map[string]*Ref{}
	vm.assignedEnv = map[string]string{}
	return Object{
		Name:      "env",
		Protected: true,
		Index: func(c *Call, key any) any {
			name, ok := key.(string)
			if !ok {
				return nil
			}
			if v, ok := assigned[name]; ok {
				return v
			}
			if v, ok := vm.opts.Getenv(name); ok {
				return v
			}
			return nil
		},
		Assign: func(c *Call, key any) (bool, error) {
			name, ok := key.(string)
			if ok {
				assigned[name] = c.Ref(1)
				vm.assignedEnv[name] = envText(c.Arg(1))
			}
			return ok, nil
		},
		Entries: func(*Call) (list []Entry) {
			for name, v := range assigned {
				list = append(list, Entry{name, v})
			}
			return list
		},
	}
}

// envText is a value as a variable of the environment: nil and false are none.
func envText(v any) string {
	if v == nil || v == false {
		return ""
	}
	return fmt.Sprint(v)
}

// Env is a variable of the environment as scripts see it: what they assigned to
// env.NAME, else the process's own.
func (c *Call) Env(name string) string {
	if text, ok := c.vm.assignedEnv[name]; ok {
		return text
	}
	text, _ := c.vm.opts.Getenv(name)
	return text
}

func help(c *Call) error {
	name := ""
	if !c.IsNil(1) {
		name = helpTopic(c)
	}
	text := c.vm.Help(name)
	if text == "" {
		meant := c.vm.NewSession().didYouMean(c.l, name)
		if meant == "" {
			meant = ";"
		}
		return fmt.Errorf("no help for '%s'%s help() lists what there is", name, meant)
	}
	return c.Return(text)
}

// helpTopic takes a name or the object itself.
func helpTopic(c *Call) string {
	if o := c.vm.objectAt(c.l, 1); o != nil {
		return o.Name
	}
	return c.String(1)
}

func tablePrint(c *Call) error {
	return c.Return(c.vm.Print(c.l, 1))
}

// printValues writes its arguments as tostring shows them, with tabs between.
func printValues(c *Call) error {
	var b strings.Builder
	for i := 1; i <= c.NArgs(); i++ {
		if i > 1 {
			b.WriteByte('\t')
		}
		b.WriteString(displayed(c.l, i))
	}
	b.WriteByte('\n')
	return c.vm.print(b.String())
}

func logLine(c *Call) error {
	return c.vm.note(format(c))
}

func warnLine(c *Call) error {
	return c.vm.warn(format(c))
}

func panicLine(c *Call) error {
	c.Raise(Usage(errorWord + format(c)))
	return nil
}
