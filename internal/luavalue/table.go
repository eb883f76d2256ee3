// Package luavalue holds Lua values outside of a Lua machine: what map() sends
// between processes and what bindings take and give.
//
// A value is nil, a bool, a float64, a string or a *Table. Functions, userdata
// and threads have no meaning outside the machine that made them and no form
// here. The package knows no Lua machine, so that the relay of map() need not
// either.
package luavalue

import (
	"cmp"
	"slices"
)

// A Table is an ordered list of pairs. The order is the writer's: list part
// first and ascending, then the other keys in byte order, unless it was built
// otherwise.
type Table struct {
	Pairs []Pair
}

// A Pair is one entry of a Table. Neither part is nil in a well-formed table.
type Pair struct {
	Key, Value any
}

// List makes a table with the keys 1…n.
func List(values ...any) *Table {
	t := &Table{Pairs: make([]Pair, 0, len(values))}
	for i, v := range values {
		t.Pairs = append(t.Pairs, Pair{float64(i + 1), v})
	}
	return t
}

// Texts is a list of texts.
func Texts(list []string) *Table {
	values := make([]any, len(list))
	for i, s := range list {
		values[i] = s
	}
	return List(values...)
}

// Add appends an entry without looking for an older one under the same key,
// and returns t.
func (t *Table) Add(key, value any) *Table {
	t.Pairs = append(t.Pairs, Pair{key, value})
	return t
}

// Get returns the value under key, or nil.
func (t *Table) Get(key any) any {
	if t == nil {
		return nil
	}
	for _, p := range t.Pairs {
		if p.Key == key {
			return p.Value
		}
	}
	return nil
}

// Values returns the list part: the values under 1, 2, … up to the first gap.
func (t *Table) Values() []any {
	if t == nil {
		return nil
	}
	byIndex := make(map[float64]any, len(t.Pairs))
	for _, p := range t.Pairs {
		if n, ok := p.Key.(float64); ok && p.Value != nil {
			byIndex[n] = p.Value
		}
	}
	var list []any
	for i := 1.0; ; i++ {
		v, ok := byIndex[i]
		if !ok {
			return list
		}
		list = append(list, v)
	}
}

// Sort puts the entries in the order in which they are printed: numbers
// ascending, then strings in byte order, then the rest.
func (t *Table) Sort() {
	slices.SortStableFunc(t.Pairs, func(a, b Pair) int { return CompareKeys(a.Key, b.Key) })
}

// CompareKeys orders two keys: numbers ascending, then strings in byte order,
// then the rest, all equal.
func CompareKeys(a, b any) int {
	ra, rb := keyRank(a), keyRank(b)
	if ra != rb {
		return cmp.Compare(ra, rb)
	}
	switch ra {
	case 0:
		return cmp.Compare(a.(float64), b.(float64))
	case 1:
		return cmp.Compare(a.(string), b.(string))
	}
	return 0
}

func keyRank(key any) int {
	switch key.(type) {
	case float64:
		return 0
	case string:
		return 1
	}
	return 2
}
