package reference

func cacheChapter() Chapter {
	return Chapter{Title: "cache", Intro: "One cache on disk that all workers share.", Entries: []Entry{
		{
			Name: "cache", Summary: "the cache that all workers share",
			Example: "cache = { size = 100 * MB, storage = 'lmdb://.' }",
		},
		{
			Name: "cache.open", Summary: "open the cache with a limit of size",
			Params:  []string{"max_size: in bytes", "uri: lmdb://PATH, relative to the run directory, which lmdb:// itself is"},
			Returns: "true",
			Example: "cache.open(100 * MB, 'lmdb://.')",
		},
		{
			Name: "cache.close", Summary: "close the cache; what it holds stays on disk",
			Returns: "true, or nothing when none was open",
			Example: "cache.close()", Apart: "others need the cache",
		},
		{Name: "cache.size", Summary: "maximum size in bytes; assigning opens the cache again", Example: "cache.size = 100 * MB"},
		{Name: "cache.storage", Summary: "where the cache is, lmdb://PATH; assigning opens it there", Example: "cache.storage = 'lmdb://.'"},
		{Name: "cache.current_size", Summary: "maximum size of the open cache in bytes, 0 when closed", Example: "cache.current_size / MB"},
		{Name: "cache.current_storage", Summary: "where the cache is that was opened last", Example: "cache.current_storage"},
		{
			Name: "cache.backends", Summary: "kinds of storage, and which is in use",
			Returns: "a table by the beginnings of URIs; true for what is in use",
			Example: "cache.backends()",
		},
		{
			Name: "cache.count", Summary: "number of entries",
			Returns: "the number; an error when the cache is closed",
			Example: "cache.count()",
		},
		{
			Name: "cache.stats", Summary: "counters of this process",
			Returns: "a table; further counters than it shows are found by name, such as cache.stats().aggressive_hit",
			Example: "cache.stats().hit",
		},
		{
			Name: "cache.max_ttl", Summary: "longest time that anything is kept",
			Params:  []string{"seconds: from now on, at least cache.min_ttl()"},
			Returns: "the time in seconds",
			Example: "cache.max_ttl(86400)",
		},
		{
			Name: "cache.min_ttl", Summary: "shortest time that anything is kept; raising it beyond a few seconds breaks DNS",
			Params:  []string{"seconds: from now on, at most cache.max_ttl()"},
			Returns: "the time in seconds",
			Example: "cache.min_ttl(5)",
		},
		{
			Name: "cache.ns_tout", Summary: "how long an address that does not answer is left alone",
			Params:  []string{"ms: milliseconds from now on"},
			Returns: "the time in milliseconds",
			Example: "cache.ns_tout(minute)",
		},
		{
			Name: "cache.get", Summary: "what is stored about a name and may still be used",
			Params:  []string{"name: whatever its case", "type: of records, such as kres.type.AAAA; without it all"},
			Returns: "a list of tables, empty where nothing is stored; an error when the cache is closed",
			Example: "cache.get('example.com', 'A')",
		},
		{
			Name: "cache.checkpoint", Summary: "when this worker's cache was opened or cleared last; or write a copy of all that is in it to a file",
			Params:  []string{"true | path: true sets that time to now; a path is of the file, which another kresd of this version can begin with as its data.mdb"},
			Returns: "a table with monotime in milliseconds and walltime with sec and usec; the number of entries of a copy",
			Example: "cache.checkpoint('backup.mdb')",
		},
		{
			Name: "cache.fssize", Summary: "size of the file system that the cache is on, or would be",
			Returns: "bytes",
			Example: "cache.size = cache.fssize() / 2", Apart: "it needs that much room",
		},
		{
			Name: "cache.prune", Summary: "forget what has expired",
			Params:  []string{"n: at most so many entries"},
			Returns: "how many were forgotten",
			Example: "cache.prune(1000)",
		},
		{
			Name: "cache.clear", Summary: "forget everything, a subtree, a name, or a name and type; to forget that a name did not exist clear its whole zone",
			Params: []string{
				"name: what is forgotten is this and all below it; without it everything",
				"exact_name: true for this name alone",
				"rr_type: for this type alone, such as kres.type.AAAA; with exact_name only",
				"chunk_size: entries at a time, 100 unless given",
				"callback: function(name, exact_name, rr_type, chunk_size, self, prev_state, result), called after each chunk instead of going on",
				"prev_state: what that function gave before",
			},
			Returns: "a table: count; chunk_limit where more remains; not_apex and subtree where proofs of absence stay with a zone above; round",
			Example: "cache.clear('example.com').count",
		},
	}}
}
