package resolve

import "strings"

// Flags are the switches of a request or query that scripts know by name
// (option(), policy.FLAGS, resolve()).
type Flags uint64

// Flags, in the order of the manual.
const (
	NoMinimize Flags = 1 << iota
	NoThrottle
	NoIPv6
	NoIPv4
	TCP
	Resolved
	AwaitIPv4
	AwaitIPv6
	AwaitCut
	SafeMode
	Cached
	NoCache
	Expiring
	AllowLocal
	DNSSECWant
	DNSSECBogus
	DNSSECInsecure
	DNSSECCD
	Stub
	AlwaysCut
	DNSSECWExpand
	DNSSECNoDS
	DNSSECOptOut
	Permissive
	Strict
	BadCookieAgain // without meaning: an exchange asks again by itself (package upstream)
	CNAME
	ReorderRR
	Trace
	No0x20
	NonAuth
	Forward
	DNS64Mark
	CacheTried
	NoNSFound
	NoAnswer
	PktIsSane
	DNS64Disable
	flagsEnd
)

var flagNames = [...]string{
	"NO_MINIMIZE", "NO_THROTTLE", "NO_IPV6", "NO_IPV4", "TCP", "RESOLVED", "AWAIT_IPV4", "AWAIT_IPV6", "AWAIT_CUT", "SAFEMODE",
	"CACHED", "NO_CACHE", "EXPIRING", "ALLOW_LOCAL", "DNSSEC_WANT", "DNSSEC_BOGUS", "DNSSEC_INSECURE", "DNSSEC_CD", "STUB",
	"ALWAYS_CUT", "DNSSEC_WEXPAND", "DNSSEC_NODS", "DNSSEC_OPTOUT", "PERMISSIVE", "STRICT", "BADCOOKIE_AGAIN", "CNAME",
	"REORDER_RR", "TRACE", "NO_0X20", "NONAUTH", "FORWARD", "DNS64_MARK", "CACHE_TRIED", "NO_NS_FOUND", "NO_ANSWER",
	"PKT_IS_SANE", "DNS64_DISABLE",
}

// FlagByName finds a flag by its name in scripts, whatever its case. NO_EDNS is
// another name of SAFEMODE.
func FlagByName(name string) (Flags, bool) {
	name = strings.ToUpper(name)
	if name == "NO_EDNS" {
		return SafeMode, true
	}
	for i, n := range flagNames {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// Has tells whether all of the given flags are set.
func (f Flags) Has(g Flags) bool { return f&g == g }

// With sets or clears flags.
func (f Flags) With(g Flags, on bool) Flags {
	if on {
		return f | g
	}
	return f &^ g
}

// Names lists the flags that are set as scripts know them.
func (f Flags) Names() []string {
	var names []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}
