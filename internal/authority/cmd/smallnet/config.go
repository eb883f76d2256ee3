package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// configName is the configuration inside the run directory. It is written anew
// at each start; a user's own `config` there is never touched.
const configName = "demo.conf"

// The two worlds have a cache each: what the small Internet says must not be
// served as the Internet's later.
const (
	header         = "-- written by `make run` at each start\n"
	internetConfig = header + "cache.open(100 * MB, 'lmdb://internet')\n"
)

// smallConfig makes kresd begin at the small Internet's root, which lives on
// loopback addresses, where a resolver does not ask otherwise, and believe what is
// signed from there down.
func smallConfig(roots map[string][]netip.Addr, anchor string) string {
	var lines []string
	for name, addrs := range roots {
		var quoted []string
		for _, a := range addrs {
			quoted = append(quoted, "'"+a.String()+"'")
		}
		lines = append(lines, fmt.Sprintf("  ['%s'] = { %s },\n", name, strings.Join(quoted, ", ")))
	}
	slices.Sort(lines)
	return header + "cache.open(100 * MB, 'lmdb://smallnet')\noption('ALLOW_LOCAL', true)\nmodules = { 'hints' }\nhints.root({\n" +
		strings.Join(lines, "") + "})\ntrust_anchors.add('" + anchor + "')\n"
}
