package language

import (
	"errors"

	"kresd/internal/script"
)

// errUnpatched is what SelfTest returns on a machine without our edits.
var errUnpatched = errors.New("this binary was built with an unpatched Lua machine: run `make lua-vm`, then build again")

// proof needs each edit of scripts/go-lua.patch that changes a result. (The
// others change how long something takes.)
const proof = `
local s = 'a' .. 'b'
local t = setmetatable({}, {__index = function(_, k) return k .. '!' end})
local r = 'x' .. s .. t.y
local keys = {}
for i = 1, 8 do keys['k' .. i] = i end
for k in pairs(keys) do keys[k] = nil end
local ok, e = pcall(error, {code = 3})
local five = -5
local function make() local n = 0 return function() return function() n = n + 1 return n end end end
local one, other = make()(), make()()
return one() == other() and r == 'xaby!' and next(keys) == nil and e.code == 3 and five % 3 == 1`

// SelfTest refuses a machine on which string concatenation breaks metamethods,
// tables cannot be cleared while they are traversed, error values get lost, or
// functions share locals that are not theirs.
func SelfTest(c *script.Call) error {
	if err := c.VM().Load(c.Stack(), proof, "=selftest"); err != nil {
		return errUnpatched
	}
	defer c.Stack().SetTop(c.Stack().Top() - 1)
	if err := c.VM().Machine().ProtectedCall(c.Stack(), 0, 1, 0); err != nil || !c.Stack().ToBoolean(-1) {
		return errUnpatched
	}
	return nil
}
