// Package requests shows requests to scripts: what is called req, query and answer there, and
// what these lead to.
//
// Views makes the objects for one machine and sees to it that a request is looked at only
// while its own goroutine waits: a script that keeps it longer gets an error and nothing else.
// The answer is a packet (package records) that stands for the Result of the request.
package requests
