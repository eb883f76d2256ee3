package records

import (
	"fmt"

	"kresd/internal/dnslua/terms"
	"kresd/internal/dnsname"
	"kresd/internal/script"
)

// Octets are a piece of memory to scripts written for LuaJIT, such as ffi.new makes:
// read and written by index from 0, and made a string by ffi.string.
type Octets struct {
	loan *Loan // of the request that they belong to; nil: the script's own
	Data []byte
	Kept bool // they may only be read
}

func octetsClass() *script.Class {
	class := &script.Class{Name: "octets", CData: true}
	at := func(c *script.Call, o *Octets, key any) int {
		n, ok := key.(float64)
		if !ok || n != float64(int(n)) || n < 0 || int(n) >= len(o.Data) {
			c.Raise(script.Usage(fmt.Sprintf("there are %d octets, from [0] on, and not '%v'", len(o.Data), key)))
		}
		return int(n)
	}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		o := value.(*Octets)
		o.loan.Must(c)
		switch key {
		case "len":
			return len(o.Data), nil
		case "data":
			return &script.Handle{Class: class, Value: o}, nil
		}
		return int(o.Data[at(c, o, key)]), nil
	}
	class.Set = func(c *script.Call, value any, key any) error {
		o := value.(*Octets)
		o.loan.Must(c)
		if o.Kept {
			return script.Usage("these octets can only be read; ffi.new('char[?]', n) makes some that can be written")
		}
		o.Data[at(c, o, key)] = byte(c.Int(1, -128, 255))
		return nil
	}
	class.Len = func(c *script.Call, value any) (int, error) {
		o := value.(*Octets)
		o.loan.Must(c)
		return len(o.Data), nil
	}
	return class
}

// OctetsArg is argument i as octets: a string, or a piece of memory.
func (v *Objects) OctetsArg(c *script.Call, i int) string {
	if value, ok := c.HandleOf(i, v.octets); ok {
		o := value.(*Octets)
		o.loan.Must(c)
		return string(o.Data)
	}
	return c.Text(i)
}

// MemoryArg is the piece of memory in argument i.
func (v *Objects) MemoryArg(c *script.Call, i int) *Octets {
	o := c.Handle(i, v.octets).(*Octets)
	o.loan.Must(c)
	return o
}

// Memory is what scripts know as a piece of memory that they may write.
func (v *Objects) Memory(data []byte) *script.Handle {
	return &script.Handle{Class: v.octets, Value: &Octets{Data: data}}
}

// lent is a piece of memory that can only be read.
func (v *Objects) lent(l *Loan, data []byte) *script.Handle {
	return &script.Handle{Class: v.octets, Value: &Octets{loan: l, Data: data, Kept: true}}
}

// NameArg is the name in wire form in argument i.
func (v *Objects) NameArg(c *script.Call, i int) dnsname.Name {
	n, err := terms.WireName(v.OctetsArg(c, i))
	if err != nil {
		c.ArgError(i, "%v", err)
	}
	return n
}
