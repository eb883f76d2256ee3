package reference

func policies() Chapter {
	return Chapter{Title: "policy", Intro: "Rules about questions by their names. The first rule whose action ends the matter is the last one; what a constant or function in capitals makes is an action.", Entries: []Entry{
		{Name: "policy", Summary: "rules about questions by their names", Example: "policy.add(policy.suffix(policy.DENY, { todname('example.') }))"},
		{
			Name: "policy.add", Summary: "add a rule behind the others",
			Params:  []string{"rule: of policy.suffix and the like, or function(request, query)", "postrule: true for a rule about answers"},
			Returns: "the rule in force, with id, count and others",
			Example: "policy.add(policy.all(policy.PASS)).id",
		},
		{
			Name: "policy.del", Summary: "take out a rule",
			Params:  []string{"id: that policy.add gave"},
			Returns: "whether there was such a rule",
			Example: "policy.del(policy.add(policy.all(policy.PASS)).id)",
		},
		{
			Name: "policy.all", Summary: "rule for every question",
			Params: []string{"action: what to do"}, Returns: "a rule",
			Example: "policy.add(policy.all(policy.PASS))",
		},
		{
			Name: "policy.suffix", Summary: "rule for names and all below them",
			Params: []string{"action: what to do", "{ name }: names in wire form"}, Returns: "a rule",
			Example: "policy.add(policy.suffix(policy.REFUSE, policy.todnames({ 'example.org', 'example.net' })))",
		},
		{
			Name: "policy.suffix_common", Summary: "suffix with a name that all have in common, looked at first",
			Params: []string{"action: what to do", "{ name }: names in wire form", "common: in wire form, the parent of all of them"}, Returns: "a rule",
			Example: "policy.add(policy.suffix_common(policy.DENY, policy.todnames({ 'a.example', 'b.example' }), todname('example')))",
		},
		{
			Name: "policy.domains", Summary: "rule for exactly these names",
			Params: []string{"action: what to do", "{ name }: names in wire form"}, Returns: "a rule",
			Example: "policy.add(policy.domains(policy.DENY, policy.todnames({ 'www.example.org' })))",
		},
		{
			Name: "policy.pattern", Summary: "rule for names whose wire form matches a Lua pattern",
			Params: []string{"action: what to do", "pattern: as of string.match, of names in wire form"}, Returns: "a rule",
			Example: "policy.add(policy.pattern(policy.DENY, '\\4bad[0-9]\\2cz'))",
		},
		{
			Name: "policy.rpz", Summary: "rule for the names in a response policy zone, a file that is read again when it changes",
			Params:  []string{"action: what to do about names whose CNAME leads to '.' or '*.'", "path: of the file", "watch: false to read it at a start and a reload only", "{ watch = boolean, nodata = boolean }: likewise; with nodata a CNAME to '*.' says that the name has no data"},
			Returns: "a rule",
			Example: "policy.add(policy.rpz(policy.DENY, 'blocklist.rpz'))", Apart: "it needs the file",
		},
		{
			Name: "policy.slice", Summary: "rule that has one of several actions for each name, so that each of several resolvers sees a part of the questions only",
			Params:  []string{"function(query, count): gives a number from 1 to count, or nil; policy.slice_randomize_psl makes one", "action, …: one for each slice"},
			Returns: "a rule",
			Example: "policy.add(policy.slice(policy.slice_randomize_psl(1), policy.FORWARD('192.0.2.1'), policy.FORWARD('192.0.2.2')))",
		},
		{
			Name: "policy.slice_randomize_psl", Summary: "function for policy.slice that puts all names below one registrable domain into one slice, and chooses that at random",
			Params:  []string{"seed: a number that is not negative; another one distributes the domains anew, and without one each week does"},
			Returns: "a function",
			Example: "policy.slice_randomize_psl(7)",
		},
		{
			Name: "policy.todnames", Summary: "make wire names of the names in a table",
			Params: []string{"{ name }: a list of names, which is changed"}, Returns: "that list",
			Example: "policy.todnames({ 'example.com', 'example.org' })",
		},
		{Name: "policy.PASS", Summary: "resolve the question; no further rules", Example: "policy.add(policy.suffix(policy.PASS, { todname('good.example') }))"},
		{Name: "policy.DENY", Summary: "answer that the name does not exist", Example: "policy.add(policy.suffix(policy.DENY, { todname('bad.example') }))"},
		{
			Name: "policy.DENY_MSG", Summary: "DENY with a text for the client",
			Params: []string{"text: for the client", "extended error: such as kres.extended_error.BLOCKED"}, Returns: "an action",
			Example: "policy.add(policy.suffix(policy.DENY_MSG('blocked by the house'), { todname('bad.example') }))",
		},
		{Name: "policy.DROP", Summary: "fail: the client gets SERVFAIL", Example: "policy.add(policy.suffix(policy.DROP, { todname('bad.example') }))"},
		{Name: "policy.REFUSE", Summary: "answer REFUSED", Example: "policy.add(policy.suffix(policy.REFUSE, { todname('bad.example') }))"},
		{Name: "policy.NO_ANSWER", Summary: "do not answer", Example: "policy.add(policy.suffix(policy.NO_ANSWER, { todname('bad.example') }))"},
		{Name: "policy.TC", Summary: "make the client come by TCP", Example: "policy.add(policy.suffix(policy.TC, { todname('big.example') }))"},
		{
			Name: "policy.FORWARD", Summary: "ask other resolvers; the fastest of those that answer is asked first",
			Params: []string{
				"'address[@port]': of these, four at most",
				"'URL': https://host[:port]/path, tls://host[:port] or quic://host[:port], a server that is asked by DNS over HTTPS, TLS or QUIC only. Its certificate must be for the host, and an authority that the system trusts must vouch for it",
				"{ servers }: those and tables { URL, address = addresses, pin_sha256 = pins | hostname = names, ca_file = files | insecure = true }. The address is that of the host, unless the host is one; nobody is asked for it. The others as in policy.TLS_FORWARD",
			},
			Returns: "an action",
			Example: "policy.add(policy.suffix(policy.FORWARD({ '192.0.2.1', { 'https://dns.example/dns-query', address = '192.0.2.2' } }), { todname('corp.example') }))",
		},
		{
			Name: "policy.TLS_FORWARD", Summary: "ask other resolvers by DNS over TLS, never in the clear; one that does not prove who it is gets no question",
			Params: []string{
				"'address[@port]': of the server, port 853 unless given; four servers at most, each a table that begins so and has one of the following; without, what net.tls_client says counts",
				"pin_sha256 = pins: the base64 text of the SHA-256 of the key in the server's own certificate, or a list of them, one of which must be that of the server",
				"hostname = names[, ca_file = files]: a name, or a list, of which the server's certificate must have one, and files of certificates (PEM) of which one must vouch for it; without, those that the system trusts. The first name is sent to the server (SNI). With insecure = true instead of both any server is taken",
			},
			Returns: "an action",
			Example: "policy.add(policy.all(policy.TLS_FORWARD({ { '192.0.2.1', pin_sha256 = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=' }, { '2001:db8::1', hostname = 'dns.example' } })))",
		},
		{
			Name: "policy.STUB", Summary: "ask other servers and believe them",
			Params: []string{"'address[@port]' | 'URL' | { servers }: of servers of the names, as in policy.FORWARD"}, Returns: "an action",
			Example: "policy.add(policy.suffix(policy.STUB('192.0.2.1'), { todname('lan.example') }))",
		},
		{
			Name: "policy.MIRROR", Summary: "send a copy of the question to a server by UDP, and go on",
			Params: []string{"'address[@port]': of the server"}, Returns: "an action",
			Example: "policy.add(policy.suffix(policy.MIRROR('192.0.2.1'), { todname('example.net') }))",
		},
		{
			Name: "policy.REROUTE", Summary: "rewrite addresses in answers; for rules about answers",
			Params: []string{"{ [subnet] = target }: the network, or an address, and the address that gives the first bits; with ! before it, what all become. A list of { subnet, target }, too"}, Returns: "an action",
			Example: "policy.add(policy.all(policy.REROUTE({ ['192.0.2.0/24'] = '198.51.100.0' })), true)",
		},
		{
			Name: "policy.FLAGS", Summary: "change flags of the request",
			Params: []string{"names: a flag or a list of them, which are set", "names to clear: likewise"}, Returns: "an action",
			Example: "policy.add(policy.suffix(policy.FLAGS('NO_CACHE'), { todname('example.net') }))",
			Offers:  []string{"flag", "flag"},
		},
		{
			Name: "policy.ANSWER", Summary: "answer with this data",
			Params: []string{"{ [type] = { rdata = wire, ttl = seconds } }: the data by type; rdata may be a list", "nodata: true denies other types, else they are resolved"}, Returns: "an action",
			Example: "policy.add(policy.domains(policy.ANSWER({ [kres.type.A] = { rdata = kres.str2ip('192.0.2.7'), ttl = 300 } }), { todname('box.example') }))",
		},
		{Name: "policy.QTRACE", Summary: "write the answers of other servers to the log", Example: "policy.add(policy.suffix(policy.QTRACE, { todname('odd.example') }))"},
		{Name: "policy.REQTRACE", Summary: "write the question to the log", Example: "policy.add(policy.suffix(policy.REQTRACE, { todname('odd.example') }))"},
		{Name: "policy.IPTRACE", Summary: "write the question and who asks it to the log", Example: "policy.add(policy.suffix(policy.IPTRACE, { todname('odd.example') }))"},
		{Name: "policy.DEBUG_ALWAYS", Summary: "write every step to the log", Example: "policy.add(policy.suffix(policy.DEBUG_ALWAYS, { todname('odd.example') }))"},
		{Name: "policy.DEBUG_CACHE_MISS", Summary: "write every step to the log if the cache did not know the answer", Example: "policy.add(policy.suffix(policy.DEBUG_CACHE_MISS, { todname('odd.example') }))"},
		{
			Name: "policy.DEBUG_IF", Summary: "write every step to the log if a function says so at the end",
			Params: []string{"function(req): true for yes"}, Returns: "an action",
			Example: "policy.add(policy.all(policy.DEBUG_IF(function(req) return false end)))",
		},
		{Name: "policy.rules", Summary: "rules for questions", Example: "#policy.rules"},
		{Name: "policy.postrules", Summary: "rules for answers", Example: "#policy.postrules"},
		{Name: "policy.special_names", Summary: "built-in rules, tried last", Example: "policy.special_names[1]"},
	}}
}
