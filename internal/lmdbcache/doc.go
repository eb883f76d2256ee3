// Package lmdbcache is bytes in an LMDB map that all workers of a host share:
// get, floor, put, remove a range, clear.
//
// It hides transactions, batching, the writer pinned to its OS thread, a full
// map, a clear by another worker, dead readers, damaged and foreign files and
// the versions of their content. The file is disposable: it survives kill -9 of
// any process at any instruction, it may be lost with the machine's power, and
// whatever looks wrong with it is put aside, never repaired.
//
// Reads walk the pages of the map in Go (tree.go) and never call LMDB: a Reader
// finds out by itself whether a writer has overtaken it (reader.go). So a lookup
// costs no call into C, allocates nothing even when it finds nothing, waits for
// nobody, and a damaged page is a miss instead of an assertion that ends the
// process.
//
// LMDB works for writers alone, without its locks, which are memory that all
// processes share and hang on garbage. Ours is the kernel's (filelock.go); lock.mdb
// is there for other programs only (foreign.go).
//
// Writes go through one goroutine per Store (writer.go). Nobody waits for them:
// a cache may forget, so Put cannot fail.
//
// The package knows no DNS: keys are ordered bytes, values are opaque, and what
// an entry is worth is asked from the caller. Keys that start with two zero
// bytes are the store's own. It never reads the wall clock to judge data.
package lmdbcache
