// Package view is the module view: rules that are for some clients only, by the network
// that they come from or ask in, or by the key that they sign their questions with.
//
// A rule is one as package policy's with a condition beside it; all views are one table of
// package rules, tried in the order of addition until one decides. What a view decides is
// final for it; what it lets be resolved goes on to the modules behind, so that
// modules.list() says whether views or policy come first. Where both name servers, the
// module behind has the last word.
//
// Clients for whom a view names servers, or lets pass what others are not let, have their
// answers apart from those of others (rules.Table.KeepApart); all others share them. On the
// listener's thread views decide like policy does. A question that is signed takes the
// driver's way there as long as there are keys or rules by keys.
//
// Keys are in tsig.go. A rule by a key whose secret is known (view.tsig_key) is for questions
// whose signature is right; wrong ones are refused and answers are signed (RFC 8945). Of
// other keys the name alone is compared, as the manual of Knot Resolver has it.
package view
