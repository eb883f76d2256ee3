// Package proctest lets tests work on the real kresd from outside: it builds the
// binary, starts groups of workers on free loopback ports, speaks to their
// control sockets, keeps a steady stream of queries whose every single one is
// tracked to its answer, and enters a network namespace where a test needs port
// 53 of many addresses.
//
// It knows nothing of the inside of kresd: only its command line, its run
// directory and DNS. It is for tests; nothing in the program imports it.
package proctest
