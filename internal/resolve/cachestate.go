package resolve

// CacheState is what the cache layer remembers about one request between steps.
type CacheState struct {
	// Looked tells that the cache was looked into, and Clears is its clear number
	// then: what the request reads may be as old as that.
	Looked bool
	Clears uint64
	// Fingerprint is that of the configuration when the request began.
	Fingerprint uint64
}
