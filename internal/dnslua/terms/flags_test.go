package terms

import (
	"slices"
	"strings"
	"testing"

	"kresd/internal/resolve"
)

// Each of the manual's flags is set and read by its name, and by no other.
func TestFlagsHaveTheirNames(t *testing.T) {
	var all resolve.Options
	var names []string
	deciding := 0
	for _, f := range flags() {
		one, ok := OptionByName(strings.ToLower(f.name))
		if !ok || one == (resolve.Options{}) {
			t.Errorf("%s is not known", f.name)
		}
		if got := OptionNames(one); !slices.Equal(got, []string{f.name}) {
			t.Errorf("%s sets %q", f.name, got)
		}
		if one.Marks == 0 {
			deciding++
		}
		all = all.With(one)
		names = append(names, f.name)
	}
	if got := OptionNames(all); !slices.Equal(got, names) || deciding != 19 {
		t.Errorf("all of them are %q, %d decide something", got, deciding)
	}
	if one, _ := OptionByName("no_edns"); one != (resolve.Options{NoEDNS: true}) {
		t.Errorf("NO_EDNS is %+v", one)
	}
	for name, want := range map[string]resolve.Options{
		"NO_MINIMIZE": {WholeName: true}, "NO_THROTTLE": {AskSilent: true}, "NO_IPV4": {NoIPv4: true}, "NO_IPV6": {NoIPv6: true}, "TCP": {TCPOnly: true},
		"SAFEMODE": {NoEDNS: true}, "CACHED": {FromCache: true}, "NO_CACHE": {BypassCache: true}, "ALLOW_LOCAL": {AnyAddress: true}, "DNSSEC_WANT": {AsksDO: true},
		"DNSSEC_CD": {AsksCD: true}, "STUB": {Stub: true}, "ALWAYS_CUT": {FindCut: true}, "PERMISSIVE": {Permissive: true}, "STRICT": {Strict: true},
		"REORDER_RR": {VaryOrder: true}, "NO_0X20": {KeepCase: true}, "NO_SHA1": {NoSHA1: true}, "FORWARD": {Forward: true},
	} {
		if got, _ := OptionByName(name); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	if _, ok := OptionByName("NO_SUCH"); ok {
		t.Error("NO_SUCH is a flag")
	}
}
