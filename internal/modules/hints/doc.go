// Package hints is the module that answers from a table of names and addresses,
// as /etc/hosts does, and that lets an operator replace the root hints.
//
// The table is an immutable snapshot: scripts build the next one, queries read
// the current one. A, AAAA and PTR of names in it are answered before the cache or
// the network is asked (hook Own); nothing of it is cached. Such an answer has no AA
// bit: the resolver is no authority for the name. Answers to other names, which may
// hold a hint at the end of a chain, are kept apart by the table (Shape).
package hints
