// Package taupdate is the module ta_update, which follows the keys of the zones that
// trust anchors are for (RFC 5011).
//
// The anchors of a key file that is not read-only are kept up to date: the zone's
// DNSKEY set is asked for, without the cache, judged by the keys that are trusted,
// and what follows (package trustanchor) is in force at once and written to the file.
// Of all workers, of this group and of others, that use one file, one does this: who
// holds the lock of the file. The others look each second whether the file has
// changed, and whether the lock is free.
//
// The keys of other anchors are only watched, by one worker of a group: that they
// have changed is told, so that the operator can act before validation fails.
//
// Reading this package: follower.go (which zones are followed), zone.go (one of
// them: its file, its lock, its time), look.go (what its servers show), options.go
// (what scripts set).
package taupdate
