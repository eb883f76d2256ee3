// Package records shows messages and what is in them to scripts: packets, sets of records,
// records as tables, octets, addresses, and the lists that they stand in.
//
// A script may keep all of it. What belongs to a request is on Loan: it can be used as long
// as the request's own goroutine waits for the script, and is an error afterwards. A packet
// may stand for something else, such as the answer to a request; that is its Origin, which
// package requests knows.
package records
