package cli

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"kresd/internal/logging"
)

func TestParse(t *testing.T) {
	at := func(kind, text string, port uint16) []Addr {
		list, err := ParseAddr(text, port)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			list[i].Kind = kind
		}
		return list
	}
	addr := func(text string) []Addr { return at("dns", text, 53) }
	base := Options{RunDir: ".", Forks: 1}
	with := func(change func(*Options)) Options { o := base; change(&o); return o }
	for args, want := range map[string]Options{
		"":                                 with(func(o *Options) { o.Interactive = true }),
		"rundir":                           with(func(o *Options) { o.Interactive, o.RunDir = true, "rundir" }),
		"-f4":                              with(func(o *Options) { o.Forks = 4 }),
		"-f 4 rundir":                      with(func(o *Options) { o.Forks, o.RunDir = 4, "rundir" }),
		"rundir -f 4":                      with(func(o *Options) { o.Forks, o.RunDir = 4, "rundir" }),
		"--forks=4":                        with(func(o *Options) { o.Forks = 4 }),
		"--forks 4":                        with(func(o *Options) { o.Forks = 4 }),
		"--fork 2 -q":                      with(func(o *Options) { o.Forks, o.Quiet = 2, true }),
		"-vf 1":                            with(func(o *Options) { o.Verbose = true }),
		"-vqf1 x":                          with(func(o *Options) { o.Verbose, o.Quiet, o.RunDir = true, true, "x" }),
		"-n":                               base,
		"--noninter":                       base,
		"-n -f 3":                          with(func(o *Options) { o.Forks = 3 }),
		"-f 1 -a ::1":                      with(func(o *Options) { o.Addrs = addr("::1") }),
		"-n -a ::1@5353 --ad=127.0.0.1#54": with(func(o *Options) { o.Addrs = append(addr("::1@5353"), addr("127.0.0.1@54")...) }),
		"-c -":                             with(func(o *Options) { o.Interactive, o.NoDefaults = true, true }),
		"-c a --conf b":                    with(func(o *Options) { o.Interactive, o.Configs = true, []string{"a", "b"} }),
		"-m mods -- -odd":                  with(func(o *Options) { o.Interactive, o.ModuleDir, o.RunDir = true, "mods", "-odd" }),
		"-S 3 --fd=4:control":              with(func(o *Options) { o.FDs = []FD{{3, "dns"}, {4, "control"}} }),
		"-S 3:TLS -S 4:doh -T 5 -f 2":      with(func(o *Options) { o.FDs, o.Forks = []FD{{3, "tls"}, {4, "doh2"}, {5, "tls"}}, 2 }),
		"-n -t ::1 --tls localhost@8853":   with(func(o *Options) { o.Addrs = append(at("tls", "::1", 853), at("tls", "localhost", 8853)...) }),
		"-n --log-format=json":             with(func(o *Options) { o.LogFormat = logging.JSON }),
		"--check-config -f 2 x":            with(func(o *Options) { o.Check, o.Forks, o.RunDir = true, 2, "x" }),
		"--check":                          with(func(o *Options) { o.Check = true }),
		"--script x.lua":                   {Script: "x.lua", RunDir: ".", Forks: 1, NoDefaults: true},
		"-v -m d --script x -v -f 0 --":    {Script: "x", ScriptArgs: []string{"-v", "-f", "0", "--"}, RunDir: ".", Forks: 1, NoDefaults: true, Verbose: true, ModuleDir: "d"},
		"--script=x --script y":            {Script: "x", ScriptArgs: []string{"--script", "y"}, RunDir: ".", Forks: 1, NoDefaults: true},
		"-h --script x":                    {Help: true},
		"-h -f 0":                          {Help: true},
		"--version":                        {Version: true},
		"-V":                               {Version: true},
	} {
		got, err := Parse(strings.Fields(args))
		for i := range got.Addrs { // the spelling is compared in TestParseAddr
			got.Addrs[i].Given = ""
		}
		for i := range want.Addrs {
			want.Addrs[i].Given = ""
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", args, got, err, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"-x", 2, "unknown option '-x'"},
		{"-vx", 2, "unknown option '-x'"},
		{"--nonsense", 2, "unknown option '--nonsense'"},
		{"--ver", 2, "'--ver' is ambiguous: --verbose, --version"},
		{"-a", 2, "option '-a' requires an argument"},
		{"--addr", 2, "option '--addr' requires an argument"},
		{"--quiet=maybe", 2, "takes no argument"},
		{"-f 0", 1, "a positive number"},
		{"-f x", 1, "'x'"},
		{"-f -3", 1, "'-3'"},
		{"-f 100000", 1, "at most 1024"},
		{"-a ::1@x", 1, "'::1@x' has a bad port"},
		{"-a ::1@0", 1, "'::1@0' has a bad port"},
		{"-a ::1@65536", 1, "bad port"},
		{"-a nowhere@53", 1, "'nowhere@53'"},
		{"-t ::1@x", 1, "-t/--tls: '::1@x' has a bad port"},
		{"-T x", 1, "-T/--tlsfd: 'x' is not a descriptor"},
		{"-T 3:tls", 1, "'3:tls' is not a descriptor"},
		{"--keyfile=", 1, "the file name is empty"},
		{"-k a -K b", 1, "exclude each other"},
		{"-k a -k b", 1, "exclude each other"},
		{"-S x", 1, "'x' is not a descriptor"},
		{"--=x", 2, "unknown option '--=x'"},
		{"-S 3:what", 1, "unknown kind: dns, tls, doh2, http, doq or control is required"},
		{"-S 3:", 1, "unknown kind"},
		{"--forks=", 1, "a positive number"},
		{"--log-format=xml", 1, "'xml'"},
		{"--log-format=", 1, "'text', 'json' or 'logfmt' is required, not ''"},
		{"--script", 2, "option '--script' requires an argument"},
		{"--script=", 1, "the file name is empty"},
		{"-a ::1 --script x", 2, "--script and --addr exclude each other"},
		{"dir --script x", 2, "'dir' stands before it"},
		{"a b c", 2, "'b' is one argument too many"},
		{"-f 2 a -n b", 2, "'b' is one argument too many"},
	} {
		_, err := Parse(strings.Fields(c.args))
		if err == nil || Status(err) != c.status || !strings.Contains(err.Error(), c.says) {
			t.Errorf("Parse(%q): %v (status %d), want %q and status %d", c.args, err, Status(err), c.says, c.status)
		}
	}
}

func TestParseAddr(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1":      "127.0.0.1:53",
		"127.0.0.1@5353": "127.0.0.1:5353",
		"::1#54":         "[::1]:54",
		"[::1]@54":       "[::1]:54",
		"::":             "[::]:53",
		"fe80::1%eth0@5": "[fe80::1%eth0]:5",
		"localhost@5353": "127.0.0.1:5353 [::1]:5353",
	} {
		addrs, err := ParseAddr(text, 53)
		var got []string
		for _, a := range addrs {
			got = append(got, a.String())
			if a.Given != text {
				t.Errorf("ParseAddr(%q): given text %q", text, a.Given)
			}
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("ParseAddr(%q) = %v, %v; want %s", text, got, err, want)
		}
	}
}

func TestComplainIsOneLine(t *testing.T) {
	var b bytes.Buffer
	Complain(&b, "kresd", errors.New("config:3: bad\n\n\tstack\n"))
	_, err := Parse([]string{"-x"})
	Complain(&b, "kresd", err)
	want := "kresd: config:3: bad; stack\nkresd: unknown option '-x' (see 'kresd --help')\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestVersionIsOneLine(t *testing.T) {
	if strings.Count(VersionLine(), "\n") != 1 {
		t.Errorf("version is not one line: %q", VersionLine())
	}
}
