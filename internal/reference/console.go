package reference

func console() Chapter {
	return Chapter{Title: "Console and output", Entries: []Entry{
		{
			Name: "help", Summary: "what there is, a line an entry; with a name, all about that",
			Params:  []string{"name: of a global or of a member of one, such as 'cache' or 'cache.clear'; or the object itself"},
			Returns: "the text",
			Example: "help('cache.clear')",
		},
		{
			Name: "quit", Summary: "end this process",
			Returns: "nothing; the process answers what it has accepted, and ends",
			Example: "quit()", Apart: "it ends the worker",
		},
		{
			Name: "print", Summary: "write values to the standard output, with tabs between",
			Params:  []string{"...: any values; tostring() makes text of them"},
			Returns: "nothing. A console sees the text before the value of the command",
			Example: "print('workers', worker.count)",
		},
		{
			Name: "log", Summary: "write formatted text to the standard output",
			Params:  []string{"format: as in string.format", "...: the values for it"},
			Returns: "nothing",
			Example: "log('%d entries', cache.count())",
		},
		{
			Name: "warn", Summary: "write formatted text to the standard error",
			Params:  []string{"format: as in string.format", "...: the values for it"},
			Returns: "nothing",
			Example: "warn('the interface %s is missing', 'eth7')",
		},
		{
			Name: "panic", Summary: "raise an error with formatted text",
			Params:  []string{"format: as in string.format", "...: the values for it"},
			Returns: "nothing: who called gets the error; in a configuration file the start fails",
			Example: "if not cache.size then panic('no cache of %d MB', 100) end",
		},
		{
			Name: "table_print", Summary: "a value as the console prints it",
			Params:  []string{"value: anything"},
			Returns: "text that ends with a newline, except for an empty table, whose text is empty",
			Example: "log(table_print(worker.stats()))",
		},
		{
			Name: "tojson", Summary: "a value as JSON",
			Params:  []string{"value: a table whose keys are 1 to n becomes an array, another an object; functions become null"},
			Returns: "the text, in one line",
			Example: "tojson({ name = 'example.com', ttl = 300 })",
		},
		{
			Name: "fromjson", Summary: "the value that JSON text stands for",
			Params:  []string{"text: JSON; what is no JSON is an error"},
			Returns: "a table, text, a number, a boolean or nil; members that are null are left out",
			Example: "fromjson('{\"ttl\": 300}').ttl",
		},
		{
			Name: "eval_cmd", Summary: "run a text as the console would",
			Params:  []string{"text: a command", "raw: true gives the value itself"},
			Returns: "what the console would show, or the first value of the command",
			Example: "eval_cmd('1 + 1', true)",
		},
	}}
}
