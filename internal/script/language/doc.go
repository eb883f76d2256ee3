// Package language completes the machine's libraries to those of Lua 5.1, as scripts
// written for LuaJIT expect them.
//
// The machine (github.com/Shopify/go-lua) brings a language close to Lua 5.2 and
// libraries that lack patterns, files, dates and coroutines, take letters of Unicode for
// octets, and can be broken by bytecode. Open opens them, puts a recover around each of
// their functions, and replaces what is missing or wrong: a file here for each library,
// as a list of script.Func. What still differs from Lua 5.1 is in the manual's list, which a
// test holds to the truth; most tests run the same script under lua5.1 and luajit.
//
// What waits for somebody else (a pipe, a command of the shell) leaves the machine to
// others meanwhile, and not for ever. What would change something outside of the
// process happens in memory where script.Options.Withhold is set (withheld.go).
//
// Nothing here knows of the console, of configuration or of DNS.
package language
