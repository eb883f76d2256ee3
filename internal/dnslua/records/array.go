package records

import (
	"fmt"

	"kresd/internal/script"
)

// An array is a list that a request leads to: an array of C to scripts, with the fields
// len and at, which counts from 0, and a list to ipairs.
type array struct {
	loan  *Loan
	items []any // as scripts see them
}

// Array is what scripts know as such a list.
func (v *Objects) Array(l *Loan, items []any) *script.Handle {
	return &script.Handle{Class: v.array, Value: &array{l, items}}
}

func (v *Objects) arrayClasses() {
	v.at = &script.Class{Name: "elements", CData: true}
	v.at.Get = func(c *script.Call, value any, key any) (any, error) {
		return value.(*array).element(c, key), nil
	}
	class := &script.Class{Name: "array", CData: true}
	v.array = class
	class.Methods = []script.Func{{Name: "get", Args: "index", Min: 2, Max: 2, Fn: func(c *script.Call) error {
		return c.Return(c.Handle(1, class).(*array).element(c, c.Number(2)))
	}}}
	class.Get = func(c *script.Call, value any, key any) (any, error) {
		a := value.(*array)
		a.loan.Must(c)
		switch key {
		case "len":
			return len(a.items), nil
		case "at":
			return &script.Handle{Class: v.at, Value: a}, nil
		}
		return nil, script.NoMember(class, key, "len", "at")
	}
	class.Len = func(c *script.Call, value any) (int, error) {
		a := value.(*array)
		a.loan.Must(c)
		return len(a.items), nil
	}
	class.List = func(c *script.Call, value any) ([]any, error) {
		a := value.(*array)
		a.loan.Must(c)
		return a.items, nil
	}
}

// element is the element with an index from 0. There is none at others, which to a script
// in C would be somebody else's memory.
func (a *array) element(c *script.Call, key any) any {
	a.loan.Must(c)
	n, ok := key.(float64)
	if !ok || n < 0 || n >= float64(len(a.items)) || n != float64(int(n)) {
		c.Raise(script.Usage(fmt.Sprintf("there are %d elements, from [0] on, and not '%v'", len(a.items), key)))
	}
	return a.items[int(n)]
}
