package reference

func firewall() Chapter {
	return Chapter{Title: "daf", Intro: "The DNS application firewall: rules of policy as a line of text. The module has to be loaded.", Entries: []Entry{
		{Name: "daf", Summary: "rules as text", Example: "modules = { daf = { 'qname = bad.example deny' } }"},
		{
			Name: "daf.config", Summary: "add rules",
			Params: []string{"options: a list of rules"}, Returns: "nothing",
			Example: "daf.config({ 'qname = bad.example deny' })",
		},
		{
			Name: "daf.add", Summary: "add a rule behind the others, those of policy too, unless there is one of the same text",
			Params:  []string{"rule: FILTER [and|or FILTER]… ACTION"},
			Returns: "a table with id, info, count and active",
			Example: "daf.add('qname ~ %w+.bad.example and src = 192.0.2.0/24 deny')",
		},
		{
			Name: "daf.get", Summary: "a rule",
			Params: []string{"id: of the rule"}, Returns: "its table, or nil",
			Example: "daf.get(0)",
		},
		{
			Name: "daf.del", Summary: "take out a rule",
			Params: []string{"id: of the rule"}, Returns: "whether there was such a rule",
			Example: "daf.del(daf.add('qname = bad.example deny').id)",
		},
		{
			Name: "daf.toggle", Summary: "switch a rule off or on",
			Params: []string{"id: of the rule", "true | false: on or off; without it, the other of both"}, Returns: "whether there is such a rule",
			Example: "daf.toggle(0)",
		},
		{
			Name: "daf.enable", Summary: "switch a rule on",
			Params: []string{"id: of the rule"}, Returns: "whether there is such a rule",
			Example: "daf.enable(0)",
		},
		{
			Name: "daf.disable", Summary: "switch a rule off",
			Params: []string{"id: of the rule"}, Returns: "whether there is such a rule",
			Example: "daf.disable(0)",
		},
		{Name: "daf.clear", Summary: "take out all rules of daf", Returns: "true", Example: "daf.clear()"},
		{Name: "daf.rules", Summary: "rules by their ids", Example: "daf.rules"},
	}}
}
