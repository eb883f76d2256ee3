package bindings

import (
	"slices"
)

// What the manuals of Knot Resolver (3 and later) have and this version lacks. Each
// name is nil until it exists; then it is struck off here (a test sees to that).

// absentMembers are members of globals that exist, and globals that are no module.
// The value is what to use instead, or "".
var absentMembers = map[string]string{
	"cache.zone_import": "",

	"kres.current_pkt":             "",
	"kres.kr_pkt_make_auth_header": "",

	"net.bpf_clear":              "",
	"net.bpf_set":                "",
	"net.register_endpoint_kind": "",

	"policy.COOKIE":              "",
	"policy.MIRROR":              "",
	"policy.REROUTE":             "",
	"policy.RPZ":                 "",
	"policy.custom_action":       "",
	"policy.rpz":                 "",
	"policy.slice":               "",
	"policy.slice_randomize_psl": "",

	"trust_anchors.bootstrap": "",

	"worker.background": "",
	"worker.map":        "use map",

	"ffi":        "require('ffi') gives what there is of it",
	"log_debug":  "use log",
	"log_error":  "use warn",
	"log_info":   "use log",
	"log_notice": "use log",
	"log_warn":   "use warn",
	"socket":     "",
}

// absentModules are modules, which are also the globals that loading them makes.
var absentModules = []string{
	"ahocorasick", "cookies", "daf", "dns64", "dnstap", "edns_keepalive", "etcd",
	"experimental_dot_auth", "extended_error", "fallback", "graphite", "http", "nsid", "predict", "prefetch", "prefill",
	"rebinding", "refuse_nord", "renumber", "tinyweb", "view", "watchdog",
}

// absentLua are packages for require() that need a compiled part, which this program
// does not load, or that come with such a package.
var absentLua = []string{
	"basexx", "cqueues.thread",
	"http.client", "http.headers", "http.request", "http.server", "http.util", "http.websocket", "kres_modules",
	"mmdb", "openssl", "psl", "radix", "socket.ftp",
	"socket.smtp", "ssl", "ssl.core", "_cqueues", "_openssl",
}

const notHere = " is not in this version"

// absentNames are the sentences about absent members and globals.
func absentNames() map[string]string {
	names := map[string]string{}
	for name, instead := range absentMembers {
		names[name] = name + notHere
		if instead != "" {
			names[name] += "; " + instead
		}
	}
	for _, name := range absentModules {
		names[name] = absentModule(name)
	}
	return names
}

// absentPackages are the sentences about what require() cannot find: packages of
// other projects, and modules as files of the original.
func absentPackages() map[string]string {
	names := map[string]string{}
	for _, name := range absentLua {
		names[name] = "package '" + name + "'" + notHere
	}
	for _, name := range absentModules {
		names["kres_modules."+name] = absentModule(name)
	}
	return names
}

func absentModule(name string) string { return "module '" + name + "'" + notHere }

// AbsentModule tells whether name is a module that other versions have.
func AbsentModule(name string) bool { return slices.Contains(absentModules, name) }
