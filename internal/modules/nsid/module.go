// Package nsid is the module nsid: clients that ask for it are told which server answers, by a
// name that the operator gives (RFC 5001).
//
// The name goes into the EDNS option of answers where they are worded, on both ways; until it
// is given, and while the module is not loaded, nothing is told.
package nsid

import (
	"fmt"
	"sync/atomic"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/wire"
)

// Module is the module nsid. option is what answers have from now on.
func Module(option *atomic.Pointer[[]byte]) module.Module {
	return module.Module{
		Name: "nsid",
		Open: func(*module.Host) (*module.Instance, error) {
			n := &nsid{option: option}
			return &module.Instance{
				Functions: []module.Function{module.Call1("name", module.Text("text", "a name as text").Or(""), n.call)},
				Config:    n.config,
				Close:     func() { option.Store(nil) },
			}, nil
		},
	}
}

type nsid struct {
	option *atomic.Pointer[[]byte]
	name   string
}

// call sets the name, if one is given, and tells it.
func (n *nsid) call(name string) ([]any, error) {
	if name != "" {
		if err := n.set(name); err != nil {
			return nil, fmt.Errorf("nsid.name: %w", err)
		}
	}
	if n.name == "" {
		return []any{nil}, nil
	}
	return []any{n.name}, nil
}

func (n *nsid) set(name string) error {
	if len(name) > limits.Identity {
		return fmt.Errorf("a name of %d octets is too long; at most %d", len(name), limits.Identity)
	}
	option := wire.AppendOption(nil, wire.OptionNSID, []byte(name))
	n.name = name
	n.option.Store(&option)
	return nil
}

// config takes a name, or a table that has one.
func (n *nsid) config(value any) error {
	if t, ok := value.(*luavalue.Table); ok {
		value = t.Get("name")
	}
	switch name := value.(type) {
	case nil:
		return nil
	case string:
		if name == "" {
			return fmt.Errorf("a name expected")
		}
		return n.set(name)
	}
	return fmt.Errorf("a name expected")
}
