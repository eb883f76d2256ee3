// Package lineedit reads lines that are typed at a terminal: they are edited, remembered and
// completed, and what else is written there stands above them. It serves the console of a
// kresd on a terminal and its client, kresc.
//
// A Screen is the terminal: it gives each key as it is typed, and is left as it was found. An
// Editor reads lines from it. Between two lines the keys go on being read (keys.go), so that
// Ctrl-C ends the command that runs.
//
// What octets mean is decode.go's, what keys do to a line is line.go's and, for its history,
// search.go's; paint.go knows where characters stand, also those that take two columns. What
// a word may become is asked of whoever has the Editor, and listed by complete.go.
//
// What a line means, and where a command ends that has several, is not known here.
package lineedit
