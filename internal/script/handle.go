package script

import (
	"fmt"
	"slices"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/luavalue"
	"kresd/internal/wording"
)

// A Class says what scripts can do with one kind of Go values that they hold,
// such as rules and requests. To Lua such a value is a userdata.
type Class struct {
	// Name is what messages call it: "request".
	Name string
	// Methods are called as value:name(…). Argument 1 is the value, so that their own
	// arguments begin with 2.
	Methods []Func
	// Get reads a field. It returns NoMember for a key that it does not know.
	Get func(c *Call, v any, key any) (any, error)
	// Set assigns a field; the new value is argument 1 of c. nil: there is
	// nothing to assign.
	Set func(c *Call, v any, key any) error
	// Call serves value(…); nil: it cannot be called.
	Call func(c *Call, v any) error
	// Text is what tostring shows; nil: the name of the class.
	Text func(v any) string
	// Entries are what pairs and the printer show; nil: it cannot be looked into.
	Entries func(v any) []Entry
	// Len is what the operator # gives; nil: there is none.
	Len func(c *Call, v any) (int, error)
	// List are the values that ipairs passes; nil: none.
	List func(c *Call, v any) ([]any, error)
	// CData makes type() say 'cdata', as scripts written for LuaJIT expect of what is a
	// structure in C to them; else it is 'userdata'.
	CData bool
}

// A Handle is a Go value in the hands of scripts. Handles with the same Value
// are equal to Lua; a Value must be comparable.
type Handle struct {
	Class *Class
	Value any
}

// NoMember is the error for a key that a value of the class does not have. It
// names those that it has.
func NoMember(class *Class, key any, fields ...string) error {
	known := slices.Clone(fields)
	for _, m := range class.Methods {
		known = append(known, m.Name+"()")
	}
	has := "nothing to ask for"
	if len(known) > 0 {
		has = strings.Join(known, ", ")
	}
	return Usage(fmt.Sprintf("%s has no '%s' here; it has %s", wording.WithArticle(class.Name), luavalue.KeyText(key), has))
}

// Handle returns the value of argument i, which must be of class.
func (c *Call) Handle(i int, class *Class) any {
	if h := c.handleAt(i); h != nil && h.Class == class {
		return h.Value
	}
	c.TypeError(i, class.Name)
	return nil
}

// HandleOf returns the value of argument i if it is of class.
func (c *Call) HandleOf(i int, class *Class) (v any, ok bool) {
	if h := c.handleAt(i); h != nil && h.Class == class {
		return h.Value, true
	}
	return nil, false
}

func (c *Call) handleAt(i int) *Handle {
	if i > c.args {
		return nil
	}
	return handleAt(c.l, i)
}

func handleAt(l *lua.State, i int) *Handle {
	h, _ := l.ToUserData(i).(*Handle)
	return h
}

// pushHandle puts a value on the stack with the metatable of its class.
func (vm *VM) pushHandle(l *lua.State, h *Handle) {
	if h == nil {
		l.PushNil()
		return
	}
	meta := vm.classes[h.Class]
	if meta == nil {
		meta = vm.newClass(l, h.Class)
		vm.classes[h.Class] = meta
	}
	l.PushUserData(h)
	meta.Push(l)
	l.SetMetaTable(-2)
}

// newClass makes the metatable of a class.
func (vm *VM) newClass(l *lua.State, class *Class) *Ref {
	methods := map[string]any{}
	for _, f := range class.Methods {
		short := f.Name
		f.Name, f.object, f.method = class.Name+":"+short, true, true
		vm.PushFunc(l, f)
		methods[short] = l.ToValue(-1)
		l.Pop(1)
	}
	l.NewTable()
	for event, fn := range map[string]func(*Call, *Handle) int{
		"__index":    func(c *Call, h *Handle) int { return h.index(c, methods) },
		"__newindex": func(c *Call, h *Handle) int { return h.newIndex(c) },
		"__call":     func(c *Call, h *Handle) int { return h.call(c) },
		"__tostring": func(c *Call, h *Handle) int { c.l.PushString(h.text()); return 1 },
		"__pairs":    func(c *Call, h *Handle) int { return h.pairs(c) },
		"__ipairs":   func(c *Call, h *Handle) int { return h.ipairs(c) },
		"__len":      func(c *Call, h *Handle) int { return h.length(c) },
		"__eq":       func(c *Call, h *Handle) int { return h.equal(c) },
	} {
		l.PushGoFunction(vm.m.Caught(class.Name, func(l *lua.State) int {
			h := handleAt(l, 1)
			c := &Call{vm: vm, l: l, fn: &Func{Name: class.Name, Args: "...", object: true}, args: l.Top()}
			if h == nil {
				c.TypeError(1, class.Name)
			}
			return fn(c, h)
		}))
		l.SetField(-2, event)
	}
	l.PushString(class.Name)
	l.SetField(-2, "__metatable")
	meta := vm.RefTo(l, -1)
	l.Pop(1)
	return meta
}

func (h *Handle) index(c *Call, methods map[string]any) int {
	if name, ok := c.l.ToValue(2).(string); ok && methods[name] != nil {
		c.l.PushLightUserData(methods[name])
		return 1
	}
	key := c.Arg(2)
	v, err := any(nil), NoMember(h.Class, key)
	if h.Class.Get != nil {
		v, err = h.Class.Get(c, h.Value, key)
	}
	if err != nil {
		c.Raise(err)
	}
	c.vm.Push(c.l, v)
	return 1
}

func (h *Handle) newIndex(c *Call) int {
	key := c.Arg(2)
	set := &Call{vm: c.vm, l: c.l, fn: &Func{Name: h.Class.Name + "." + luavalue.KeyText(key)}, field: true, args: 1}
	c.l.Remove(1)
	c.l.Remove(1) // the value is argument 1 now
	if h.Class.Set == nil {
		set.Raise(Usage(fmt.Sprintf("'%s' cannot be assigned", set.fn.Name)))
	}
	if err := h.Class.Set(set, h.Value, key); err != nil {
		set.Raise(err)
	}
	return 0
}

func (h *Handle) call(c *Call) int {
	if h.Class.Call == nil {
		c.Raise(Usage(wording.WithArticle(h.Class.Name) + " is no function"))
	}
	c.Shift()
	if err := h.Class.Call(c, h.Value); err != nil {
		c.Raise(err)
	}
	return c.pushResults()
}

func (h *Handle) text() string {
	if h.Class.Text != nil {
		return h.Class.Text(h.Value)
	}
	return h.Class.Name
}

func (h *Handle) pairs(c *Call) int {
	c.l.Global("next")
	h.pushEntries(c.vm, c.l)
	c.l.PushNil()
	return 3
}

// ipairs passes the values of a list that is made when the loop begins.
func (h *Handle) ipairs(c *Call) int {
	if h.Class.List == nil {
		c.Raise(Usage(wording.WithArticle(h.Class.Name) + " is no list"))
	}
	list, err := h.Class.List(c, h.Value)
	if err != nil {
		c.Raise(err)
	}
	c.vm.PushFunc(c.l, Func{Name: "ipairs", Min: 2, Max: -1, Fn: func(c *Call) error {
		i := int(c.Number(2))
		if i < 0 || i >= len(list) {
			return c.Return(nil)
		}
		return c.Return(i+1, list[i])
	}})
	c.l.PushNil()
	c.l.PushInteger(0)
	return 3
}

func (h *Handle) length(c *Call) int {
	if h.Class.Len == nil {
		c.Raise(Usage(wording.WithArticle(h.Class.Name) + " has no length"))
	}
	n, err := h.Class.Len(c, h.Value)
	if err != nil {
		c.Raise(err)
	}
	c.l.PushInteger(n)
	return 1
}

func (h *Handle) equal(c *Call) int {
	other := handleAt(c.l, 2)
	c.l.PushBoolean(other != nil && other.Class == h.Class && other.Value == h.Value)
	return 1
}

// pushEntries pushes a table of what the value shows.
func (h *Handle) pushEntries(vm *VM, l *lua.State) {
	l.NewTable()
	if h.Class.Entries == nil {
		return
	}
	for _, e := range h.Class.Entries(h.Value) {
		vm.Push(l, e.Key)
		vm.Push(l, e.Value)
		l.RawSet(-3)
	}
}

// IsCData tells whether argument i is a structure in C to scripts written for LuaJIT.
func (c *Call) IsCData(i int) bool {
	h := c.handleAt(i)
	return h != nil && h.Class.CData
}

// Describe says what help() and package reference call a class, and what scripts mostly
// call its values. For the owner goroutine.
func (vm *VM) Describe(class *Class, name string, variables ...string) {
	vm.kinds[name] = name
	for _, v := range variables {
		vm.kinds[v] = name
	}
	for _, m := range class.Methods {
		m.Name = name + ":" + m.Name
		vm.document(binding{name: m.Name, usage: m.usage(), help: m.Help})
	}
}
