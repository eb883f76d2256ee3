package dnslua

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
	"kresd/internal/modules/policy"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// A style is how records are written. Its fields are those that scripts for kresd give a
// knot_dump_style_t.
type style struct {
	class      bool // the class behind the TTL
	ttl        bool
	humanTTL   bool // 1h1m instead of 3660
	humanTimes bool // of signatures: 20261129000000 instead of seconds
	generic    bool // data in hexadecimal digits, as of unknown types (RFC 3597, section 5)
	hideCrypto bool // [omitted] instead of keys, digests and signatures
}

// usual is the style of who asks for none.
func usual() style { return style{ttl: true, humanTimes: true} }

// named are the fields of a style by their names.
func (s *style) named() map[string]*bool {
	return map[string]*bool{
		"show_class": &s.class, "show_ttl": &s.ttl, "human_ttl": &s.humanTTL, "human_timestamp": &s.humanTimes,
		"generic": &s.generic, "hide_crypto": &s.hideCrypto,
	}
}

// styleArg is the style in argument i: a table with the fields of a knot_dump_style_t, of
// which those that are missing are as usual.
func styleArg(c *script.Call, i int) style {
	s := usual()
	if c.IsNil(i) {
		return s
	}
	fields := s.named()
	for _, p := range c.Table(i).Pairs {
		name, _ := p.Key.(string)
		on, isBool := p.Value.(bool)
		switch to := fields[name]; {
		case !isBool:
			c.ArgError(i, "style: the field '%v' is true or false", p.Key)
		case to != nil:
			*to = on
		case name == "original_ttl": // records here have no other
		case (name == "wrap" || name == "verbose" || name == "empty_ttl"):
			if on {
				c.ArgError(i, "style: '%s' is not in this version; a record is one line with all its parts", name)
			}
		default:
			c.ArgError(i, "style: there is no field '%v'; there are generic, hide_crypto, human_timestamp, human_ttl, show_class, show_ttl", p.Key)
		}
	}
	return s
}

// styleTable is what ffi.new makes of the type knot_dump_style_t: a style, with the fields
// of the table in argument 2 where that is given.
func styleTable(c *script.Call) *luavalue.Table {
	s, t := styleArg(c, 2), &luavalue.Table{}
	for name, on := range s.named() {
		t.Add(name, *on)
	}
	return t
}

// line is a record on one line of a zone file, with its owner padded.
func (s style) line(rr wire.RR) string {
	set := wire.RRset{Owner: dnsname.Root, Type: rr.Type, Class: rr.Class, TTL: rr.TTL}
	words := strings.SplitN(policy.RecordText(set, rr.RData), "\t", 4) // owner, TTL, type, data
	parts := []string{fmt.Sprintf("%-20s", rr.Owner.String())}
	if s.ttl && s.humanTTL {
		parts = append(parts, human(rr.TTL))
	} else if s.ttl {
		parts = append(parts, words[1])
	}
	if s.class {
		parts = append(parts, nameOf(classes(), int(rr.Class)))
	}
	return strings.Join(append(parts, words[2], s.data(rr, words[3])), "\t")
}

// data is the text of RDATA, which it has as usual.
func (s style) data(rr wire.RR, text string) string {
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
