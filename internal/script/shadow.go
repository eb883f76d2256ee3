package script

import (
	lua "github.com/Shopify/go-lua"

	"kresd/internal/luavalue"
)

// A Shadowed is a table that shows some of its entries only to those who ask
// for them by name: pairs() and the printer see Shown, indexing finds Hidden
// too.
type Shadowed struct{ Shown, Hidden *luavalue.Table }

func (vm *VM) pushShadowed(l *lua.State, s *Shadowed) {
	vm.pushTable(l, s.Shown)
	l.NewTable()
	vm.pushTable(l, s.Hidden)
	l.SetField(-2, "__index")
	l.SetMetaTable(-2)
}
