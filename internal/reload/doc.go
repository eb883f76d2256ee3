// Package reload is what the reload of a group and that of a process alone have in
// common: the check that comes first, and the account of what was asked for and
// what came of it.
//
// A reload begins with a check of the whole configuration, in a process of its own
// that the kernel lets change nothing (kresd --check-config). A mistake ends it
// there: what is in force stays, whole. Only then does anything change.
//
// Reloads are numbered in the order in which they are asked for, and done one at a
// time. All that are asked for while one is under way are done together by the
// next: a storm of signals costs no more than two.
package reload
