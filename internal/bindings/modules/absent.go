package modules

import "kresd/internal/script"

// What the manuals of Knot Resolver (3 and later) have and this version lacks. Each
// name is nil until it exists; then it is struck off here (a test sees to that). What is
// said about a name ends with what to use instead.

// absentMembers are members of globals that exist, and globals that are no module, with
// what to use instead.
func absentMembers() map[string]string {
	return map[string]string{
		"cache.zone_import": "kres.context().cache:insert() stores the sets that require('zonefile') reads",

		"kres.current_pkt":             "hooks of a layer are given the packet, and req.answer is the answer",
		"kres.kr_pkt_make_auth_header": "use require('ffi').C.kr_pkt_make_auth_header(packet)",

		"net.bpf_clear":              "nothing is there to be cleared; net.limits() bounds what clients may cost",
		"net.bpf_set":                "net.limits() bounds what clients may cost, and nftables keeps datagrams away",
		"net.register_endpoint_kind": "event.socket() and require('socket').bind() serve protocols of a script's own",

		"policy.COOKIE":        "questions to servers have cookies by themselves",
		"policy.RPZ":           "policy.rpz makes a rule of a response policy zone",
		"policy.custom_action": "give policy.all() or policy.suffix() the function(state, req) itself",

		"trust_anchors.bootstrap": "trust_anchors.add_file(path) fetches the keys of the root where the file is missing",

		"worker.background": "use worker.coroutine",
		"worker.map":        "use map",

		"ffi":    "require('ffi') gives what there is of it",
		"socket": "require('socket') gives it",
	}
}

// An absentModule is a module that other versions have.
type absentModule struct {
	instead string
	// spare tells that without the module clients are told the same: a configuration that
	// loads it is run all the same.
	spare bool
}

// spare and needed make them.
func spare(instead string) absentModule  { return absentModule{instead, true} }
func needed(instead string) absentModule { return absentModule{instead, false} }

// absentModules are those, whose names are also the globals that loading them makes.
func absentModules() map[string]absentModule {
	return map[string]absentModule{
		"ahocorasick":           needed("policy.suffix and policy.domains look names up in an index"),
		"cookies":               spare("questions to servers have cookies by themselves"),
		"dnsproxy":              needed("policy.STUB sends questions for names of an authoritative server there"),
		"dnstap":                spare("the module querylog writes down what clients ask"),
		"edns_keepalive":        spare("net.tcp_in_idle() says how long a client's connection may rest"),
		"etcd":                  needed("worker.coroutine and require('socket.http') fetch options from a server"),
		"experimental_dot_auth": needed("policy.TLS_FORWARD proves who a server is, and net.tls_opportunistic(true) encrypts where a server can"),
		"extended_error":        spare("extended errors are always told"),
		"fallback":              needed("the module serve_stale answers where servers fail, and policy.FORWARD takes several servers"),
		"graphite":              spare("event.recurrent sends stats.list() by require('socket').udp()"),
		"http":                  spare("kresc status and kresc top show the figures"),
		"predict":               spare("event.recurrent and resolve() ask again for what is to stay in the cache"),
		"prefetch":              spare("event.recurrent and resolve() ask again for what is to stay in the cache"),
		"prefill":               spare("names are looked up when they are asked for"),
		"tinyweb":               spare("kresc status and kresc top show the figures"),
		"watchdog":              spare("a worker that hangs is noticed and replaced without it"),
	}
}

// absentLua are packages for require() that need a compiled part, which this program
// does not load, or that come with such a package, with what to use instead.
func absentLua() map[string]string {
	const http, ssl = "use socket.http or ssl.https", "ssl.https asks over TLS, and streams of cqueues.socket have starttls"
	return map[string]string{
		"basexx":         "mime.b64 and mime.unb64 are base64",
		"cqueues.dns":    "resolve() asks this resolver",
		"cqueues.thread": "worker.coroutine runs beside all else",
		"http.client":    http,
		"http.headers":   http,
		"http.request":   http,
		"http.server":    "cqueues.socket.listen() makes a server of streams",
		"http.util":      "use socket.url",
		"http.websocket": "streams of cqueues.socket carry any protocol",
		"kres_modules":   "require('kres_modules.NAME') gives one module",
		"mmdb":           "require('ffi').C.kr_bitcmp compares addresses",
		"openssl":        ssl,
		"psl":            "a script may read the list of public suffixes from its file",
		"radix":          "tables and kres.lru find values by keys",
		"socket.ftp":     "use socket.http, or a program by io.popen",
		"socket.smtp":    "use a program by io.popen",
		"ssl":            ssl,
		"ssl.core":       ssl,
		"_cqueues":       "use cqueues",
		"_openssl":       ssl,
	}
}

// absent is the sentence about an absent thing.
func absent(what, instead string) string { return what + " is not in this version; " + instead }

// Lacking is what is said about names that other versions have.
func Lacking() script.Absent {
	return script.Absent{Names: absentNames(), Packages: absentPackages()}
}

// absentNames are the sentences about absent members and globals.
func absentNames() map[string]string {
	names := map[string]string{}
	for name, instead := range absentMembers() {
		names[name] = absent(name, instead)
	}
	for name, m := range absentModules() {
		names[name] = m.sentence(name)
	}
	return names
}

// absentPackages are the sentences about what require() cannot find: packages of
// other projects, and modules as files of the original.
func absentPackages() map[string]string {
	names := map[string]string{}
	for name, instead := range absentLua() {
		names[name] = absent("package '"+name+"'", instead)
	}
	for name, m := range absentModules() {
		names["kres_modules."+name] = m.sentence(name)
	}
	return names
}

func (m absentModule) sentence(name string) string { return absent("module '"+name+"'", m.instead) }

// An absentError is what is said about a module that cannot be loaded.
type absentError struct{ sentence string }

func (e absentError) Error() string { return e.sentence }

// Absent tells whether name is a module that other versions have, and this one lacks.
func Absent(name string) bool {
	_, is := absentModules()[name]
	return is
}

// loadedElsewhere tells whether other versions load a module of their own accord that is loaded
// on demand here: configurations that do not want it unload it.
func loadedElsewhere(name string) bool { return name == "refuse_nord" }

// standIn is the global of an absent module that a configuration has loaded all the same:
// its options are taken and change nothing, and all else of it is an error.
func (m absentModule) standIn(name string) script.Object {
	missing := func(c *script.Call) { c.Raise(script.Usage(m.sentence(name))) }
	return script.Object{Name: name, Help: "a module that is not in this version", Protected: true,
		Funcs:  []script.Func{{Name: "config", Args: "[options]", Max: 1, Fn: func(*script.Call) error { return nil }}},
		Index:  func(c *script.Call, _ any) any { missing(c); return nil },
		Assign: func(c *script.Call, _ any) (bool, error) { missing(c); return true, nil },
	}
}
