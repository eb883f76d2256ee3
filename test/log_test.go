package test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// hostileNames are questions that would like to write lines of their own.
var hostileNames = []string{
	`a\010[system]\032all\032is\032well.example.com`, `\013\027[2K[system]\032fine.example.com`,
	`\"},{\"level\":\"error.example.com`, `\255\254\200\133.example.com`,
}

// verboseGroup runs with every step in the log, and was asked names that would like
// to forge lines. Its configuration logs two lines itself.
func verboseGroup(t *testing.T, under []string, args ...string) *proctest.Group {
	t.Helper()
	c := proctest.On(t, proctest.SmallInternet(t), 2, `log('said by\n a script')`, `warn('warned by a script')`)
	c.Args, c.Under = append(c.Args, args...), under
	g := proctest.Start(t, c)
	for _, name := range hostileNames {
		for range 2 {
			g.Ask(t, "udp", name, dns.TypeA, 1232)
		}
	}
	return g
}

// Every line of a group that logs as JSON is an object with the fields that stay what
// they are, whatever names clients ask for.
func TestLogAsJSON(t *testing.T) {
	g := verboseGroup(t, nil, "-v", "--log-format=json")
	if _, err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(g.Log()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		at, err := time.Parse(time.RFC3339Nano, fields["ts"].(string))
		if err != nil || at.Location() != time.UTC {
			t.Errorf("ts of %q: %v", line, err)
		}
		seen[fields["level"].(string)], seen[fields["group"].(string)] = true, true
		if name, ok := fields["qname"].(string); ok && fields["qtype"] == "A" && fields["req"] != "" {
			seen[name] = true
		}
		if fields["group"] == "script" {
			seen[fields["msg"].(string)] = true
		}
	}
	for _, want := range []string{"debug", "notice", "system", "iter", "resl", "said by\n a script", "warned by a script", "a\\010[system]\\032all\\032is\\032well.example.com."} {
		if !seen[want] {
			t.Errorf("no line has %q", want)
		}
	}
}

// Text under the journal: each line begins with its priority, and is a line of kresd's.
func TestLogUnderTheJournal(t *testing.T) {
	journal := []string{"sh", "-c", `JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"`, "sh"}
	g := verboseGroup(t, journal, "-v")
	if _, err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	ours := regexp.MustCompile(`^<[3457]>(\[[ a-z_]+\] |\[\d{5}\.\d\d\] \[[a-z_ ]{4}\] |  )[ -~µ]+\n$`)
	for line := range strings.Lines(g.Log()) {
		byHand := strings.Contains(line, "a script") || !strings.HasPrefix(line, "<") // and what consoles were told
		if !ours.MatchString(line) && !byHand {
			t.Errorf("line %q", line)
		}
		if strings.Contains(line, "[system] all is well") || strings.Contains(line, "[system] fine") {
			t.Errorf("a client wrote %q", line)
		}
	}
	if !strings.Contains(g.Log(), "<5>[system] listening on") {
		t.Errorf("log:\n%s", g.Log())
	}
}

func TestLogAsLogfmt(t *testing.T) {
	g := verboseGroup(t, nil, "--log-format=logfmt")
	if _, err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	pair := `[a-z_]+=(?:[^ ="\\]+|"(?:[^"\\]|\\.)*")`
	line := regexp.MustCompile(`^ts=\S+Z level=(?:notice|warning|error) group=[a-z]+ msg=(?:[^ ="\\]+|"(?:[^"\\]|\\.)*")(?: ` + pair + `)*$`)
	for text := range strings.Lines(g.Log()) {
		if !line.MatchString(strings.TrimSuffix(text, "\n")) {
			t.Errorf("line %q", text)
		}
	}
}
