// Package rules is the engine that modules which decide about questions stand on:
// policy today, and whatever else says "for these questions, do that".
//
// A Rule is a Filter and an Action, both values that are never changed once made
// (filter.go, action.go). A Table keeps rules in the order in which they are
// tried and finds those that are for a question without a look at the others
// (table.go, index.go): all names of all rules are in one index, so that a
// question costs one look-up for each of its labels, whether there are ten rules
// or ten thousand. A rule about no names in particular (all, pattern, a script's
// function, a condition about the client alone) is tried by itself in its turn.
//
// The names of a list that comes from a file, each with what is to be done about it, are a
// Listing (listing.go), which another one takes the place of when the file has changed
// (List). A rule that goes by one is tried by itself, too, by one look-up for each label.
//
// What a question looks like to a filter is a Subject (subject.go), the same on
// the listener's thread and on the driver's way. Whatever else a filter wants to
// know about it, the client's network or the addresses in the answer, is a
// Condition, which its module brings along.
//
// On the driver's way Table.Try runs actions on a request. On the listener's
// thread Table.Decide says what Try would come to, if that can be told without a
// request: actions that answer without looking anything up carry their answer
// with them, prepared when the action was made.
//
// Servers that questions are sent to are Servers as operators write them (server.go), a
// cut once a rule is made (forward.go), and spoken to as Peers say where the rule itself
// does not (peers.go).
//
// The package runs no Lua, reads no file and writes no log. What a script decides
// comes in as a function (Rule.Pick, Run). What is worth a line in the log belongs
// to the module that brings such an action.
package rules
