package script

import "fmt"

// Environment is env: variables of the environment, overlaid by what scripts
// assign, which the process does not see.
func (vm *VM) Environment() Object {
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
