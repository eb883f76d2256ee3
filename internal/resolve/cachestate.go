package resolve

import "kresd/internal/dnsname"

// CacheState is what the cache layer remembers about one request between steps.
type CacheState struct {
	// Looked tells that the cache was looked into, and Clears is its clear number
	// then: what the request reads may be as old as that.
	Looked bool
	Clears uint64
	// Fingerprint is that of the configuration when the request began.
	Fingerprint uint64
	// Blank is the last name that was looked for, if nothing at all was stored under
	// it, so that this need not be found out again when something is to be stored.
	Blank dnsname.Name
}
