package terms

import (
	"maps"
	"slices"
	"strconv"
)

// The numbers that scripts see as kres.class and so on (IANA, DNS Parameters).

func classes() map[string]int { return map[string]int{"IN": 1, "CH": 3, "NONE": 254, "ANY": 255} }

func rcodes() map[string]int {
	return map[string]int{
		"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMPL": 4, "REFUSED": 5, "YXDOMAIN": 6, "YXRRSET": 7,
		"NXRRSET": 8, "NOTAUTH": 9, "NOTZONE": 10, "BADVERS": 16, "BADCOOKIE": 23,
	}
}

func typeNumbers() map[string]int {
	return map[string]int{
		"A": 1, "NS": 2, "MD": 3, "MF": 4, "CNAME": 5, "SOA": 6, "MB": 7, "MG": 8, "MR": 9, "NULL": 10, "WKS": 11, "PTR": 12,
		"HINFO": 13, "MINFO": 14, "MX": 15, "TXT": 16, "RP": 17, "AFSDB": 18, "X25": 19, "ISDN": 20, "RT": 21, "NSAP": 22,
		"NSAP-PTR": 23, "SIG": 24, "KEY": 25, "PX": 26, "GPOS": 27, "AAAA": 28, "LOC": 29, "NXT": 30, "EID": 31, "NIMLOC": 32,
		"SRV": 33, "ATMA": 34, "NAPTR": 35, "KX": 36, "CERT": 37, "A6": 38, "DNAME": 39, "SINK": 40, "OPT": 41, "APL": 42,
		"DS": 43, "SSHFP": 44, "IPSECKEY": 45, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48, "DHCID": 49, "NSEC3": 50, "NSEC3PARAM": 51,
		"TLSA": 52, "SMIMEA": 53, "HIP": 55, "NINFO": 56, "RKEY": 57, "TALINK": 58, "CDS": 59, "CDNSKEY": 60, "OPENPGPKEY": 61,
		"CSYNC": 62, "ZONEMD": 63, "SVCB": 64, "HTTPS": 65, "DSYNC": 66, "SPF": 99, "UINFO": 100, "UID": 101, "GID": 102,
		"UNSPEC": 103, "NID": 104, "L32": 105, "L64": 106, "LP": 107, "EUI48": 108, "EUI64": 109, "NXNAME": 128, "TKEY": 249,
		"TSIG": 250, "IXFR": 251, "AXFR": 252, "MAILB": 253, "MAILA": 254, "ANY": 255, "URI": 256, "CAA": 257, "AVC": 258,
		"DOA": 259, "AMTRELAY": 260, "RESINFO": 261, "WALLET": 262, "CLA": 263, "IPN": 264, "TA": 32768, "DLV": 32769,
	}
}

// extendedErrors are those of RFC 8914 and its registry.
func extendedErrors() map[string]int {
	return map[string]int{
		"NONE": -1, "OTHER": 0, "DNSKEY_ALG": 1, "DS_DIGEST": 2, "STALE": 3, "FORGED": 4, "INDETERMINATE": 5, "BOGUS": 6,
		"SIG_EXPIRED": 7, "SIG_NOTYET": 8, "DNSKEY_MISS": 9, "RRSIG_MISS": 10, "DNSKEY_BIT": 11, "NSEC_MISS": 12, "CACHED_ERR": 13,
		"NOT_READY": 14, "BLOCKED": 15, "CENSORED": 16, "FILTERED": 17, "PROHIBITED": 18, "STALE_NXD": 19, "NOTAUTH": 20,
		"NOTSUP": 21, "NREACH_AUTH": 22, "NETWORK": 23, "INV_DATA": 24, "EXPIRED_INV": 25, "TOO_EARLY": 26, "NSEC3_ITERS": 27,
		"NONCONF_POLICY": 28, "SYNTHESIZED": 29, "INV_QTYPE": 30,
	}
}

func opcodes() map[string]int {
	return map[string]int{"QUERY": 0, "IQUERY": 1, "STATUS": 2, "NOTIFY": 4, "UPDATE": 5}
}

// ClassText, OpcodeText and RcodeText are names of numbers, or their digits.
func ClassText(n uint16) string { return nameOf(classes(), int(n)) }

func OpcodeText(n int) string { return nameOf(opcodes(), n) }

func RcodeText(n int) string { return nameOf(rcodes(), n) }

func nameOf(names map[string]int, n int) string {
	found := ""
	for name, number := range names {
		if number == n && (found == "" || name < found) {
			found = name
		}
	}
	if found == "" {
		return strconv.Itoa(n)
	}
	return found
}

// Types are the names of types.
func Types() []string { return slices.Collect(maps.Keys(typeNumbers())) }

// typeNames are the names of types; of two for one type the first in order.
var typeNames = func() map[uint16]string {
	names := map[uint16]string{}
	for name, number := range typeNumbers() {
		if other := names[uint16(number)]; other == "" || name < other {
			names[uint16(number)] = name
		}
	}
	return names
}()

// TypeText is the name of a type, as in kres.tostring.type.
func TypeText(t uint16) string {
	if name := typeNames[t]; name != "" {
		return name
	}
	return "TYPE" + strconv.Itoa(int(t))
}
