// Package lualayer makes modules of tables that scripts return: of a file NAME.lua, a
// module with a layer whose hooks are functions of the script.
//
// A hook runs on the Lua machine while the goroutine of its request waits, which no
// other request does. What it sees and changes are the objects of package dnslua; this
// package says when a hook is called, with what state, and what its result and its
// changes mean to the resolution. A function that raises an error, or takes too long, ends
// its request and nothing else.
//
// A layer makes those questions take the driver's way that its hooks are called for
// (module.Sight). Where no such module is loaded, nothing here costs a query anything.
//
// load.go finds a module and opens it, hooks.go calls its functions, layer.go is the
// layer, and packet.go turns outcomes into packets and back.
package lualayer
