package reference

func process() Chapter {
	return Chapter{Title: "Process and log", Entries: []Entry{
		{
			Name: "hostname", Summary: "name of this host, or set the one that is used",
			Params:  []string{"fqdn: the name to use from now on; '' for the system's again"},
			Returns: "the name that is used",
			Example: "hostname('resolver.example.com')",
		},
		{
			Name: "package_version", Summary: "version of this program",
			Returns: "text such as '1.0.0'",
			Example: "package_version()",
		},
		{
			Name: "moduledir", Summary: "directory of modules, also searched by require()",
			Params:  []string{"path: the directory; it replaces the one that was set before"},
			Returns: "the directory",
			Example: "moduledir('/usr/lib/kresd/modules')",
		},
		{
			Name: "user", Summary: "give up privileges: run as this user from now on",
			Params:  []string{"name: of the user; addresses have to be bound before, and the cache opened after it", "group: without it the group stays"},
			Returns: "true; who may not, or an unknown name, is an error",
			Example: "user('knot-resolver', 'knot-resolver')", Apart: "it needs that user",
		},
		{
			Name: "env", Summary: "variables of the environment: env.NAME; assigning sets one for scripts only",
			Example: "env.HOME",
		},
		{
			Name: "verbose", Summary: "whether every step of resolution is logged",
			Params:  []string{"true | false: changes it; without an argument it stays"},
			Returns: "whether it is now",
			Example: "verbose(false)",
		},
		{
			Name: "log_level", Summary: "how much is logged",
			Params:  []string{"'debug' | 'info' | 'notice' | 'warning' | 'err' | 'crit': the least level that is written"},
			Returns: "the level that holds",
			Example: "log_level('notice')",
			Offers:  []string{"level"},
		},
		{
			Name: "log_groups", Summary: "groups whose debug lines are written whatever log_level() is",
			Params:  []string{"{ 'group', … }: the groups, instead of those before; {} for none"},
			Returns: "a list of the groups",
			Example: "log_groups({ 'cache', 'iter' })",
			Offers:  []string{"group"},
		},
		{
			Name: "log_target", Summary: "where the log goes",
			Params:  []string{"'stdout' | 'stderr' | 'syslog': the place, from now on"},
			Returns: "the place",
			Example: "log_target()",
			Offers:  []string{"target"},
		},
		{
			Name: "log_debug", Summary: "write a line of a group, where debug lines of it are written",
			Params:  []string{"group: require('ffi').C.LOG_GRP_MODULE and the like", "format: as in string.format", "...: the values for it"},
			Returns: "nothing",
			Example: "log_debug(require('ffi').C.LOG_GRP_MODULE, '%d entries', cache.count())",
		},
		{
			Name: "log_info", Summary: "write a line of a group to the log, as log_notice does",
			Params:  []string{"group: require('ffi').C.LOG_GRP_MODULE and the like", "format: as in string.format", "...: the values for it"},
			Returns: "nothing",
			Example: "log_info(require('ffi').C.LOG_GRP_MODULE, 'ready')",
		},
		{
			Name: "log_notice", Summary: "write a line of a group to the log",
			Params:  []string{"group: require('ffi').C.LOG_GRP_MODULE and the like", "format: as in string.format", "...: the values for it"},
			Returns: "nothing",
			Example: "log_notice(require('ffi').C.LOG_GRP_POLICY, '%d names', 3)",
		},
		{
			Name: "log_warn", Summary: "write a warning of a group to the log",
			Params:  []string{"group: require('ffi').C.LOG_GRP_MODULE and the like", "format: as in string.format", "...: the values for it"},
			Returns: "nothing",
			Example: "log_warn(require('ffi').C.LOG_GRP_SYSTEM, 'the interface %s is missing', 'eth7')",
		},
		{
			Name: "log_error", Summary: "write a line of a group to the log that is about a failure",
			Params:  []string{"group: require('ffi').C.LOG_GRP_MODULE and the like", "format: as in string.format", "...: the values for it"},
			Returns: "nothing",
			Example: "log_error(require('ffi').C.LOG_GRP_MODULE, 'no list: %s', 'list.txt')",
		},
	}}
}
