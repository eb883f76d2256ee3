package script

import (
	"maps"
	"slices"
	"strings"

	lua "github.com/Shopify/go-lua"
)

// rawField pushes a field of the table on top of the stack, past metatables.
func rawField(l *lua.State, name string) {
	l.PushString(name)
	l.RawGet(-2)
}

// deepestIndex is how many tables behind each other, by __index, are looked into.
const deepestIndex = 5

// MemberNames are the names that the value at i has, also by its metatable.
func (vm *VM) MemberNames(l *lua.State, i int) []string { return vm.namesOf(l, i, 0) }

func (vm *VM) namesOf(l *lua.State, i, depth int) (names []string) {
	if h := handleAt(l, i); h != nil {
		return h.memberNames()
	}
	if o := vm.objectAt(l, i); o != nil {
		names = o.keys()
		if o.Entries != nil {
			names = append(names, entryNames(o.Entries(&Call{vm: vm, l: l}))...)
		}
		return names
	}
	switch l.TypeOf(i) {
	case lua.TypeString:
		l.PushGlobalTable()
		rawField(l, "string")
		i = l.Top()
	case lua.TypeTable:
	default:
		return nil
	}
	if l.TypeOf(i) != lua.TypeTable {
		return nil
	}
	names = stringKeys(l, i)
	if depth < deepestIndex && l.CheckStack(lua.MinStack) && lua.MetaField(l, i, "__index") && l.TypeOf(-1) == lua.TypeTable {
		names = append(names, vm.namesOf(l, l.Top(), depth+1)...)
	}
	return names
}

func (h *Handle) memberNames() (names []string) {
	for _, m := range h.Class.Methods {
		names = append(names, m.Name)
	}
	if h.Class.Entries != nil {
		names = append(names, entryNames(h.Class.Entries(h.Value))...)
	}
	return names
}

func entryNames(list []Entry) (names []string) {
	for _, e := range list {
		if name, ok := e.Key.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// PushShown pushes the table at i, or for an object one with its entries.
func (vm *VM) PushShown(l *lua.State, i int) {
	if o := vm.objectAt(l, i); o != nil {
		o.pushEntries(vm, l)
		return
	}
	if h := shownAt(l, i); h != nil {
		h.pushEntries(vm, l)
		return
	}
	l.PushValue(i)
}

// shownAt is the handle at i if it can be looked into, as a table can.
func shownAt(l *lua.State, i int) *Handle {
	if h := handleAt(l, i); h != nil && h.Class.Entries != nil {
		return h
	}
	return nil
}

// Opens tells whether the value at i can be looked into, as a table can.
func (vm *VM) Opens(l *lua.State, i int) bool {
	return l.TypeOf(i) == lua.TypeTable || shownAt(l, i) != nil
}

// GlobalNames are the names of globals, those of objects included.
func (vm *VM) GlobalNames(l *lua.State) []string {
	l.PushGlobalTable()
	defer l.Pop(1)
	return slices.AppendSeq(stringKeys(l, l.Top()), maps.Keys(vm.protected))
}

// PushGlobal pushes a global as it is, past metatables.
func (vm *VM) PushGlobal(l *lua.State, name string) {
	if o := vm.protected[name]; o != nil {
		o.self.Push(l)
		return
	}
	l.PushGlobalTable()
	rawField(l, name)
	l.Remove(-2)
}

// Exists tells whether the name is that of a global that is there, or of a member or a
// class that there are words about.
func (vm *VM) Exists(name string) bool {
	if strings.Contains(name, ":") || vm.kinds[name] == name {
		return vm.bindingOf(name) != nil || vm.book.Find(name) != nil
	}
	global, member, _ := strings.Cut(name, ".")
	l := vm.m.Stack()
	vm.PushGlobal(l, global)
	absent := l.IsNil(-1)
	l.Pop(1)
	if absent {
		return false
	}
	return member == "" && vm.Summary(name) != "" || member != "" && (vm.bindingOf(name) != nil || vm.book.Find(name) != nil)
}
