package terms

// LogGroups are the groups of log lines that scripts name by ffi.C.LOG_GRP_…, by the rest
// of that name. What stands for a group is its name.
func LogGroups() map[string]string {
	return map[string]string{
		"SYSTEM": "system", "CACHE": "cache", "IO": "io", "NETWORK": "net", "TA": "ta", "TLS": "tls", "GNUTLS": "gnutls", "TLSCLIENT": "tls_cl", "XDP": "xdp",
		"DOH": "doh", "DNSSEC": "dnssec", "HINT": "hint", "PLAN": "plan", "ITERATOR": "iterat", "VALIDATOR": "valdtr", "RESOLVER": "resolv", "SELECTION": "select",
		"ZCUT": "zoncut", "COOKIES": "cookies", "STATISTICS": "statis", "REBIND": "rebind", "WORKER": "worker", "POLICY": "policy", "TASENTINEL": "tasent",
		"TASIGNALING": "tasign", "TAUPDATE": "taupd", "DAF": "daf", "DETECTTIMEJUMP": "timejm", "DETECTTIMESKEW": "timesk", "GRAPHITE": "graphi", "PREFILL": "prefil",
		"PRIMING": "primin", "SRVSTALE": "srvstl", "WATCHDOG": "wtchdg", "NSID": "nsid", "DNSTAP": "dnstap", "TESTS": "tests", "DOTAUTH": "dotaut", "HTTP": "http",
		"CONTROL": "contrl", "MODULE": "module", "DEVEL": "devel", "RENUMBER": "renum", "EDE": "exterr", "RULES": "rules", "REQDBG": "reqdbg",
	}
}

// IsLogGroup tells whether a name is one of theirs.
func IsLogGroup(name string) bool {
	for _, group := range LogGroups() {
		if group == name {
			return true
		}
	}
	return false
}
