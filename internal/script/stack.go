package script

import lua "github.com/Shopify/go-lua"

// The stack is for the packages below script, which complete the language and read
// commands: they look at values without copying them. All others use a Call's accessors.

// ReturnFrom returns the machine's values from index i on as they are.
func (c *Call) ReturnFrom(i int) error {
	c.spread = i
	return nil
}

// Need raises the error for an argument that was left out.
func (c *Call) Need(i int) {
	if c.NArgs() < i {
		c.ArgError(i, "value expected")
	}
}

// NeedFunction raises the error for an argument that is no function.
func (c *Call) NeedFunction(i int) {
	if c.NArgs() < i || c.l.TypeOf(i) != lua.TypeFunction {
		c.TypeError(i, "function")
	}
}

// NeedTable raises the error for an argument that is no table.
func (c *Call) NeedTable(i int) {
	if c.NArgs() < i || c.l.TypeOf(i) != lua.TypeTable {
		c.TypeError(i, "table")
	}
}

// Name is what scripts call the function by.
func (c *Call) Name() string { return c.fn.Name }

// Stack is that of the code that calls.
func (c *Call) Stack() *lua.State { return c.l }
