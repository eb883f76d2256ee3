package worker

import "fmt"

// extended is an extended error in words (RFC 8914, section 4).
func extended(code uint16, text string) string {
	line := fmt.Sprintf("extended error %d", code)
	if name := extendedName(code); name != "" {
		line += " (" + name + ")"
	}
	if text != "" {
		line += ": " + text
	}
	return line
}

// extendedName is a code's name in the registry, "" for one that is not there.
func extendedName(code uint16) string {
	names := [...]string{
		"other error", "unsupported DNSKEY algorithm", "unsupported DS digest type", "stale answer", "forged answer",
		"DNSSEC indeterminate", "DNSSEC bogus", "signature expired", "signature not yet valid", "DNSKEY missing",
		"RRSIGs missing", "no zone key bit set", "NSEC missing", "cached error", "not ready", "blocked", "censored",
		"filtered", "prohibited", "stale NXDOMAIN answer", "not authoritative", "not supported", "no reachable authority",
		"network error", "invalid data", "signature expired before valid", "too early", "unsupported NSEC3 iterations value",
		"unable to conform to policy", "synthesized",
	}
	if int(code) < len(names) {
		return names[code]
	}
	return ""
}
