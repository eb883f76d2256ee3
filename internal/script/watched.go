package script

import (
	lua "github.com/Shopify/go-lua"

	"kresd/internal/luavalue"
	"kresd/internal/script/machine"
)

// A Watched is a table that tells of the keys that are read from it by name and
// that it does not have.
type Watched struct {
	Table   *luavalue.Table
	Missing func(c *Call, key any)
}

func (vm *VM) pushWatched(l *lua.State, w *Watched) {
	vm.pushTable(l, w.Table)
	l.NewTable()
	l.PushGoFunction(vm.m.Caught("a missing key", func(l *lua.State) int {
		w.Missing(&Call{vm: vm, l: l, args: l.Top()}, l.ToValue(2))
		return 0
	}))
	l.SetField(-2, "__index")
	l.SetMetaTable(-2)
}

// Missed says what a script learns that indexes the nil which it is given for name now, in
// place of the machine's words; as Absent does for names that are known before. Only the
// last is remembered.
func (c *Call) Missed(name, told string) {
	c.vm.absent.remember(missedRead{name: name, where: machine.Position(c.l), told: told, value: true})
}
