// Package selection decides which address of a zone's name servers is asked
// next, and how long its answer is waited for.
//
// What it knows of an address is a Host: the smoothed round-trip time (RFC
// 6298), timeouts in a row, abilities. Hosts live behind the Memory interface,
// so that a table shared between workers can take the place of the map here.
// Whether an answer was useful is iterate's judgement; the driver reports it.
//
// Nothing is sent from here, and no name is resolved.
package selection
