package reference

func anchors() Chapter {
	return Chapter{Title: "trust_anchors", Intro: "The keys that DNSSEC validation starts from.", Entries: []Entry{
		{Name: "trust_anchors", Summary: "keys that validation starts from", Example: "trust_anchors.summary()"},
		{
			Name: "trust_anchors.add", Summary: "add DS or DNSKEY records in zone-file format",
			Params: []string{"'records': a line each"}, Returns: "true",
			Example: "trust_anchors.add('. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D')", Apart: "the other examples' Internet is not signed",
		},
		{
			Name: "trust_anchors.add_file", Summary: "load the anchors of a zone from a file, and keep them up to date there",
			Params: []string{"path: of a file; the root's anchors are fetched into one that is not there", "readonly: true leaves the file as it is"}, Returns: "nothing",
			Example: "trust_anchors.add_file('root.keys', true)", Apart: "it needs the file",
		},
		{
			Name: "trust_anchors.config", Summary: "the same as trust_anchors.add_file",
			Params: []string{"path: as there", "readonly: as there"}, Returns: "nothing",
			Example: "trust_anchors.config('root.keys')", Apart: "it needs the file",
		},
		{
			Name: "trust_anchors.remove", Summary: "forget the anchors of a zone",
			Params: []string{"name: of the zone"}, Returns: "whether there were any",
			Example: "trust_anchors.remove('example.com')",
		},
		{
			Name: "trust_anchors.set_insecure", Summary: "names at and below which nothing is validated; replaces the former ones",
			Params: []string{"{ name | { name =, reason =, expires = } }: names, or tables with a reason for clients and a time in milliseconds"}, Returns: "nothing",
			Example: "trust_anchors.set_insecure({ 'bad.example', { name = 'old.example', reason = 'expired keys', expires = 2 * hour } })",
		},
		{
			Name: "trust_anchors.summary", Summary: "the anchors in words",
			Params: []string{"name: of a zone; without it all"}, Returns: "the text",
			Example: "trust_anchors.summary()",
		},
		{Name: "trust_anchors.file", Summary: "assigning a path is add_file(path)", Example: "trust_anchors.file = 'root.keys'", Apart: "it needs the file"},
		{Name: "trust_anchors.negative", Summary: "assigning a list is set_insecure(list)", Example: "trust_anchors.negative = { 'bad.example' }"},
		{Name: "trust_anchors.insecure", Summary: "names at and below which nothing is validated", Example: "trust_anchors.insecure"},
		{Name: "trust_anchors.keysets", Summary: "all keys by the wire name of their zone", Example: "trust_anchors.keysets['\\0']"},
		{Name: "trust_anchors.hold_down_time", Summary: "milliseconds until a new key is trusted (RFC 5011)", Example: "trust_anchors.hold_down_time = 30 * day"},
		{Name: "trust_anchors.refresh_time", Summary: "milliseconds between two looks at a zone's keys; nil: as RFC 5011 says", Example: "trust_anchors.refresh_time = nil"},
		{Name: "trust_anchors.keep_removed", Summary: "how many removed keys are remembered", Example: "trust_anchors.keep_removed = 0"},
		{Name: "trust_anchors.keyfile_default", Summary: "key file that is used when no other anchor is given; nil: nothing is validated then", Example: "trust_anchors.keyfile_default"},
		{Name: "trust_anchors.bootstrap_url", Summary: "where the root's first anchors come from", Example: "trust_anchors.bootstrap_url"},
		{Name: "trust_anchors.bootstrap_ca", Summary: "file with the certificate by which they are believed; nil: ICANN's, which is built in", Example: "trust_anchors.bootstrap_ca"},
	}}
}
