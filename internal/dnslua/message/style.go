package message

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"kresd/internal/dnslua/terms"
	"kresd/internal/dnsname"
	"kresd/internal/modules/policy"
	"kresd/internal/wire"
)

// A Style is how records are written. Its fields are those that scripts for kresd give a
// knot_dump_style_t.
type Style struct {
	class      bool // the class behind the TTL
	ttl        bool
	humanTTL   bool // 1h1m instead of 3660
	humanTimes bool // of signatures: 20261129000000 instead of seconds
	generic    bool // data in hexadecimal digits, as of unknown types (RFC 3597, section 5)
	hideCrypto bool // [omitted] instead of keys, digests and signatures
}

// Usual is the style of who asks for none.
func Usual() Style { return Style{ttl: true, humanTimes: true} }

// Fields are those of a style by their names.
func (s *Style) Fields() map[string]*bool {
	return map[string]*bool{
		"show_class": &s.class, "show_ttl": &s.ttl, "human_ttl": &s.humanTTL, "human_timestamp": &s.humanTimes,
		"generic": &s.generic, "hide_crypto": &s.hideCrypto,
	}
}

// Line is a record on one line of a zone file, with its owner padded.
func (s Style) Line(rr wire.RR) string {
	set := wire.RRset{Owner: dnsname.Root, Type: rr.Type, Class: rr.Class, TTL: rr.TTL}
	words := strings.SplitN(policy.RecordText(set, rr.RData), "\t", 4) // owner, TTL, type, data
	parts := []string{fmt.Sprintf("%-20s", rr.Owner.String())}
	if s.ttl && s.humanTTL {
		parts = append(parts, human(rr.TTL))
	} else if s.ttl {
		parts = append(parts, words[1])
	}
	if s.class {
		parts = append(parts, terms.ClassText(rr.Class))
	}
	return strings.Join(append(parts, words[2], s.data(rr, words[3])), "\t")
}

// data is the text of RDATA, which it has as usual.
func (s Style) data(rr wire.RR, text string) string {
	if s.generic {
		return fmt.Sprintf("\\# %d %x", len(rr.RData), rr.RData)
	}
	words := strings.Split(text, " ")
	if rr.Type == wire.TypeRRSIG && len(words) > 5 && !s.humanTimes {
		for _, i := range []int{4, 5} { // when the signature ends and begins (RFC 4034, section 3.2)
			if at, err := time.Parse("20060102150405", words[i]); err == nil {
				words[i] = strconv.FormatInt(at.Unix(), 10)
			}
		}
	}
	if from, ok := cryptoFrom(rr.Type); ok && s.hideCrypto && len(words) > from {
		words = append(words[:from], "[omitted]")
	}
	return strings.Join(words, " ")
}

// cryptoFrom is the word of a type's text with which its key, digest or signature begins.
func cryptoFrom(t uint16) (from int, ok bool) {
	switch t {
	case wire.TypeRRSIG:
		return 8, true
	case wire.TypeDNSKEY, wire.TypeDS:
		return 3, true
	}
	return 0, false
}

// human is a number of seconds in days, hours, minutes and seconds.
func human(seconds uint32) string {
	text := ""
	for _, unit := range []struct {
		of   uint32
		name string
	}{{86400, "D"}, {3600, "h"}, {60, "m"}, {1, "s"}} {
		if n := seconds / unit.of; n > 0 {
			text += fmt.Sprintf("%d%s", n, unit.name)
		}
		seconds %= unit.of
	}
	if text == "" {
		return "0s"
	}
	return text
}

// DataText is RDATA as kres.parse_rdata takes it: the type and the data of a zone file.
func DataText(rrtype uint16, data []byte) string {
	line := Usual().Line(wire.RR{Owner: dnsname.Root, Type: rrtype, Class: wire.ClassIN, RData: data})
	fields := strings.SplitN(line, "\t", 3) // owner, TTL, and that
	return strings.ReplaceAll(fields[len(fields)-1], "\t", " ")
}
