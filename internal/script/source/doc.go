// Package source reads Lua text as text: without running it, and without the
// machine.
//
// The machine compiles, and forgets: where a statement begins, in which order the keys
// of a table were written, which locals a command declares, what somebody who has
// typed half a command may mean. All of that is told here from the tokens
// (tokens.go). What is no Lua is read, too, since what people type mostly is none
// yet; then the answers are as good as the words that open and close blocks are.
//
//   - What belongs together: Boundaries (blocks.go), Statement (statements.go),
//     Constructor (constructors.go), Locals (locals.go).
//   - What is meant: Readings of a command (readings.go), the Path at a place (paths.go),
//     what was typed before the cursor (typed.go, quotes.go).
//   - What a text is called, and where its mistakes are: FileChunk and CommandChunk
//     (chunk.go), PlaceSyntaxError (syntax.go), Texts by their names (texts.go).
//
// Whether a text compiles is package command's to find out.
package source
