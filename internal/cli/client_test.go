package cli

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseClient(t *testing.T) {
	base := ClientOptions{Place: ".", Delay: 2 * time.Second}
	with := func(change func(*ClientOptions)) ClientOptions { o := base; change(&o); return o }
	for args, want := range map[string]ClientOptions{
		"":                        base,
		"run":                     with(func(o *ClientOptions) { o.Place = "run" }),
		"run -e 1 --exec=2 -aj":   with(func(o *ClientOptions) { o.Place, o.Execute, o.All, o.JSON = "run", []string{"1", "2"}, true, true }),
		"status":                  with(func(o *ClientOptions) { o.Task = StatusTask }),
		"status --json run":       with(func(o *ClientOptions) { o.Task, o.Place, o.JSON = StatusTask, "run", true }),
		"./status":                with(func(o *ClientOptions) { o.Place = "./status" }),
		"top -n 3 -d 0.5 run":     with(func(o *ClientOptions) { o.Task, o.Place, o.Count, o.Delay = TopTask, "run", 3, time.Second/2 }),
		"--count=1 --delay=2 top": with(func(o *ClientOptions) { o.Task, o.Count = TopTask, 1 }),
		"top top":                 with(func(o *ClientOptions) { o.Task, o.Place = TopTask, "top" }),
		"-h -n x":                 {Help: true},
		"--version":               {Version: true},
	} {
		got, err := ParseClient(strings.Fields(args))
		if len(got.Execute) == 0 {
			got.Execute = nil
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseClient(%q) = %+v, %v; want %+v", args, got, err, want)
		}
	}
}

func TestParseClientErrors(t *testing.T) {
	for args, says := range map[string]string{
		"-x":             "unknown option '-x'",
		"-e":             "option '-e' requires an argument",
		"a b":            "'b' is one argument too many",
		"status a b":     "'b' is one argument too many",
		"status -e 1":    "'-e' is for commands",
		"top -e 1":       "'-e' is for commands",
		"-n 2":           "'--count' is for top",
		"status -d 1":    "'--delay' is for top",
		"top -n 0":       "a positive number, not '0'",
		"top -n x":       "a positive number, not 'x'",
		"top -d 0.01":    "from 0.1 to 3600, not '0.01'",
		"top -d NaN":     "not 'NaN'",
		"top --delay=1h": "not '1h'",
	} {
		_, err := ParseClient(strings.Fields(args))
		if err == nil || Status(err) != 2 || !strings.Contains(err.Error(), says) {
			t.Errorf("ParseClient(%q): %v (status %d), want %q and status 2", args, err, Status(err), says)
		}
	}
	for _, option := range []string{"-e, --execute=", "-a, --all", "-j, --json", "-n, --count=", "-d, --delay=", "-V, --version", "-h, --help"} {
		if !strings.Contains(ClientUsage(), " "+option) {
			t.Errorf("the usage lacks %s", option)
		}
	}
	if strings.Count(ClientVersionLine(), "\n") != 1 {
		t.Errorf("version is not one line: %q", ClientVersionLine())
	}
}
