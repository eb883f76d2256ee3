package script

import (
	"errors"
	"fmt"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/luavalue"
	"kresd/internal/script/machine"
	"kresd/internal/wording"
)

// installGuard puts a metatable on the global table that finds the protected
// objects and takes assignments to them: cache = { size = 10*MB } sets
// cache.size and keeps the object. Their names are absent from the table
// itself, else assignments would not be seen.
func (vm *VM) installGuard(l *lua.State) {
	l.PushGlobalTable()
	l.NewTable()
	l.PushGoFunction(vm.m.Caught("_G", vm.globalIndex))
	l.SetField(-2, "__index")
	l.PushGoFunction(vm.m.Caught("_G", vm.globalNewIndex))
	l.SetField(-2, "__newindex")
	l.PushString("the table of globals")
	l.SetField(-2, "__metatable")
	l.SetMetaTable(-2)
	l.Pop(1)
}

func (vm *VM) globalIndex(l *lua.State) int {
	name, _ := l.ToValue(2).(string)
	if o := vm.protected[name]; o != nil {
		o.self.Push(l)
		return 1
	}
	vm.absent.note(name, func() string { return machine.Position(l) })
	return 0
}

func (vm *VM) globalNewIndex(l *lua.State) int {
	name, _ := l.ToValue(2).(string)
	o := vm.protected[name]
	if o == nil {
		l.RawSet(1)
		return 0
	}
	c := &Call{vm: vm, l: l, fn: &Func{Name: name}, field: true, args: 3}
	if l.TypeOf(3) != lua.TypeTable {
		c.Raise(Usage(fmt.Sprintf("'%s' is set by a table of its options, not by %s", name, wording.WithArticle(c.Type(3)))))
	}
	if vm.objectAt(l, 3) == o {
		return 0 // cache = cache
	}
	merge := func() error { return vm.merge(l, o, 3) }
	err := error(nil)
	if o.Merging != nil {
		err = o.Merging(c, merge)
	} else {
		err = merge()
	}
	if err != nil {
		c.Raise(err)
	}
	return 0
}

// merge assigns each entry of the table at i to the object: the list part in
// order, then the other keys in the order in which they were written where the
// source shows it, else sorted.
func (vm *VM) merge(l *lua.State, o *object, i int) error {
	keys, err := vm.keysOf(l, i)
	if err != nil {
		return err
	}
	sortKeys(keys, vm.writtenOrder(l, o.Name, keys))
	for _, key := range keys {
		if vm.opts.Mistake == nil {
			vm.mergeEntry(l, o, i, key)
		} else if err := vm.tryEntry(l, o, i, key); err != nil {
			return err
		}
	}
	return nil
}

// mergeEntry assigns one entry of the table at i to the object.
func (vm *VM) mergeEntry(l *lua.State, o *object, i int, key any) {
	o.self.Push(l)
	vm.Push(l, key)
	vm.Push(l, key)
	l.RawGet(i)
	l.SetTable(-3)
	l.Pop(1)
}

// tryEntry is mergeEntry, but tells Options.Mistake of an error. An error that it returns
// ends the evaluation.
func (vm *VM) tryEntry(l *lua.State, o *object, i int, key any) error {
	l.PushValue(i)
	table := l.Top()
	l.PushGoFunction(func(l *lua.State) int {
		vm.mergeEntry(l, o, 1, key)
		return 0
	})
	l.Insert(table)
	err := vm.m.ProtectedCall(l, 1, 0, 0)
	if i := new(Interrupt); err == nil || errors.As(err, &i) {
		return err
	}
	vm.opts.Mistake(err)
	return nil
}

func (vm *VM) keysOf(l *lua.State, i int) (keys []any, err error) {
	err = vm.EachPair(l, i, func() error {
		switch key := l.ToValue(-2).(type) {
		case string, float64, bool:
			keys = append(keys, key)
			return nil
		}
		return errors.New("keys must be names or numbers")
	})
	t := luavalue.Table{}
	for _, key := range keys {
		t.Add(key, true)
	}
	t.Sort()
	for j, p := range t.Pairs {
		keys[j] = p.Key
	}
	return keys, err
}
