// Package policy is the module that decides about questions by their names:
// refuse, deny, answer, forward, let pass.
//
// A Rule is a filter and an action, both Go values that are never changed once
// made. Rules are kept in an immutable snapshot that scripts replace and queries
// read without a lock. They are tried in the order in which they were added, and
// the special names of RFC 6761, RFC 6303 and others last; the first action that
// decides ends the search. Rules for answers (postrules) look at the Result
// before it is sent.
//
// The fast verdict sends a question the driver's way only when a rule may do
// something to it. Names that no rule touches, and those that a rule lets pass
// or forwards, are served from the cache on the listener's thread: answers made
// under other forwarding rules have another fingerprint (Policy.Fingerprint).
//
// The package runs no Lua. What a script decides comes in as a function
// (Rule.Pick, Action.Run) that package bindings makes. Absent are response
// policy zones, forwarding over TLS, mirroring and the rewriting of addresses.
package policy
