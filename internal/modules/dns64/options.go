package dns64

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"kresd/internal/digest"
	"kresd/internal/luavalue"
	"kresd/internal/module"
	"kresd/internal/rules"
)

// options are what is in force. They are never changed, only replaced.
type options struct {
	prefix  netip.Prefix
	outside bool           // it is the well-known one, which is for global addresses only
	exclude []netip.Prefix // whose AAAA records are as if they were not there
	revTTL  uint32         // of aliases between names of addresses, in seconds
	shape   uint64
}

// wellKnown is the prefix of RFC 6052, section 2.1.
const wellKnown = "64:ff9b::"

// mapped are addresses that are no host's (RFC 6147, section 5.1.4).
const mapped = "::ffff:0:0/96"

// defaultRevTTL is that of aliases, in seconds.
const defaultRevTTL = 60

// optionsOf reads what a script gave: nothing, a prefix, or a table with prefix, rev_ttl and
// exclude_subnets.
func optionsOf(value any) (*options, error) {
	o, prefix, exclude := &options{revTTL: defaultRevTTL}, wellKnown, []string{mapped}
	switch v := value.(type) {
	case nil:
	case string:
		prefix = v
	case *luavalue.Table:
		for _, p := range v.Pairs {
			var err error
			switch p.Key {
			case "prefix":
				prefix, err = module.Text("prefix", "an IPv6 prefix").Value(p.Value)
			case "rev_ttl":
				var n float64
				n, err = module.Whole("rev_ttl", "a number of seconds", 0, 1<<31-1).Value(p.Value)
				o.revTTL = uint32(n)
			case "exclude_subnets":
				exclude, err = textsOf(p.Value)
			default:
				err = fmt.Errorf("there is none of that name; there are prefix, rev_ttl and exclude_subnets")
			}
			if err != nil {
				return nil, fmt.Errorf("option %v: %w", p.Key, err)
			}
		}
	default:
		return nil, fmt.Errorf("a prefix or a table of options expected")
	}
	var err error
	if o.prefix, err = prefixOf(prefix); err != nil {
		return nil, err
	}
	o.outside = o.prefix.String() == wellKnown+"/96"
	for _, text := range exclude {
		p, err := excluded(text)
		if err != nil {
			return nil, err
		}
		o.exclude = append(o.exclude, p)
	}
	o.shape = digest.Of("dns64", o.prefix.String(), strings.Join(exclude, " "))
	return o, nil
}

func textsOf(v any) (list []string, err error) {
	t, err := module.Table("exclude_subnets", "a list of IPv6 networks").Value(v)
	if err != nil {
		return nil, err
	}
	for _, v := range t.Values() {
		text, err := module.Text("subnet", "a list of IPv6 networks").Value(v)
		if err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, nil
}

// excluded is a network of IPv6 addresses.
func excluded(text string) (netip.Prefix, error) {
	if text == mapped { // which ParseSubnet takes for one of IPv4
		return netip.ParsePrefix(mapped)
	}
	p, err := rules.ParseSubnet(text)
	if err == nil && p.Addr().Is4() {
		err = fmt.Errorf("'%s' is no network of IPv6", text)
	}
	return p, err
}

// prefixOf reads a prefix, of 96 bits unless it says another of RFC 6052, section 2.2.
func prefixOf(text string) (netip.Prefix, error) {
	whole := text
	if !strings.Contains(text, "/") {
		whole += "/96"
	}
	p, err := netip.ParsePrefix(whole)
	if err != nil || p.Addr().Is4() || p.Addr().Is4In6() || !slices.Contains([]int{32, 40, 48, 56, 64, 96}, p.Bits()) || p.Masked() != p || p.Addr().As16()[reserved] != 0 {
		return p, fmt.Errorf("'%s' is no prefix of 32, 40, 48, 56, 64 or 96 bits for IPv4 addresses (RFC 6052), as 64:ff9b:: is", text)
	}
	return p, nil
}

// excludes tells whether an address of an AAAA record does not count.
func (o *options) excludes(data []byte) bool {
	a, ok := netip.AddrFromSlice(data)
	return ok && slices.ContainsFunc(o.exclude, func(p netip.Prefix) bool { return p.Contains(a) })
}
