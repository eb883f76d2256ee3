// Package house holds the rules of this house as tests, for the rules that no
// compiler knows: what may import what, who reads the clock, who starts a
// goroutine, that no package variable holds state, and that texts and constants
// say the same. It has no code of its own.
//
// A rule that stands in the way is a question about the design: change that
// first, ARCHITECTURE.md with it, and the rule last. The command mutants beside it
// breaks the code on purpose and tells what no test notices.
package house
