package terms

import (
	"strings"

	"kresd/internal/resolve"
)

// flag is one of the manual's flags: a name by which scripts set and read how
// questions are resolved (option, policy.FLAGS, resolve, the flags of kres).
type flag struct {
	name string
	// option is what the flag decides; nil where it decides nothing here, and is only
	// kept (resolve.Marks).
	option func(*resolve.Options) *bool
}

// flags are all of them, in the order of the manual. The order numbers the marks.
func flags() [39]flag {
	return [...]flag{
		{"NO_MINIMIZE", func(o *resolve.Options) *bool { return &o.WholeName }},
		{"NO_THROTTLE", func(o *resolve.Options) *bool { return &o.AskSilent }},
		{"NO_IPV6", func(o *resolve.Options) *bool { return &o.NoIPv6 }},
		{"NO_IPV4", func(o *resolve.Options) *bool { return &o.NoIPv4 }},
		{"TCP", func(o *resolve.Options) *bool { return &o.TCPOnly }},
		{"RESOLVED", nil},
		{"AWAIT_IPV4", nil},
		{"AWAIT_IPV6", nil},
		{"AWAIT_CUT", nil},
		{"SAFEMODE", func(o *resolve.Options) *bool { return &o.NoEDNS }},
		{"CACHED", func(o *resolve.Options) *bool { return &o.FromCache }},
		{"NO_CACHE", func(o *resolve.Options) *bool { return &o.BypassCache }},
		{"EXPIRING", nil},
		{"ALLOW_LOCAL", func(o *resolve.Options) *bool { return &o.AnyAddress }},
		{"DNSSEC_WANT", func(o *resolve.Options) *bool { return &o.AsksDO }},
		{"DNSSEC_BOGUS", nil},
		{"DNSSEC_INSECURE", nil},
		{"DNSSEC_CD", func(o *resolve.Options) *bool { return &o.AsksCD }},
		{"STUB", func(o *resolve.Options) *bool { return &o.Stub }},
		{"ALWAYS_CUT", func(o *resolve.Options) *bool { return &o.FindCut }},
		{"DNSSEC_WEXPAND", nil},
		{"DNSSEC_NODS", nil},
		{"DNSSEC_OPTOUT", nil},
		{"PERMISSIVE", func(o *resolve.Options) *bool { return &o.Permissive }},
		{"STRICT", func(o *resolve.Options) *bool { return &o.Strict }},
		{"BADCOOKIE_AGAIN", nil}, // an exchange asks again by itself (package upstream)
		{"CNAME", nil},
		{"REORDER_RR", func(o *resolve.Options) *bool { return &o.VaryOrder }},
		{"TRACE", nil},
		{"NO_0X20", func(o *resolve.Options) *bool { return &o.KeepCase }},
		{"NONAUTH", nil},
		{"FORWARD", func(o *resolve.Options) *bool { return &o.Forward }},
		{"DNS64_MARK", nil},
		{"CACHE_TRIED", nil},
		{"NO_NS_FOUND", nil},
		{"NO_ANSWER", nil},
		{"PKT_IS_SANE", nil},
		{"DNS64_DISABLE", nil},
		{"NO_SHA1", func(o *resolve.Options) *bool { return &o.NoSHA1 }},
	}
}

// OptionByName is the option that a flag's name stands for, whatever its case.
// NO_EDNS is another name of SAFEMODE.
func OptionByName(name string) (o resolve.Options, ok bool) {
	name = strings.ToUpper(name)
	if name == "NO_EDNS" {
		name = "SAFEMODE"
	}
	all := flags()
	for i := range all {
		if all[i].name != name {
			continue
		}
		if all[i].option == nil {
			return resolve.Options{Marks: mark(i)}, true
		}
		*all[i].option(&o) = true
		return o, true
	}
	return o, false
}

// Switches are the names of the options that decide how requests are resolved, without
// those that only mark a request for a script.
func Switches() (names []string) {
	for _, f := range flags() {
		if f.option != nil {
			names = append(names, f.name)
		}
	}
	return names
}

// OptionNames are the names of the flags that are set, in the order of the manual.
func OptionNames(o resolve.Options) (names []string) {
	for i, f := range flags() {
		if f.option == nil && o.Marks&mark(i) != 0 || f.option != nil && *f.option(&o) {
			names = append(names, f.name)
		}
	}
	return names
}

// mark is the bit that keeps a flag which decides nothing. Flags that decide
// something have none, so that the bits of all fit.
func mark(i int) resolve.Marks {
	all := flags()
	bit := 0
	for _, f := range all[:i] {
		if f.option == nil {
			bit++
		}
	}
	return 1 << bit
}

// Flags are the names of all flags.
func Flags() (names []string) {
	for _, f := range flags() {
		names = append(names, f.name)
	}
	return names
}

// Turn sets or clears what flag, an option by its name, stands for.
func Turn(o *resolve.Options, flag resolve.Options, on bool) {
	if on {
		*o = o.With(flag)
	} else {
		*o = o.Without(flag)
	}
}
