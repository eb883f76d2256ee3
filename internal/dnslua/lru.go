package dnslua

import (
	"container/list"

	"kresd/internal/dnslua/requests"
	"kresd/internal/limits"
	"kresd/internal/script"
)

// An lru is a map of a fixed size: who is used least makes room for others. It belongs to
// one machine.
type lru struct {
	most    int // entries
	entries map[string]*list.Element
	order   *list.List // of *lruEntry, the one used last in front
	octets  int        // of all keys
}

type lruEntry struct {
	key   string
	value float64
}

func newLRU(most int) *lru {
	return &lru{most: most, entries: map[string]*list.Element{}, order: list.New()}
}

// get is the entry of a key, nil if there is none.
func (m *lru) get(key string) *lruEntry {
	at := m.entries[key]
	if at == nil {
		return nil
	}
	m.order.MoveToFront(at)
	return at.Value.(*lruEntry)
}

// insert is the entry of a key, which is made of value 0 where there was none.
func (m *lru) insert(key string) *lruEntry {
	if e := m.get(key); e != nil {
		return e
	}
	e := &lruEntry{key: key}
	m.entries[key] = m.order.PushFront(e)
	m.octets += len(key)
	for m.order.Len() > m.most || m.octets > limits.LuaMapKeys && m.order.Len() > 1 {
		last := m.order.Remove(m.order.Back()).(*lruEntry)
		delete(m.entries, last.key)
		m.octets -= len(last.key)
	}
	return e
}

// lruClass is the class of such maps, and the function kres.lru that makes them.
func lruClass(v *requests.Views) (*script.Class, script.Func) {
	class, cell := &script.Class{Name: "lru", CData: true}, cellClass()
	maker := script.Func{Name: "lru", Args: "max[, ctype]", Min: 1, Max: 2, Fn: func(c *script.Call) error {
		most := c.Int(1, 1, limits.LuaMapEntries)
		if !c.IsNil(2) {
			c.Text(2) // a type of C for the values, all of which are numbers
		}
		return c.Return(&script.Handle{Class: class, Value: newLRU(most)})
	}}
	of := func(c *script.Call) *lru { return c.Handle(1, class).(*lru) }
	class.Methods = []script.Func{
		{Name: "get", Args: "key", Min: 2, Max: 2, Fn: func(c *script.Call) error {
			if e := of(c).get(v.OctetsArg(c, 2)); e != nil {
				return c.Return(e.value)
			}
			return c.Return(nil)
		}},
		{Name: "set", Args: "key, number", Min: 3, Max: 3, Fn: func(c *script.Call) error {
			m, key, value := of(c), v.OctetsArg(c, 2), c.Number(3)
			m.insert(key).value = value
			return c.Return(true)
		}},
		{Name: "get_ref", Args: "key[, length[, insert]]", Min: 2, Max: 4, Fn: func(c *script.Call) error {
			m, key := of(c), v.OctetsArg(c, 2)
			key = key[:c.OptInt(3, 0, len(key), len(key))]
			e := m.get(key)
			if e == nil && c.OptBool(4, false) {
				e = m.insert(key)
			}
			if e == nil {
				return c.Return(nil)
			}
			return c.Return(&script.Handle{Class: cell, Value: e})
		}},
	}
	class.Len = func(_ *script.Call, value any) (int, error) { return value.(*lru).order.Len(), nil }
	return class, maker
}

// cellClass is the place of a value in such a map.
func cellClass() *script.Class {
	class := &script.Class{Name: "place of a value", CData: true}
	class.Get = func(_ *script.Call, value any, key any) (any, error) {
		if key == 0.0 {
			return value.(*lruEntry).value, nil
		}
		return nil, script.NoMember(class, key, "[0]")
	}
	class.Set = func(c *script.Call, value any, key any) error {
		if key != 0.0 {
			return script.NoMember(class, key, "[0]")
		}
		value.(*lruEntry).value = c.Number(1)
		return nil
	}
	return class
}
