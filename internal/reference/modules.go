package reference

func loading() Chapter {
	return Chapter{Title: "modules", Entries: []Entry{
		{Name: "modules", Summary: "loaded modules; assigning a table loads and configures", Example: "modules = { 'hints > iterate', 'stats' }"},
		{
			Name: "modules.list", Summary: "loaded modules in the order in which they are called",
			Returns: "a list of names",
			Example: "modules.list()",
		},
		{
			Name: "modules.load", Summary: "load a module at the end, after or before another one",
			Params:  []string{"'name[ > other | < other]': the module, and after (>) or before (<) which"},
			Returns: "true",
			Example: "modules.load('serve_stale < cache')",
			Offers:  []string{"module"},
		},
		{
			Name: "modules.unload", Summary: "unload a module",
			Params:  []string{"name: of a loaded module"},
			Returns: "true",
			Example: "modules.load('stats') modules.unload('stats')", Apart: "other examples need the module",
			Offers: []string{"loaded"},
		},
	}}
}
