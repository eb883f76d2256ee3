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
	"ticket":      "clock limits textfile wording",
	"certificate": "clock limits textfile wording",
	"transport":   "",
	"luavalue":    "",
	"luapattern":  "limits",
	"clock":       "wording",
	"logging":     "safe limits wording",
	"systemd":     "",
	"fdwatch":     "safe",
	"wire":        "dnsname limits",
	"doh":         "limits wire",
	"reload":      "limits",
	"ipc":         "limits reload safe",
	"rundir":      "wording",
	"cli":         "limits logging systemd version",
	"lmdbcache":   "clock limits safe wording",
	"listen":      "clock doh doq limits safe logging transport wire",
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
	"settings":    "doh limits resolve",
	"upstream":    "dnsname doh doq wire zonecut resolve limits safe clock transport",
	"cache":       "ede dnsname dnssec rank wire zonecut resolve reply limits lmdbcache",
	"rules":       "digest dnsname ede limits luapattern rank reply resolve transport wire zonecut",
	"module":      "cache clock dnsname ede luavalue metrics reply resolve rules safe transport wire zonecut",
	"cachegc":     "cache cli clock lmdbcache wording",
	"console":     "ipc limits reload safe logging",
	"kresc":       "cli console ipc limits reload safe wording",
	"forkmap":     "ipc limits safe luavalue rundir",
	"supervisor":  "ipc limits privilege reload safe logging systemd rundir cli wording",
	"script":      "clock limits luavalue reference safe script/machine script/source wording",
	"trustanchor": "digest dnsname dnssec limits textfile wire wording",
	"dnslua":      "dnsname dnssec ede explain limits luavalue modules/policy rank resolve script textfile transport wire wording zonecut",
	"lualayer":    "dnslua dnsname limits logging module rank resolve safe script wire wording",
	"bindings":    "cache dnslua ede clock dnsname fdwatch limits logging lualayer lualib lualib/cqueues luavalue metrics module modules/policy resolve rules safe script script/language settings ticket trustanchor version wire wording transport zonecut",
	"authority":   "safe",
	"proctest":    "authority safe",

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
	"script/language":   "limits luapattern luavalue script script/machine script/source wording",
	"script/machine":    "limits luavalue safe wording",
	"script/scripttest": "luavalue script script/command",
	"script/sidebyside": "",
	"script/source":     "",

	"lualib/web":     "limits luavalue lualib/trust safe script wording",
	"lualib/cqueues": "clock fdwatch safe script",

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
	"github.com/peterh/liner":                       "kresd/internal/kresc",
	"github.com/spf13/pflag":                        "kresd/internal/cli",
	"github.com/smallstep/pkcs7":                    "kresd/internal/trustanchor/bootstrap",
	"github.com/fsnotify/fsnotify":                  "kresd/internal/certificate",
	"github.com/quic-go/quic-go":                    "kresd/internal/doq",
	"kernel.org/pub/linux/libs/security/libcap/cap": "kresd/internal/privilege",
	"github.com/coreos/go-systemd/v22/activation":   "kresd/internal/systemd",
	"github.com/coreos/go-systemd/v22/daemon":       "kresd/internal/systemd",
	"golang.org/x/net/http2":                        "kresd/internal/listen",
	"golang.org/x/net/ipv4":                         "kresd/internal/doq",
}

// textual may use miekg/dns: presentation format, zone files, and the
// authorities of tests. The ways of queries never do.
var textual = []string{"kresd/internal/dnslua", "kresd/internal/roothints", "kresd/internal/trustanchor", "kresd/internal/authority", "kresd/internal/modules/", "kresd/internal/proctest", "kresd/cmd/"}

// forTests are the packages that only tests import.
const forTests = "authority/inmemory authority/zonegen proctest script/scripttest script/sidebyside"

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
			if isOurs && strings.HasPrefix(name, "modules/") && (strings.HasPrefix(ours, "modules/") || ours == "worker" || ours == "script" || ours == "dnslua" || ours == "bindings") {
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
