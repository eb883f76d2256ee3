// Package hints is the module that answers from a table of names and addresses,
// as /etc/hosts does, and that lets an operator replace the root hints.
//
// The table is an immutable snapshot: scripts build the next one, queries read
// the current one. Names in it take the driver's way, where the layer answers A,
// AAAA and PTR before the network is asked; nothing of it is cached. Such an
// answer has no AA bit: the resolver is no authority for the name.
package hints
