// Package explain makes words of what the resolver does, for people who read
// along: in the verbose log, in the tree of trace(), and in what the policies
// DEBUG_ALWAYS and its like print.
//
// The parts of the resolver tell steps as data (resolve.Step). Which component of
// the log a step belongs to, what it says, and where it stands in the tree follows
// from its type alone: no text is ever read back. Here is all of the prose, so
// that the resolver has none, and nothing here runs unless somebody reads.
//
// Reading this package: words.go has a sentence for each step; exchange.go those
// for steps within one question to a server; names.go how servers, sets and times
// are written; story.go makes a tree of the steps of a request and the lines of the
// log.
//
// The package decides nothing and keeps nothing of a request. The texts of
// extended errors (RFC 8914), which clients see, are made where failures become
// DNS, in package resolve.
package explain
