package reference

func statistics() Chapter {
	return Chapter{Title: "stats, bogus_log, querylog", Intro: "Modules that count; they have to be loaded.", Entries: []Entry{
		{Name: "stats", Summary: "counts answers, samples questions and round trips", Example: "modules.load('stats')"},
		{
			Name: "stats.get", Summary: "value of a counter",
			Params: []string{"name: of the counter"}, Returns: "the number, nil if there is none",
			Example: "stats.get('answer.total')",
		},
		{
			Name: "stats.set", Summary: "give a counter a value; a new name makes a counter",
			Params: []string{"'name value': separated by a blank; stats['name'] = value does the same"}, Returns: "nothing",
			Example: "stats.set('filter.match 5')",
		},
		{
			Name: "stats.list", Summary: "counters, or those that begin so",
			Params: []string{"prefix: the beginning of names"}, Returns: "a table of numbers by name",
			Example: "stats.list('answer.')",
		},
		{
			Name: "stats.frequent", Summary: "what was asked of other servers most often: one question in 10 is counted",
			Returns: "a list of tables with count, name and type",
			Example: "stats.frequent()",
		},
		{
			Name: "stats.clear_frequent", Summary: "forget what was asked often",
			Returns: "nothing",
			Example: "stats.clear_frequent()",
		},
		{
			Name: "stats.upstreams", Summary: "latest round trips to other servers by address, in milliseconds",
			Returns: "a table of lists by address",
			Example: "stats.upstreams()",
		},
		{Name: "bogus_log", Summary: "logs and counts answers that failed validation", Example: "modules.load('bogus_log')"},
		{
			Name: "bogus_log.frequent", Summary: "what failed validation most often",
			Returns: "a list of tables with count, name and type",
			Example: "bogus_log.frequent()",
		},
		{
			Name: "querylog", Summary: "writes a line of JSON for each question of a client, or for those that failed or were blocked",
			Example: "modules = { querylog = { which = 'failed', file = 'failed.json' } }",
		},
		{
			Name: "querylog.config", Summary: "configure the module",
			Params:  []string{"options: a table with which ('all', 'failed' or 'blocked'), sample (one in so many), clients (true: who asked), and one of file, socket (their paths) and journal (true)"},
			Returns: "nothing",
			Example: "querylog.config({ which = 'blocked', clients = true, journal = true })",
		},
		{
			Name: "querylog.stats", Summary: "what became of questions that were to be logged",
			Returns: "a table with written, dropped (the log did not keep up) and failed (its file or socket took nothing)",
			Example: "querylog.stats()",
		},
	}}
}
