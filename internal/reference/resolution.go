package reference

func resolution() Chapter {
	return Chapter{Title: "Resolution", Entries: []Entry{
		{
			Name: "resolve", Summary: "resolve a name in the background",
			Params: []string{
				"name: in presentation format; or one table with the parameters as its fields",
				"type: such as kres.type.A, or its name",
				"class: kres.class.IN unless given",
				"options: a flag's name, a list of them, or a set of kres.mk_qflags()",
				"finish: function(packet, request), called with the answer",
				"init: function(request), called before anything is asked",
			},
			Returns: "whether the question was accepted",
			Example: "resolve('example.com', kres.type.A, kres.class.IN, 'NO_CACHE', function(pkt, req) log('rcode %d', pkt:rcode()) end)",
			Offers:  []string{"", "type", "", "flag"},
		},
		{
			Name: "trace", Summary: "resolve a name now and tell every step",
			Params:  []string{"name: in presentation format", "type: A unless given"},
			Returns: "text with the steps as a tree, and the answer",
			Example: "trace('example.com', 'AAAA')", Apart: "it asks other servers",
			Offers: []string{"", "type"},
		},
		{
			Name: "option", Summary: "a switch of resolution for all requests",
			Params:  []string{"name: of a flag, such as NO_MINIMIZE", "true | false: changes it; without it nothing changes"},
			Returns: "whether it is set",
			Example: "option('NO_MINIMIZE', false)",
			Offers:  []string{"flag"},
		},
		{
			Name: "mode", Summary: "how strictly referrals are checked",
			Params:  []string{"'strict' | 'normal' | 'permissive': from now on"},
			Returns: "without an argument the mode, else true",
			Example: "mode('normal')",
			Offers:  []string{"mode"},
		},
		{
			Name: "reorder_RR", Summary: "whether records of a set are rotated in answers",
			Params:  []string{"true | false: changes it; without it nothing changes"},
			Returns: "whether they are",
			Example: "reorder_RR(true)",
		},
		{
			Name: "todname", Summary: "a name in wire form",
			Params:  []string{"name: in presentation format"},
			Returns: "the octets; nil for what is no name",
			Example: "todname('example.com')",
		},
	}}
}
