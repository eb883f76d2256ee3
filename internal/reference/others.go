package reference

func others() Chapter {
	return Chapter{Title: "Other modules", Intro: "Those without functions are there so that scripts can tell whether they are loaded.", Entries: []Entry{
		{Name: "workarounds", Summary: "asks known broken servers differently (load as 'workarounds < iterate')", Example: "modules.load('workarounds < iterate')"},
		{
			Name: "workarounds.config", Summary: "configure the module",
			Params: []string{"options: a table of flags by name"}, Returns: "nothing",
			Example: "workarounds.config({})",
		},
		{
			Name: "workarounds.add", Summary: "ask differently about a name and all below it",
			Params: []string{"name: in presentation format", "flag | { flag, … }: such as NO_0X20, NO_EDNS, NO_MINIMIZE, TCP, NO_IPV4, NO_IPV6, NO_THROTTLE"}, Returns: "nothing",
			Example: "workarounds.add('broken.example', 'NO_0X20')",
			Offers:  []string{"", "flag"},
		},
		{
			Name: "workarounds.del", Summary: "remove a rule",
			Params: []string{"name: of the rule"}, Returns: "false if there is none",
			Example: "workarounds.del('broken.example')",
		},
		{
			Name: "workarounds.list", Summary: "rules: name and flags",
			Returns: "a table of flags by name",
			Example: "workarounds.list()",
		},
		{Name: "rebinding", Summary: "refuses answers in which strangers name private addresses (load as 'rebinding < iterate')", Example: "modules.load('rebinding < iterate')"},
		{Name: "refuse_nord", Summary: "refuses questions whose RD bit is not set", Example: "modules.load('refuse_nord')"},
		{Name: "renumber", Summary: "changes addresses of some networks in answers to those of others", Example: "modules = { renumber = { { '10.10.10.0/24', '192.168.1.0' } } }"},
		{
			Name: "renumber.config", Summary: "configure the module",
			Params: []string{"options: a list of { subnet, target }, as of policy.REROUTE, in the place of what was before"}, Returns: "nothing",
			Example: "renumber.config({ { '10.10.10.0/24', '192.168.1.0' }, { '2001:db8::/32', '!fd00::1' } })",
		},
		{Name: "dns64", Summary: "makes IPv6 addresses for hosts that have IPv4 only (RFC 6147)", Example: "modules = { dns64 = '64:ff9b::' }"},
		{
			Name: "dns64.config", Summary: "configure the module",
			Params: []string{"options: a prefix, or a table with prefix, rev_ttl (seconds) and exclude_subnets (networks whose AAAA records do not count); 64:ff9b:: without any"}, Returns: "nothing",
			Example: "dns64.config({ prefix = '2001:db8:64::/96', rev_ttl = 300, exclude_subnets = { '2001:db8:888::/48' } })",
		},
		{Name: "nsid", Summary: "tells clients that ask for it which server answers (RFC 5001)", Example: "modules = { nsid = 'resolver 1' }"},
		{
			Name: "nsid.config", Summary: "configure the module",
			Params: []string{"options: a name, or a table with name"}, Returns: "nothing",
			Example: "nsid.config('resolver 1')",
		},
		{
			Name: "nsid.name", Summary: "the name that clients are told, which is none until one is given",
			Params: []string{"text: the name from now on, at most 255 octets"}, Returns: "the name, or nil",
			Example: "nsid.name('resolver 1')",
		},
		{Name: "serve_stale", Summary: "answers with what was known where nobody can be reached (load as 'serve_stale < cache')", Example: "modules.load('serve_stale < cache') serve_stale.timeout = 3 * sec"},
		{Name: "serve_stale.timeout", Summary: "milliseconds that are waited for servers before something old is told", Example: "serve_stale.timeout = 3 * sec"},
		{Name: "serve_stale.callback", Summary: "function(ttl, name, type, query) that decides about each record that is over: the TTL to tell, or -1", Example: "serve_stale.callback = function(ttl) if ttl + 3600 > 0 then return 1 end return -1 end"},
		{Name: "ta_update", Summary: "keeps trust anchors up to date (RFC 5011)"},
		{Name: "ta_update.hold_down_time", Summary: "the same as trust_anchors.hold_down_time", Example: "ta_update.hold_down_time = 30 * day"},
		{Name: "ta_update.refresh_time", Summary: "the same as trust_anchors.refresh_time", Example: "ta_update.refresh_time = nil"},
		{Name: "ta_update.keep_removed", Summary: "the same as trust_anchors.keep_removed", Example: "ta_update.keep_removed = 0"},
		{Name: "ta_update.cb_unmanagedkey_change", Summary: "function(file) that is called when the keys of a zone change whose anchors nobody updates", Example: "ta_update.cb_unmanagedkey_change = function(file) warn('%s is out of date', file) end"},
		{Name: "ddr", Summary: "tells clients by which encrypted transports they can ask here (RFC 9462), and what this resolver is like (RFC 9606)"},
		{
			Name: "ddr.config", Summary: "sets both options at once, as modules = { ddr = { … } } does",
			Params: []string{"options: a table with announce or infourl"}, Returns: "nothing",
			Example: "ddr.config({ announce = true })",
		},
		{
			Name: "ddr.announce", Summary: "when clients are told of encrypted transports: 'certificate' (when net.tls has been given one), true or false",
			Example: "ddr.announce = true",
		},
		{
			Name: "ddr.infourl", Summary: "a page about this resolver, of which clients are told (RFC 9606); nil for none",
			Example: "ddr.infourl = 'https://dns.example/about'",
		},
		{Name: "ta_sentinel", Summary: "tells clients which keys of the root are trusted (RFC 8509)"},
		{Name: "ta_signal_query", Summary: "tells the root which of its keys are trusted (RFC 8145)"},
		{Name: "detect_time_skew", Summary: "says when the root's signatures are not valid at the time that the clock shows"},
		{Name: "detect_time_jump", Summary: "clears the cache when the clock was set back"},
		{Name: "priming", Summary: "learns the root's servers from themselves"},
		{Name: "iterate", Summary: "asks and understands other servers"},
		{Name: "validate", Summary: "judges how far answers can be believed"},
	}}
}
