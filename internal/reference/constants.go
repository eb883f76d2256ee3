package reference

func constants() Chapter {
	return Chapter{Title: "kres", Intro: "Constants and conversions of DNS, also as require('kres').", Entries: []Entry{
		{Name: "kres", Summary: "constants and conversions of DNS", Example: "local kres = require('kres')"},
		{Name: "kres.type", Summary: "types of records: numbers by their names", Example: "kres.type.AAAA"},
		{Name: "kres.class", Summary: "classes: numbers by their names", Example: "kres.class.IN"},
		{Name: "kres.rcode", Summary: "response codes: numbers by their names", Example: "kres.rcode.NXDOMAIN"},
		{Name: "kres.opcode", Summary: "operations: numbers by their names", Example: "kres.opcode.QUERY"},
		{Name: "kres.section", Summary: "sections of a message: numbers by their names", Example: "kres.section.ANSWER"},
		{Name: "kres.rank", Summary: "how far data is believed: numbers by their names", Example: "kres.rank.SECURE"},
		{Name: "kres.extended_error", Summary: "extended errors (RFC 8914): numbers by their names", Example: "kres.extended_error.BLOCKED"},
		{Name: "kres.tostring", Summary: "names by their numbers, in a table for each kind", Example: "kres.tostring.type[28]"},
		{Name: "kres.CONSUME", Summary: "state of a layer: go on, an answer is awaited", Example: "kres.CONSUME"},
		{Name: "kres.PRODUCE", Summary: "state of a layer: go on, a question is to be made", Example: "kres.PRODUCE"},
		{Name: "kres.DONE", Summary: "state of a layer: finished", Example: "kres.DONE"},
		{Name: "kres.FAIL", Summary: "state of a layer: failed", Example: "kres.FAIL"},
		{Name: "kres.YIELD", Summary: "state of a layer: paused until another question is answered", Example: "kres.YIELD"},
		{
			Name: "kres.str2dname", Summary: "a name in wire form",
			Params: []string{"name: in presentation format"}, Returns: "the octets; nil for what is no name",
			Example: "kres.str2dname('example.com')",
		},
		{
			Name: "kres.dname2str", Summary: "a name in wire form as text",
			Params: []string{"wire: the octets, or nil"}, Returns: "the text; nil for nil",
			Example: "kres.dname2str('\\7example\\3com\\0')",
		},
		{
			Name: "kres.dname2wire", Summary: "a name in wire form, as it is",
			Params: []string{"wire: the octets"}, Returns: "the octets",
			Example: "kres.dname2wire(todname('example.com'))",
		},
		{
			Name: "kres.str2ip", Summary: "an IP address as octets",
			Params: []string{"address: as text"}, Returns: "4 or 16 octets; nil for what is none",
			Example: "#kres.str2ip('2001:db8::1')",
		},
		{
			Name: "kres.rr2str", Summary: "a record as in a zone file",
			Params: []string{"record: of packet:section()", "style: what differs from the usual form: { show_class = true, show_ttl = false, human_ttl = true, human_timestamp = false, generic = true, hide_crypto = true }"}, Returns: "the text",
			Example: "resolve('example.com', kres.type.A, kres.class.IN, {}, function(pkt) for _, rr in ipairs(pkt:section(kres.section.ANSWER)) do log(kres.rr2str(rr)) end end)",
		},
		{
			Name: "kres.parse_rdata", Summary: "RDATA in wire form",
			Params: []string{"{ 'TYPE data' }: records in zone-file format without owner, TTL and class"}, Returns: "a list of octets",
			Example: "kres.parse_rdata({ 'A 192.0.2.7' })",
		},
		{
			Name: "kres.mk_qflags", Summary: "a set of flags",
			Params: []string{"names: a flag, or a list of them"}, Returns: "the set, with a field for each flag",
			Example: "kres.mk_qflags({ 'NO_CACHE' }).NO_CACHE",
			Offers:  []string{"flag"},
		},
		{
			Name: "kres.packet", Summary: "a new DNS message, or a copy of octets that parse() reads",
			Params:  []string{"size: in octets, 12 to 65535", "wire: the octets; without them the message is empty and has a random ID"},
			Returns: "the packet",
			Example: "local p = kres.packet(512) p:question(todname('example.com'), kres.class.IN, kres.type.A) return p:towire()",
		},
		{
			Name: "kres.rrset", Summary: "a new set of records without any",
			Params:  []string{"owner: a name in wire form", "type: such as kres.type.A", "class: kres.class.IN unless given", "ttl: in seconds, 0 unless given"},
			Returns: "the set",
			Example: "local rr = kres.rrset(todname('example.com'), kres.type.A, kres.class.IN, 60) rr:add_rdata(kres.str2ip('192.0.2.7')) return rr",
		},
		{
			Name: "kres.lru", Summary: "a map of strings to numbers that drops what is used least",
			Params:  []string{"max: how many entries it has at most", "ctype: a type of C, which makes no difference"},
			Returns: "the map, with get(key), set(key, number) and get_ref(key, length, insert)",
			Example: "local seen = kres.lru(1000) seen:set('key', 1) return seen:get('key')",
		},
		{
			Name: "kres.context", Summary: "this worker: options, cache, root_hints, trust_anchors, negative_anchors and opt_rr",
			Returns: "an object with these fields",
			Example: "kres.context().options.NO_MINIMIZE",
		},
		{
			Name: "kres.pkt_t", Summary: "the value itself: it has its type already",
			Params: []string{"value: a packet"}, Returns: "that value",
			Example: "kres.pkt_t(nil)",
		},
		{
			Name: "kres.request_t", Summary: "the value itself: it has its type already",
			Params: []string{"value: a request"}, Returns: "that value",
			Example: "kres.request_t(nil)",
		},
		{
			Name: "kres.sockaddr_t", Summary: "the value itself: it has its type already",
			Params: []string{"value: an address"}, Returns: "that value",
			Example: "kres.sockaddr_t(nil)",
		},
	}}
}

func units() Chapter {
	return Chapter{Title: "Units", Brief: true, Intro: "Sizes are in bytes, times in milliseconds.", Entries: []Entry{
		{Name: "kB", Summary: "1024 bytes"},
		{Name: "MB", Summary: "1024 kB"},
		{Name: "GB", Summary: "1024 MB"},
		{Name: "sec", Summary: "1000 milliseconds"},
		{Name: "second", Summary: "1000 milliseconds"},
		{Name: "min", Summary: "60 seconds, in milliseconds"},
		{Name: "minute", Summary: "60 seconds, in milliseconds"},
		{Name: "hour", Summary: "60 minutes, in milliseconds"},
		{Name: "day", Summary: "24 hours, in milliseconds"},
	}}
}
