// Package servertable is a table in a file that all workers map into memory:
// what one of them learns about an address, the others know.
//
// It keeps fixed records by address and kind, and does not know what they mean
// (package selection does). The file has a fixed size, is made once under a temporary
// name, and is never repaired: one that is foreign, damaged, of another version
// or from before the machine was started is replaced by an empty one. Nothing
// in it is needed; every record may be lost at any time.
//
// There is no lock that a dead process could keep. A record is believed when its
// checksum fits, so one that is being written, or that was left half written, is
// merely not known. Writers take turns by a compare-and-swap on the record's
// first word, which holds a count and the time; a turn that lasts too long
// belongs to somebody who was killed or stopped and is taken over. Forgetting
// everything is one addition: the epoch is part of every checksum.
//
// Beside the records lie leases, by which processes tell each other that they are
// at something (lease.go).
//
// Reading this package:
//
//   - table.go: a Table, and how a record is found, changed and replaced
//   - key.go, slot.go: a record and its key as words in memory, and turns of writing
//   - lease.go: leases
//   - file.go: the file, and which files are not used
//   - fault.go: what happens when the file is cut off under the mapping
//
// Absent: growing, waiting, and any system call after Open.
package servertable
