package reference

func hints() Chapter {
	return Chapter{Title: "hints", Intro: "Names of the operator's own, answered before anybody is asked.", Entries: []Entry{
		{Name: "hints", Summary: "names and addresses of the operator's own; hints['name'] = 'address' adds one", Example: "hints['box.example'] = '192.0.2.7'"},
		{
			Name: "hints.config", Summary: "configure the module",
			Params: []string{"options: a path of a hosts file"}, Returns: "nothing",
			Example: "hints.config()",
		},
		{
			Name: "hints.set", Summary: "add an address to a name",
			Params: []string{"'name address': separated by a blank"}, Returns: "{ result = true }, or false and the reason",
			Example: "hints.set('box.example 192.0.2.7')",
		},
		{
			Name: "hints.del", Summary: "remove a name, or one of its addresses",
			Params: []string{"'name[ address]': what to remove"}, Returns: "{ result = true }, or false and the reason",
			Example: "hints.set('old.example 192.0.2.9') hints.del('old.example')",
		},
		{
			Name: "hints.get", Summary: "addresses of a name, or all of them",
			Params: []string{"name: in presentation format", "most: without a name, how many of all, those that come first by their names"}, Returns: "a list of addresses, or a table of such lists by name; with most, also how many names there are",
			Example: "hints.get('box.example')",
		},
		{
			Name: "hints.add_hosts", Summary: "add what a hosts file says",
			Params: []string{"path: /etc/hosts unless given"}, Returns: "{ result = true }, with skipped, the number of lines that were wrong",
			Example: "hints.add_hosts('/etc/hosts')",
		},
		{
			Name: "hints.root", Summary: "root hints, or replace them",
			Params: []string{"{ name = address | list }: servers of the root and their addresses"}, Returns: "the table of what holds",
			Example: "hints.root()['a.root-servers.net.']",
		},
		{
			Name: "hints.root_file", Summary: "replace the root hints by a zone file, or by the built-in ones",
			Params: []string{"path: of a zone file"}, Returns: "the table of what holds",
			Example: "hints.root_file('/usr/share/dns/root.hints')", Apart: "it needs the file",
		},
		{
			Name: "hints.use_nodata", Summary: "whether a known name without the asked type has no data",
			Params: []string{"true | false: false asks the DNS for other types"}, Returns: "{ result = true }",
			Example: "hints.use_nodata(true)",
		},
		{
			Name: "hints.ttl", Summary: "TTL of answers",
			Params: []string{"seconds: from now on"}, Returns: "the TTL in seconds",
			Example: "hints.ttl(60)",
		},
	}}
}
