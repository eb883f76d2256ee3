package script

import (
	"fmt"
	"strings"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script/machine"
)

// Options.Withhold keeps scripts from changing anything outside of the process.

// Withheld is called by functions that are about to change something outside of the
// process, or to ask somebody outside. True: the function does nothing and returns what it
// would on success; Options.Withhold has been told.
func (c *Call) Withheld(format string, args ...any) bool {
	if c.vm.opts.Withhold == nil {
		return false
	}
	c.vm.opts.Withhold(c.placeOfUser(), fmt.Sprintf(format, args...))
	return true
}

// placeOfUser is the position, "file:line: ", of the innermost code that is no library's.
func (c *Call) placeOfUser() string {
	for level := 0; ; level++ {
		f, ok := lua.Stack(c.l, level)
		if !ok {
			return c.Position()
		}
		if d := machine.FrameInfo(c.l, "Sl", f); d.CurrentLine > 0 && strings.HasPrefix(d.Source, "@") && !c.vm.libraryTexts[d.Source] {
			return machine.Located(d, true)
		}
	}
}
