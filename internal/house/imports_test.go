package house

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// allowed says which of our packages a package may import. DO NOT CHANGE THIS
// TO FIX A BUILD: a new arrow is a change of the design, and ARCHITECTURE.md
// tells it too.
var allowed = map[string]string{
	"reference":   "",
	"safe":        "",
	"limits":      "",
	"metrics":     "",
	"digest":      "",
	"cgroup":      "",
	"dnsname":     "",
	"ede":         "",
	"rank":        "",
	"privilege":   "",
	"seal":        "",
	"version":     "",
	"wording":     "",
	"textfile":    "",
	"memfile":     "",
	"ticket":      "clock limits textfile wording",
	"filewatch":   "limits",
	"rpz":         "dnsname limits wire",
	"certificate": "clock filewatch limits textfile wording",
	"transport":   "",
	"luavalue":    "",
	"luapattern":  "limits",
	"clock":       "wording",
	"logging":     "safe limits wording",
	"systemd":     "",
	"fdwatch":     "safe",
	"wire":        "dnsname limits",
	"doh":         "limits wire",
	"h2":          "limits",
	"reload":      "limits",
	"inforce":     "limits memfile",
	"ipc":         "limits reload safe",
	"rundir":      "wording",
	"cli":         "limits logging systemd version",
	"lmdbcache":   "clock limits safe wording",
	"listen":      "clock doh doq h2 limits safe logging transport wire",
	"doq":         "limits transport wire",
	"dnssec":      "dnsname ede limits wire",
	"zonecut":     "dnsname rank wire",
	"resolve":     "digest ede dnsname rank wire zonecut selection limits safe transport",
	"roothints":   "dnsname wording zonecut",
	"servertable": "clock limits wording",
	"selection":   "dnsname zonecut limits clock servertable",
	"explain":     "dnsname ede limits rank resolve selection wire wording zonecut",
	"iterate":     "dnsname rank wire zonecut resolve limits",
	"validate":    "dnsname dnssec ede limits trustanchor rank wire zonecut resolve",
	"reply":       "ede dnsname wire resolve limits transport",
	"settings":    "doh limits resolve wire",
	"upstream":    "dnsname doh doq wire zonecut resolve limits safe clock transport",
	"cache":       "ede dnsname dnssec rank wire zonecut resolve reply limits lmdbcache",
	"rules":       "digest dnsname ede limits luapattern rank reply resolve transport wire zonecut",
	"module":      "cache clock dnsname ede luavalue metrics reply resolve rules safe textfile transport wire zonecut",
	"cachegc":     "cache cli clock lmdbcache wording",
	"console":     "ipc limits lineedit reload safe logging",
	"kresc":       "cli console ipc limits lineedit reload safe wording",
	"lineedit":    "limits safe",
	"forkmap":     "ipc limits safe luavalue rundir",
	"supervisor":  "inforce ipc limits memfile privilege reload safe logging systemd rundir cli wording",
	"script":      "clock limits luavalue reference safe script/machine script/source wording",
	"trustanchor": "digest dnsname dnssec limits textfile wire wording",
	"dnslua":      "dnslua/ffi dnslua/message dnslua/requests dnslua/terms dnslua/zonefile dnsname limits rank resolve script wire",
	"lualayer":    "dnslua/records dnslua/requests dnsname limits logging module rank resolve safe script wire wording",
	"bindings":    "bindings/anchors bindings/asking bindings/caching bindings/events bindings/modules bindings/network bindings/options bindings/policies clock dnslua dnslua/requests dnslua/terms dnsname fdwatch limits logging lualib lualib/cqueues luavalue metrics module modules/policy modules/view resolve safe script settings version wire wording",
	"freeport":    "",
	"authority":   "freeport safe",
	"proctest":    "authority freeport safe",

	"bindings/anchors":  "clock dnsname luavalue safe script trustanchor",
	"bindings/asking":   "dnslua/requests dnslua/terms limits logging luavalue resolve safe script wire",
	"bindings/caching":  "cache dnslua/message dnslua/terms dnsname ede limits logging luavalue metrics resolve script settings wire wording",
	"bindings/events":   "clock fdwatch limits script",
	"bindings/modules":  "dnslua/requests logging lualayer luavalue module safe script",
	"bindings/network":  "bindings/servers limits logging luavalue modules/policy modules/view script settings transport wording",
	"bindings/options":  "dnslua/terms logging luavalue resolve script script/language settings wording",
	"bindings/policies": "bindings/servers dnslua/message dnslua/requests dnslua/terms dnsname ede limits logging luavalue modules/policy modules/view resolve rules script wire",
	"bindings/servers":  "dnslua/terms luavalue modules/policy modules/view rules script settings wording zonecut",

	"dnslua/ffi":        "dnslua/records dnslua/requests dnslua/terms dnssec limits luavalue script wire",
	"dnslua/message":    "dnslua/terms dnsname limits modules/policy wire",
	"dnslua/records":    "dnslua/message dnslua/terms dnsname limits luavalue modules/policy resolve script wire",
	"dnslua/requests":   "dnslua/message dnslua/records dnslua/terms dnsname ede explain limits luavalue rank resolve script transport wire zonecut",
	"dnslua/terms":      "dnsname luavalue rank resolve script wording",
	"dnslua/zonefile":   "dnslua/message dnslua/records dnsname limits luavalue script textfile wire wording",
	"dnslua/dnsluatest": "dnslua dnslua/requests dnslua/terms dnsname ede rank resolve script script/command transport wire",

	"lualib":            "lualib/cqueues lualib/json lualib/lfs lualib/ltn12 lualib/luajit lualib/mime lualib/socket lualib/urls lualib/web script",
	"lualib/json":       "limits luavalue script",
	"lualib/lfs":        "clock luavalue script script/language wording",
	"lualib/ltn12":      "script",
	"lualib/luajit":     "script",
	"lualib/mime":       "script",
	"lualib/socket":     "clock fdwatch limits luavalue lualib/trust script wording",
	"lualib/trust":      "limits luavalue textfile wording",
	"lualib/urls":       "script",
	"script/command":    "limits luavalue script script/language script/machine script/source wording",
	"script/language":   "limits luapattern luavalue memfile script script/machine script/source wording",
	"script/machine":    "limits luavalue safe wording",
	"script/scripttest": "luavalue script script/command",
	"script/sidebyside": "",
	"script/source":     "",

	"lualib/web":     "limits luavalue lualib/trust safe script wording",
	"lualib/cqueues": "clock fdwatch safe script",

	"doq/doqtest":           "",
	"authority/inmemory":    "authority dnsname resolve wire zonecut",
	"authority/zonegen":     "authority",
	"trustanchor/bootstrap": "limits textfile trustanchor wording",
}

// owned says which packages alone may import a library: one of the program, and
// what signs for tests.
var owned = map[string]string{
	"github.com/Shopify/go-lua":                     "kresd/internal/script kresd/internal/script/command kresd/internal/script/language kresd/internal/script/machine",
	"github.com/PowerDNS/lmdb-go/lmdb":              "kresd/internal/lmdbcache",
	"github.com/libp2p/go-reuseport":                "kresd/internal/listen",
	"github.com/hashicorp/go-hclog":                 "kresd/internal/logging",
	"github.com/cloudflare/circl/sign/ed448":        "kresd/internal/dnssec kresd/internal/authority",
	"github.com/mattn/go-runewidth":                 "kresd/internal/lineedit",
	"golang.org/x/term":                             "kresd/internal/lineedit",
	"github.com/spf13/pflag":                        "kresd/internal/cli",
	"github.com/smallstep/pkcs7":                    "kresd/internal/trustanchor/bootstrap",
	"github.com/fsnotify/fsnotify":                  "kresd/internal/filewatch",
	"github.com/quic-go/quic-go":                    "kresd/internal/doq kresd/internal/doq/doqtest",
	"kernel.org/pub/linux/libs/security/libcap/cap": "kresd/internal/privilege",
	"github.com/coreos/go-systemd/v22/activation":   "kresd/internal/systemd",
	"github.com/coreos/go-systemd/v22/daemon":       "kresd/internal/systemd",
	"github.com/dchest/siphash":                     "kresd/internal/upstream",
	"golang.org/x/net/http2":                        "kresd/internal/h2",
	"golang.org/x/net/ipv4":                         "kresd/internal/doq",
	"golang.org/x/net/publicsuffix":                 "kresd/internal/modules/policy",
}

// textual may use miekg/dns: presentation format, zone files, and the
// authorities of tests. The ways of queries never do.
var textual = []string{"kresd/internal/dnslua/zonefile", "kresd/internal/roothints", "kresd/internal/trustanchor", "kresd/internal/authority", "kresd/internal/modules/", "kresd/internal/proctest", "kresd/cmd/"}

// forTests are the packages that only tests import.
const forTests = "authority/inmemory authority/zonegen dnslua/dnsluatest doq/doqtest proctest script/scripttest script/sidebyside"

type pkg struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "kresd/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "kresd/internal/")
		rule, ruled := allowed[name]
		for _, imported := range p.Imports {
			if owner := owned[imported]; owner != "" && !contains(owner, p.ImportPath) {
				t.Errorf("%s imports %s, which belongs to %s", p.ImportPath, imported, owner)
			}
			if imported == "github.com/miekg/dns" && !mayUseText(p.ImportPath) {
				t.Errorf("%s imports %s: octets on the ways of queries are package wire's", p.ImportPath, imported)
			}
			ours, isOurs := strings.CutPrefix(imported, "kresd/internal/")
			if isOurs && contains(forTests, ours) {
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, ours)
			}
			if isOurs && ruled && !contains(rule, ours) {
				t.Errorf("%s imports %s; it may import only: %s", p.ImportPath, ours, rule)
			}
			if isOurs && strings.HasPrefix(name, "modules/") && (strings.HasPrefix(ours, "modules/") || ours == "worker" || ours == "script" || strings.HasPrefix(ours, "dnslua") || strings.HasPrefix(ours, "bindings")) {
				t.Errorf("%s imports %s: modules know neither each other nor Lua", p.ImportPath, ours)
			}
		}
	}
}

// What is allowed and not used is an arrow that nobody needs.
func TestAllowedImportsAreUsed(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "kresd/internal/")
		seen[name] = true
		rule, ruled := allowed[name]
		if !ruled {
			if !unruled(name) {
				t.Errorf("%s has no rule about its imports", p.ImportPath)
			}
			continue
		}
		used := strings.Join(p.Imports, " ") + " "
		for _, word := range strings.Fields(rule) {
			if !strings.Contains(used, "kresd/internal/"+word+" ") {
				t.Errorf("%s may import %s and does not", p.ImportPath, word)
			}
		}
	}
	for name := range allowed {
		if !seen[name] {
			t.Errorf("there is a rule about %s, which is no package", name)
		}
	}
}

// unruled tells whether a package may import what it likes: programs, the
// composition root, and what tests them. Modules have a rule of their own.
func unruled(name string) bool {
	return name == "worker" || name == "house" || strings.HasPrefix(name, "kresd/") || strings.HasPrefix(name, "modules/") || strings.Contains(name, "/cmd/") || name == "house/mutants"
}

func mayUseText(path string) bool {
	for _, prefix := range textual {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

func contains(list, word string) bool {
	for _, w := range strings.Fields(list) {
		if w == word {
			return true
		}
	}
	return false
}
