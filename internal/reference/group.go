package reference

func group() Chapter {
	return Chapter{Title: "worker, map", Intro: "This process in its group.", Entries: []Entry{
		{Name: "worker", Summary: "this process in its group", Example: "worker.id .. ' of ' .. worker.count"},
		{Name: "worker.id", Summary: "number of this worker, from 0", Example: "if worker.id == 0 then log('first') end"},
		{Name: "worker.count", Summary: "number of workers in the group", Example: "worker.count"},
		{Name: "worker.pid", Summary: "process id", Example: "worker.pid"},
		{
			Name: "worker.stats", Summary: "queries in and out, signs of forgery, and figures of the process",
			Returns: "a table of numbers by name",
			Example: "worker.stats().queries",
		},
		{
			Name: "worker.info", Summary: "worker.stats() and the process id",
			Returns: "a table of numbers by name",
			Example: "worker.info().pid",
		},
		{
			Name: "worker.alive", Summary: "whether this worker answers a question to itself, and somebody one to its address; kresc status asks so",
			Returns: "true, or false and why not",
			Example: "worker.alive()",
		},
		{
			Name: "worker.limits", Summary: "how often each limit was hit; with a name, what is counted there",
			Params:  []string{"name: of a limit"},
			Returns: "a table of numbers by name, or the words about one",
			Example: "worker.limits('cname_chain')",
		},
		{
			Name: "worker.upstreams", Summary: "what is known of other servers",
			Params:  []string{"n: the latest so many; 100 unless given"},
			Returns: "a table by address@port: rtt (milliseconds), timeouts in a row, dead, edns, 0x20, tcp (needs it), no_tcp, tls (answers there, net.tls_opportunistic), age and until (of each of these, and no_tls) in seconds",
			Example: "worker.upstreams(10)",
		},
		{
			Name: "worker.sleep", Summary: "pause this command or coroutine; others have their turn meanwhile",
			Params:  []string{"seconds: a fraction of one, too"},
			Returns: "nothing",
			Example: "worker.sleep(0.01)",
		},
		{
			Name: "worker.coroutine", Summary: "start a function that may wait without holding up anybody",
			Params:  []string{"function: it may call worker.sleep, and what the libraries cqueues and socket have to wait with"},
			Returns: "nothing",
			Example: "worker.coroutine(function() for i = 0, 3 do worker.sleep(0.01) end end)",
		},
		{Name: "worker.bg_worker", Summary: "cq is the controller of worker.coroutine (library cqueues)", Example: "worker.bg_worker.cq:count()"},
		{
			Name: "worker.resolve", Summary: "the same as resolve()",
			Params:  []string{"name: this and the others are those of resolve()"},
			Returns: "whether the question was accepted",
			Example: "worker.resolve('example.com', kres.type.A)",
			Offers:  []string{"", "type", "", "flag"},
		},
		{
			Name: "worker.resolve_pkt", Summary: "resolve the question of a packet in the background; DO and CD count",
			Params:  []string{"packet: such as kres.packet makes", "options: flags as of resolve()", "finish: as of resolve()", "init: as of resolve()"},
			Returns: "whether the question was accepted",
			Example: "local p = kres.packet(512) p:question(todname('example.com'), kres.class.IN, kres.type.A) return worker.resolve_pkt(p, {})",
			Offers:  []string{"", "flag"},
		},
		{
			Name: "map", Summary: "run an expression in all workers and collect the results, ordered by worker",
			Params:  []string{"expression: text, of which each worker gives the first value"},
			Returns: "a list with the value of each worker; n is their number. A worker that fails gives { error = text }",
			Example: "map 'cache.stats()'", Apart: "it needs a control socket",
		},
	}}
}
