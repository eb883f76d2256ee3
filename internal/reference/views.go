package reference

func views() Chapter {
	return Chapter{Title: "view", Intro: "Rules for some clients only. The module has to be loaded; its place among the others says whether it comes before policy.", Entries: []Entry{
		{Name: "view", Summary: "rules about questions by who asks them", Example: "modules.load('view < policy') view:addr('10.0.0.0/8', policy.all(policy.FORWARD('192.0.2.1')))"},
		{
			Name: "view.addr", Summary: "add a rule for clients in a network behind the others",
			Params: []string{
				"subnet: the network, as address/length, or one address", "rule: of policy.suffix and the like, or function(request, query)",
				"destination: true for questions that are received at such an address",
			},
			Returns: "the rule in force, with id, count and others",
			Example: "view:addr('192.0.2.0/24', policy.suffix(policy.REFUSE, { todname('intern.example') }))",
		},
		{
			Name: "view.tsig", Summary: "add a rule for questions that are signed with a key (RFC 8945)",
			Params:  []string{"key: its name, in wire form or as people write it", "rule: as of view.addr"},
			Returns: "the rule in force, with id, count and others",
			Example: "view:tsig(todname('key.example'), policy.all(policy.PASS))",
		},
		{
			Name: "view.tsig_key", Summary: "tell the secret of a key, so that signatures are checked and answers signed",
			Params: []string{"key: its name, as of view.tsig", "secret: in base64; without it the secret is forgotten, and nobody can use the key"}, Returns: "nothing",
			Example: "view.tsig_key('key.example', 'c2VjcmV0IG9mIHRoZSBrZXk=')",
		},
		{
			Name: "view.rule_src", Summary: "rule, for policy.add, for clients in a network",
			Params: []string{"action: what to do", "subnet: as of view.addr"}, Returns: "a rule",
			Example: "policy.add(view.rule_src(policy.REFUSE, '192.0.2.0/24'))",
		},
		{
			Name: "view.rule_dst", Summary: "rule, for policy.add, for questions received at an address of a network",
			Params: []string{"action: what to do", "subnet: as of view.addr"}, Returns: "a rule",
			Example: "policy.add(view.rule_dst(policy.REFUSE, '192.0.2.0/24'))",
		},
		{
			Name: "view.del", Summary: "take out a rule of a view; policy.del does, too",
			Params: []string{"id: that view.addr or view.tsig gave"}, Returns: "whether there was such a rule",
			Example: "view.del(view:addr('192.0.2.0/24', policy.all(policy.PASS)).id)",
		},
		{Name: "view.rules", Summary: "rules of views", Example: "#view.rules"},
	}}
}
