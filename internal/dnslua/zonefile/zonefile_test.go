package zonefile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kresd/internal/dnslua/dnsluatest"
	"kresd/internal/limits"
)

const zoneText = `$ORIGIN example.
$TTL 60
@ SOA ns hostmaster 1 2 3 4 5
  NS ns ; the server
ns 30 A 192.0.2.1
$ORIGIN sub
www TXT "a b" ; said so
`

func TestRecordsOfAZoneFile(t *testing.T) {
	w := dnsluatest.New(t)
	path := filepath.Join(t.TempDir(), "example.zone")
	if err := os.WriteFile(path, []byte(zoneText), 0o600); err != nil {
		t.Fatal(err)
	}
	w.Run("path = '" + path + "' text = [[" + zoneText + "]]\n" + `
		local zonefile = require('zonefile')
		for _, list in ipairs{ zonefile.string(text), zonefile.file(path) } do
			assert(#list == 4)
			assert(list[1].type == kres.type.SOA and list[1].owner == todname('example') and list[1].ttl == 60 and list[1].class == 1 and list[1].comment == nil)
			assert(list[2].comment == ' the server' and list[2].rdata == todname('ns.example'))
			assert(list[3].ttl == 30 and list[3].rdata == '\192\0\2\1' and list[4].owner == todname('www.sub.example') and list[4].rdata == '\3a b')
			assert(kres.rr2str(list[4]) == 'www.sub.example.    \t60\tTXT\t"a b" ; said so', kres.rr2str(list[4]))
		end
		assert(#zonefile.string('') == 0 and #zonefile.string('; nothing') == 0)
		local parser = zonefile.new('example', kres.class.IN, 7)
		assert(parser:open(path))
		local names = {}
		while parser:parse() do
			local rr = parser:current_rr()
			assert(parser.r_owner == rr.owner and parser.r_owner_length == #rr.owner and parser.r_data == rr.rdata and parser.r_data_length == #rr.rdata)
			assert(parser.r_type == rr.type and parser.r_class == rr.class and parser.r_ttl == rr.ttl)
			table.insert(names, kres.dname2str(rr.owner) .. parser.line_counter)
		end
		assert(table.concat(names, ' ') == 'example.3 example.4 ns.example.5 www.sub.example.7', table.concat(names, ' '))
		assert(parser:strerr() == nil and parser:parse() == nil)
		assert(parser:parse('a A 192.0.2.1\nb A 192.0.2.2') and parser:current_rr().owner == todname('a.example') and parser.r_ttl == 7)
		assert(parser:parse() and parser:current_rr().owner == todname('b.example') and parser:parse() == nil)
	`)
}

// What is wrong is told with its line, and nothing of it is taken.
func TestWrongZoneFiles(t *testing.T) {
	w := dnsluatest.New(t)
	dir := t.TempDir()
	fifo, dirs := filepath.Join(dir, "fifo"), filepath.Join(dir, "dir")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	huge := filepath.Join(dir, "huge")
	if f, err := os.Create(huge); err != nil || f.Truncate(limits.LuaZoneOctets+1) != nil || f.Close() != nil || os.Mkdir(dirs, 0o700) != nil {
		t.Fatal(err)
	}
	for _, tt := range [][2]string{
		{"string('a. A 192.0.2.1\\nb. A nonsense\\n')", "text:2: "},
		{"string('a. A 192.0.2.1\\n$INCLUDE /etc/passwd\\n')", "$INCLUDE"},
		{"string('a. NOSUCH x')", "text:1: "},
		{"string('$GENERATE 1-60000 a$.x. A 192.0.2.1\\n' .. ('$GENERATE 1-60000 a$.x. A 192.0.2.1\\n'):rep(5))", "more than 262144 records"},
		{"string('$GENERATE 1-99999999 a$.x. A 192.0.2.1')", "bad range"},
		{"file('" + fifo + "')", "not a regular file"},
		{"file('" + dirs + "')", "not a regular file"},
		{"file('/dev/zero')", "not a regular file"},
		{"file('" + huge + "')", "larger than 64 MiB"},
		{"file('/nosuch/zone')", "/nosuch/zone: no such file"},
		{"new():open('/dev/zero')", "not a regular file"},
		{"new():open('/nosuch/zone')", "no such file"},
		{"new():parse()", "nothing to read"},
		{"new():parse('a. A nonsense')", "text:1: "},
	} {
		got := w.Eval("return assert(require('zonefile')." + tt[0] + ")")
		if !strings.HasPrefix(got, "ERROR") || !strings.Contains(got, tt[1]) || strings.Contains(got, "dns:") {
			t.Errorf("%s\n got %q\nwant %q", tt[0], got, tt[1])
		}
	}
	for _, use := range []string{"string(5)", "string()", "file()", "new('a..b')", "new('.', kres.class.CH)", "new('.', 1, -1)"} {
		if got := w.Eval(fmt.Sprintf("return require('zonefile').%s", use)); !strings.HasPrefix(got, "ERROR") {
			t.Errorf("%s gives %q", use, got)
		}
	}
}
