package dnslua

import (
	"fmt"

	"kresd/internal/script"
)

// octets are a piece of memory to scripts written for LuaJIT, such as ffi.new makes:
// read and written by index from 0, and made a string by ffi.string.
type octets struct {
	view *View // of the request that they belong to; nil: the script's own
	data []byte
	kept bool // they may only be read
}

func octetsClass() *script.Class {
	class := &script.Class{Name: "octets", CData: true}
	at := func(c *script.Call, o *octets, key any) int {
		n, ok := key.(float64)
		if !ok || n != float64(int(n)) || n < 0 || int(n) >= len(o.data) {
			c.Raise(script.Usage(fmt.Sprintf("there are %d octets, from [0] on, and not '%v'", len(o.data), key)))
		}
		return int(n)
	}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		o := value.(*octets)
		o.view.must(c)
		switch key {
		case "len":
			return len(o.data), nil
		case "data":
			return &script.Handle{Class: class, Value: o}, nil
		}
		return int(o.data[at(c, o, key)]), nil
	}
	class.Set = func(c *script.Call, value any, key any) error {
		o := value.(*octets)
		o.view.must(c)
		if o.kept {
			return script.Usage("these octets can only be read; ffi.new('char[?]', n) makes some that can be written")
		}
		o.data[at(c, o, key)] = byte(c.Int(1, -128, 255))
		return nil
	}
	class.Len = func(c *script.Call, value any) (int, error) {
		o := value.(*octets)
		o.view.must(c)
		return len(o.data), nil
	}
	return class
}

// octetsArg is argument i as octets: a string, or a piece of memory.
func (v *Views) octetsArg(c *script.Call, i int) string {
	if value, ok := c.HandleOf(i, v.octets); ok {
		o := value.(*octets)
		o.view.must(c)
		return string(o.data)
	}
	return c.Text(i)
}
