// Package policy is the module that decides about questions by their names:
// refuse, deny, answer, forward, let pass.
//
// It has three tables of rules (package rules): those for questions, those for
// answers (postrules), and those about the special names of RFC 6761, RFC 6303 and
// others, which are tried when no rule for questions has decided and no other module
// has the name on the operator's word (special.go). Rules that forward are asked for the
// targets of aliases, too (rules.Table.Route).
// Filters and most actions are the engine's; its own are those that write to the
// log (trace.go, dump.go) and the one that sends copies of questions (mirror.go).
//
// On the listener's thread a question is answered, dropped, or goes on to the
// cache, wherever that can be told without a request (layer.go). Names that a rule
// lets pass or forwards are served from the cache there: answers made under other
// forwarding rules have another fingerprint (Policy.Fingerprint).
//
// Files of response policy zones are read (package rpz) into lists that rules go by, and
// read again when they change (lists.go). What was read before stays in force where they
// cannot be used any more.
//
// The package runs no Lua. What a script decides comes in as a function
// (rules.Rule.Pick, rules.Run) that package bindings makes.
package policy
