package script

import (
	"slices"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script/machine"
	"kresd/internal/script/source"
)

// The machine forgets the order in which a table's keys were written, which
// matters to an operator (the modules that a configuration loads, with their
// options). So it is read from the source of the assignment, if that is a
// plain one: name = { key = …, ['key'] = … }.

// sortKeys moves the string keys into the written order; keys is sorted
// already, and stays so if the order is unknown.
func sortKeys(keys []any, written []string) {
	if written == nil {
		return
	}
	place := func(key any) int {
		name, ok := key.(string)
		if !ok {
			return -1
		}
		return slices.Index(written, name)
	}
	slices.SortStableFunc(keys, func(a, b any) int { return place(a) - place(b) })
}

// writtenOrder returns the string keys in the order of the source, or nil when
// that cannot be told: the assignment that runs must be the only one to name
// around its line, and have just these keys.
func (vm *VM) writtenOrder(l *lua.State, name string, keys []any) []string {
	d, ok := machine.Innermost(l)
	if !ok {
		return nil
	}
	text := vm.sources.Of(d.Source)
	for _, table := range source.Constructors(text, name) {
		if d.CurrentLine < table.First || d.CurrentLine > table.Last {
			continue
		}
		if sameNames(table.Keys, keys) {
			return table.Keys
		}
	}
	return nil
}

func sameNames(written []string, keys []any) bool {
	names := 0
	for _, key := range keys {
		if name, ok := key.(string); ok {
			names++
			if !slices.Contains(written, name) {
				return false
			}
		}
	}
	return names == len(written)
}
