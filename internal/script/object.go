package script

import (
	"fmt"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/luavalue"
	"kresd/internal/script/machine"
	"kresd/internal/wording"
)

// An Object is a global table of the resolver, such as cache: functions,
// options that are read and assigned like fields, and hooks for other keys.
type Object struct {
	Name   string
	Help   string // one line, where package reference has no entry
	Funcs  []Func // their names with or without "Name."
	Fields []Field

	// Protected makes an assigned table (cache = { size = … }) set the
	// object's fields one by one instead of replacing the object.
	Protected bool

	// Merging runs the setting of those fields; nil: they are just set. It lets
	// an object act once on what is given together.
	Merging func(c *Call, merge func() error) error

	// Index returns the value of a key that names no function and no field;
	// nil hook or nil value: nil.
	Index func(c *Call, key any) any

	// Assign takes an assignment to such a key; the value is argument 1 of c.
	// It returns false for a key it does not know. A nil hook knows none, and
	// an unknown key is an error that suggests a known one.
	Assign func(c *Call, key any) (bool, error)

	// Entries returns further entries for pairs() and the printer; may be nil.
	Entries func(c *Call) []Entry
}

// An Entry is a key and its value, as push takes them.
type Entry struct{ Key, Value any }

// A Field is an option of an object.
type Field struct {
	Name string // without the object's
	Help string
	Get  func(c *Call) (any, error) // nil: reads as nil
	Set  func(c *Call) error        // the value is argument 1; nil: cannot be assigned
}

// object is an Object inside the machine. Its Lua table stays empty, so that
// every access comes by the metatable.
type object struct {
	Object
	fields map[string]*Field
	funcs  map[string]any // Lua values
	names  []string       // of funcs, in order
	docs   []binding
	self   *Ref
}

// RegisterObject makes an object global. For the owner goroutine.
func (vm *VM) RegisterObject(spec Object) {
	o := &object{Object: spec, fields: map[string]*Field{}, funcs: map[string]any{}}
	for i := range spec.Fields {
		f := &spec.Fields[i]
		o.fields[f.Name] = f
		o.docs = append(o.docs, binding{name: spec.Name + "." + f.Name, usage: spec.Name + "." + f.Name, help: f.Help})
	}
	for _, f := range spec.Funcs {
		o.addFunc(vm, f)
	}
	vm.objects[spec.Name] = o
	vm.document(binding{name: spec.Name, usage: spec.Name, help: spec.Help, members: func() []binding { return o.docs }})
	o.install(vm)
}

// Registered tells whether a global is part of the program: an object or a function of
// ours, or a library of the language. For the owner goroutine.
func (vm *VM) Registered(name string) bool { return vm.core[name] }

// Seal takes the globals that there are by now for part of the program. For the owner
// goroutine.
func (vm *VM) Seal() {
	vm.core = map[string]bool{}
	for name := range vm.protected {
		vm.core[name] = true
	}
	l := vm.m.Stack()
	l.PushGlobalTable()
	defer l.Pop(1)
	for _, name := range vm.RefTo(l, -1).Names() {
		vm.core[name] = true
	}
}

// Unregister removes a global object, such as that of an unloaded module. For
// the owner goroutine.
func (vm *VM) Unregister(name string) {
	delete(vm.objects, name)
	delete(vm.protected, name)
	vm.undocument(name)
	vm.SetGlobal(name, nil)
}

func (o *object) addFunc(vm *VM, f Func) {
	short := strings.TrimPrefix(f.Name, o.Name+".")
	f.Name, f.object = o.Name+"."+short, true
	vm.PushFunc(vm.m.Stack(), f)
	if _, known := o.funcs[short]; !known {
		o.names = append(o.names, short)
	}
	o.funcs[short] = vm.m.Stack().ToValue(-1)
	vm.m.Stack().Pop(1)
	o.docs = append(o.docs, binding{name: f.Name, usage: f.usage(), help: f.Help})
}

// objectOf finds the object that a dotted name belongs to.
func (vm *VM) objectOf(name string) (o *object, rest string) {
	before, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil, ""
	}
	return vm.objects[before], rest
}

// install makes the object's table and its metatable.
func (o *object) install(vm *VM) {
	l := vm.m.Stack()
	l.NewTable()
	l.NewTable()
	o.setMeta(vm, "__index", func(c *Call) int { return o.index(c) })
	o.setMeta(vm, "__newindex", func(c *Call) int { return o.newIndex(c) })
	o.setMeta(vm, "__pairs", func(c *Call) int { return o.pairs(c) })
	l.PushString(o.Name)
	l.SetField(-2, "__metatable")
	l.SetMetaTable(-2)
	o.self = vm.RefTo(l, -1)
	if o.Protected {
		vm.protected[o.Name] = o
		l.Pop(1)
		vm.SetGlobal(o.Name, nil) // found by the guard, so that assigning is seen
		return
	}
	vm.setGlobal(o.Name)
}

func (o *object) setMeta(vm *VM, event string, fn func(c *Call) int) {
	vm.m.Stack().PushGoFunction(vm.m.Caught(o.Name, func(l *lua.State) int {
		return fn(&Call{vm: vm, l: l, args: l.Top()})
	}))
	vm.m.Stack().SetField(-2, event)
}

// objectAt returns the object whose table is at i, or nil.
func (vm *VM) objectAt(l *lua.State, i int) *object {
	if l.TypeOf(i) != lua.TypeTable || !lua.MetaField(l, i, "__metatable") {
		return nil
	}
	name, _ := l.ToValue(-1).(string)
	l.Pop(1)
	if o := vm.objects[name]; o != nil && o.self.kept.Raw() == l.ToValue(i) {
		return o
	}
	return nil
}

// ObjectName is the name of the resolver's object that argument i is, such as
// policy in policy:add(…), or "".
func (c *Call) ObjectName(i int) string {
	if i <= c.args {
		if o := c.vm.objectAt(c.l, i); o != nil {
			return o.Name
		}
	}
	return ""
}

// index is __index(table, key).
func (o *object) index(c *Call) int {
	l := c.l
	if name, ok := l.ToValue(2).(string); ok {
		if fn, ok := o.funcs[name]; ok {
			l.PushLightUserData(fn)
			return 1
		}
		if f := o.fields[name]; f != nil {
			c.vm.Push(l, o.read(c, f))
			return 1
		}
	}
	key, err := c.vm.ToGo(l, 2)
	if err != nil {
		return 0
	}
	c.fn = &Func{Name: o.Name, object: true}
	value := any(nil)
	if o.Index != nil {
		value = o.Index(c, key)
	}
	if name, ok := key.(string); ok && value == nil {
		c.vm.absent.note(o.Name+"."+name, func() string { return machine.Position(l) })
	}
	c.vm.Push(l, value)
	return 1
}

func (o *object) read(c *Call, f *Field) any {
	if f.Get == nil {
		return nil
	}
	inner := &Call{vm: c.vm, l: c.l, fn: &Func{Name: o.Name + "." + f.Name}, field: true}
	v, err := f.Get(inner)
	if err != nil {
		inner.Raise(err)
	}
	return v
}

// newIndex is __newindex(table, key, value).
func (o *object) newIndex(c *Call) int {
	l := c.l
	key, err := c.vm.ToGo(l, 2)
	if err != nil {
		c.Raise(err)
	}
	name, isName := key.(string)
	set := &Call{vm: c.vm, l: l, fn: &Func{Name: o.Name + "." + luavalue.KeyText(key)}, field: true, args: 1}
	if isName && o.funcs[name] != nil {
		o.replaceFunc(set, name)
		return 0
	}
	l.Remove(1)
	l.Remove(1) // the value is argument 1 now
	if f := o.fields[name]; isName && f != nil {
		if f.Set == nil {
			set.Raise(Usage(fmt.Sprintf("'%s' cannot be assigned", set.fn.Name)))
		}
		if err := f.Set(set); err != nil {
			set.Raise(err)
		}
		return 0
	}
	o.assignOther(set, key)
	return 0
}

func (o *object) assignOther(set *Call, key any) {
	known := false
	if o.Assign != nil {
		var err error
		if known, err = o.Assign(set, key); err != nil {
			set.Raise(err)
		}
	}
	if !known {
		set.Raise(Usage(unknownOption(o.Name, luavalue.KeyText(key), o.keys())))
	}
}

// replaceFunc lets a script put its own function in place of one of ours, and
// catches the mistake of assigning to a function (cache.max_ttl = 5).
func (o *object) replaceFunc(set *Call, name string) {
	if set.l.TypeOf(3) != lua.TypeFunction {
		set.Raise(Usage(fmt.Sprintf("'%s' is a function: call it as %s(...)", set.fn.Name, set.fn.Name)))
	}
	o.funcs[name] = set.l.ToValue(3)
}

// pairs is __pairs(table).
func (o *object) pairs(c *Call) int {
	l := c.l
	l.Global("next")
	o.pushEntries(c.vm, l)
	l.PushNil()
	return 3
}

// pushEntries pushes a table of what the object shows.
func (o *object) pushEntries(vm *VM, l *lua.State) {
	l.NewTable()
	for name, fn := range o.funcs {
		l.PushLightUserData(fn)
		l.SetField(-2, name)
	}
	c := &Call{vm: vm, l: l}
	for name, f := range o.fields {
		vm.Push(l, o.read(c, f))
		l.SetField(-2, name)
	}
	if o.Entries == nil {
		return
	}
	for _, e := range o.Entries(c) {
		vm.Push(l, e.Key)
		vm.Push(l, e.Value)
		l.RawSet(-3)
	}
}

// keys are the names that can be assigned or called.
func (o *object) keys() []string {
	keys := append([]string(nil), o.names...)
	for _, f := range o.Object.Fields {
		keys = append(keys, f.Name)
	}
	return keys
}

// NumberIndex makes the functions of an object methods of numbers, so that
// e.cancel(e) works where e is the number of an event. For the owner goroutine.
func (vm *VM) NumberIndex(name string) {
	l := vm.m.Stack()
	l.NewTable()
	l.PushGoFunction(vm.m.Caught("number", func(l *lua.State) int {
		key, _ := l.ToValue(2).(string)
		if o := vm.objects[name]; o != nil && o.funcs[key] != nil {
			l.PushLightUserData(o.funcs[key])
			return 1
		}
		return 0
	}))
	l.SetField(-2, "__index")
	vm.m.SetBasicMetaTable(0.0, l.ToValue(-1))
	l.Pop(1)
}

// Register makes functions global and adds them to help(). A name with a dot
// belongs to the object before it, which must be registered. For the owner
// goroutine.
func (vm *VM) Register(funcs ...Func) {
	for _, f := range funcs {
		vm.register(f)
	}
}

func (vm *VM) register(f Func) {
	if o, _ := vm.objectOf(f.Name); o != nil {
		o.addFunc(vm, f)
		return
	}
	vm.document(binding{name: f.Name, usage: f.usage(), help: f.Help})
	vm.PushFunc(vm.m.Stack(), f)
	vm.setGlobal(f.Name)
}

// unknownOption is the message for a field that does not exist.
func unknownOption(object, name string, known []string) string {
	msg := fmt.Sprintf("unknown option '%s.%s'", object, name)
	if near := wording.Suggest(name, known); near != "" {
		msg += fmt.Sprintf("; did you mean '%s.%s'?", object, near)
	}
	return msg
}
