// Package dnslua shows DNS to scripts: it makes the table kres, with what is in the packages
// below it, and the worker as kres.context() shows it.
//
// From the ground up, and each of these imports only those before it: terms (numbers and
// their names, flags, what scripts write for them), message (a message that is built and
// read, without Lua), records (packets, sets and records as objects), requests (requests
// and queries, as long as a script may look at them), and the libraries zonefile and ffi.
// What scripts hold are handles over Go values. The globals that act (resolve, policy,
// cache) are in the packages of bindings and stand on these.
package dnslua
