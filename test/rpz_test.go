package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// zoneOfTests has a record of each kind that a response policy zone can have here.
const zoneOfTests = `$TTL 300
$ORIGIN rpz.test.
@ SOA localhost. root.localhost. ( 1 3600 600 ; with several lines
	86400 300 )
	NS localhost.
example.com CNAME .
*.example.com CNAME .
www.example.com CNAME rpz-passthru.
nodata.example CNAME *.
drop.example CNAME rpz-drop.
tcp.example.net CNAME rpz-tcp-only.
addr.example 60 A 192.0.2.1
	60 A 192.0.2.2
	AAAA 2001:db8::1
	TXT "one; two" three
*.addr.example MX 10 mail.addr.example.
two..labels CNAME .
32.1.2.0.192.rpz-ip CNAME .
alias.example CNAME www.example.
elsewhere.example. CNAME .
$INCLUDE /etc/passwd
$GENERATE 1-100 a$ CNAME .
`

// answersOf are what a group says to questions over UDP, a line each.
func answersOf(t *testing.T, g *proctest.Group, questions ...string) string {
	t.Helper()
	var out strings.Builder
	for _, question := range questions {
		network, question := "udp", question
		if rest, is := strings.CutPrefix(question, "tcp "); is {
			network, question = "tcp", rest
		}
		name, qtype, _ := strings.Cut(question, " ")
		r := g.Ask(t, network, name, dns.StringToType[qtype], 1232)
		fmt.Fprintf(&out, "%s %s: %s aa=%t tc=%t", network, question, dns.RcodeToString[r.Rcode], r.Authoritative, r.Truncated)
		for _, rr := range r.Answer {
			fmt.Fprintf(&out, " | %s", strings.Join(strings.Fields(rr.String()), " "))
		}
		for _, rr := range r.Ns {
			fmt.Fprintf(&out, " ~ %s", dns.TypeToString[rr.Header().Rrtype])
		}
		out.WriteString("\n")
	}
	return out.String()
}

// Each kind of record of a response policy zone does what it says, at all workers, and what
// is no record is skipped and told with its line.
func TestResponsePolicyZones(t *testing.T) {
	dir := proctest.RunDir(t)
	path := filepath.Join(dir, "list.rpz")
	writeFile(t, path, zoneOfTests)
	c := proctest.On(t, proctest.SmallInternet(t), 2, "policy.add(policy.rpz(policy.DENY, 'list.rpz'))")
	c.Dir = dir
	g := proctest.Start(t, c)
	want := `udp example.com A: NXDOMAIN aa=true tc=false ~ SOA
udp x.y.example.com A: NXDOMAIN aa=true tc=false ~ SOA
udp nodata.example A: NXDOMAIN aa=true tc=false ~ SOA
udp drop.example A: SERVFAIL aa=false tc=false
udp tcp.example.net A: NOERROR aa=false tc=true
udp addr.example A: NOERROR aa=true tc=false | addr.example. 60 IN A 192.0.2.1 | addr.example. 60 IN A 192.0.2.2
udp addr.example AAAA: NOERROR aa=true tc=false | addr.example. 300 IN AAAA 2001:db8::1
udp addr.example TXT: NOERROR aa=true tc=false | addr.example. 300 IN TXT "one; two" "three"
udp addr.example MX: NOERROR aa=true tc=false ~ SOA
udp x.addr.example MX: NOERROR aa=true tc=false | x.addr.example. 300 IN MX 10 mail.addr.example.
tcp example.com A: NXDOMAIN aa=true tc=false ~ SOA
`
	for range 4 { // the workers take turns
		if got := answersOf(t, g, "example.com A", "x.y.example.com A", "nodata.example A", "drop.example A", "tcp.example.net A", "addr.example A",
			"addr.example AAAA", "addr.example TXT", "addr.example MX", "x.addr.example MX", "tcp example.com A"); got != want {
			t.Fatalf("answers are\n%swant\n%s", got, want)
		}
		for _, passes := range []string{"udp www.example.com", "tcp tcp.example.net", "udp www.example.net"} { // resolved as any other
			network, name, _ := strings.Cut(passes, " ")
			if r := g.Ask(t, network, name, dns.TypeA, 1232); r.Authoritative || r.Truncated || r.Rcode == dns.RcodeServerFailure {
				t.Errorf("%s: %v", passes, r)
			}
		}
	}
	for _, skipped := range []string{
		"list.rpz:17: 'two..labels': empty label", "list.rpz:18: triggers by addresses", "list.rpz:19: CNAME leads to", "list.rpz:20: the name is not in the zone",
		"list.rpz:21: $INCLUDE: other files are not read", "list.rpz:22: $GENERATE is not known",
	} {
		if !strings.Contains(g.Log(), "policy.rpz: "+skipped) {
			t.Errorf("the log lacks %s:\n%s", skipped, g.Log())
		}
	}
	if shown := proctest.Run(t, proctest.Bin("kresc"), "config", g.Dir); !strings.Contains(shown, "policy.rpz(policy.DENY, 'list.rpz')") {
		t.Errorf("kresc config shows\n%s", shown)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A list that changes is in force at all workers without a reload; one that is broken is
// not, neither by itself nor by a reload.
func TestListsFollowTheirFile(t *testing.T) {
	dir := proctest.RunDir(t)
	path := filepath.Join(dir, "list.rpz")
	writeFile(t, path, "one.example CNAME .\n")
	c := proctest.On(t, proctest.SmallInternet(t), 2, "policy.add(policy.rpz(policy.REFUSE, 'list.rpz'))")
	c.Dir = dir
	g := proctest.Start(t, c)
	refuses := func(name string) bool {
		for range 8 { // both workers
			if g.Ask(t, "udp", name, dns.TypeA, 1232).Rcode != dns.RcodeRefused {
				return false
			}
		}
		return true
	}
	if !refuses("one.example") {
		t.Fatal("the first list is not in force")
	}
	writeFile(t, path+".new", "two.example CNAME .\n")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	proctest.Eventually(t, time.Minute, "the second list is in force", func() bool { return refuses("two.example") && !refuses("one.example") })
	writeFile(t, path, "three.example CNAME .\n")
	proctest.Eventually(t, time.Minute, "the third list is in force", func() bool { return refuses("three.example") })
	writeFile(t, path, "$TTL 300\n@ SOA a. b. 1 2 3 4 5\n NS a.\n")
	proctest.Eventually(t, time.Minute, "both workers tell that the zone has its head alone", func() bool {
		return strings.Count(g.Log(), "that could be used; the list that was read before stays in force") == 2
	})
	writeFile(t, path, "<html>\n")
	proctest.Eventually(t, time.Minute, "both workers tell that it is no list", func() bool {
		return strings.Count(g.Log(), "(line 1: no type and data); the list that was read before stays in force") == 2
	})
	if out, errs, status := reload(t, g); status == 0 || !strings.Contains(out+errs, "there is no record in it that could be used") {
		t.Errorf("a reload with a file that is no list: %d %s%s", status, out, errs)
	}
	if !refuses("three.example") {
		t.Error("the third list is not in force any more")
	}
	writeFile(t, path, "four.example CNAME .\n")
	if out, errs, status := reload(t, g); status != 0 {
		t.Errorf("a reload: %s%s", out, errs)
	}
	if !refuses("four.example") {
		t.Error("the fourth list is not in force after a reload")
	}
}

// --check-config reads lists, names the line of the configuration for a file that is no
// list, and that of the file for a record that is skipped.
func TestListsAreChecked(t *testing.T) {
	dir := proctest.RunDir(t)
	config := filepath.Join(dir, "config")
	check := func(file, text string) string {
		writeFile(t, config, "\npolicy.add(policy.rpz(policy.DENY, '"+file+"'))\n")
		if text != "" {
			writeFile(t, filepath.Join(dir, file), text)
		}
		out, _ := exec.Command(proctest.Bin("kresd"), "--check-config", "-c", config, dir).CombinedOutput()
		return string(out)
	}
	for want, got := range map[string]string{
		"config:2: error: policy.rpz: absent: no such file or directory":                                             check("absent", ""),
		"config:2: error: policy.rpz: /dev/zero: not a regular file":                                                 check("/dev/zero", ""),
		"config:2: error: policy.rpz: words: there is no record in it that could be used (line 1: no type and data)": check("words", "x\ny\n"),
		"policy.rpz: good:2: 'a..b': empty label; the record is skipped":                                             check("good", "a CNAME .\na..b CNAME .\n"),
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it says\n%s, not\n%s", got, want)
		}
	}
}

// Names below one registrable domain have one action at all workers, others another; a
// function of a script's chooses likewise.
func TestSlices(t *testing.T) {
	g := proctest.Start(t, proctest.On(t, proctest.SmallInternet(t), 2,
		"policy.add(policy.slice(function (query, count) if query:name():find('mine') then return count end end, policy.DROP, policy.TC))",
		"policy.add(policy.slice(policy.slice_randomize_psl(1), policy.DENY, policy.REFUSE))"))
	seen := map[int]bool{}
	for i := range 20 {
		first := g.Ask(t, "udp", fmt.Sprintf("domain%d.co.uk", i), dns.TypeA, 1232).Rcode
		seen[first] = true
		for k := range 3 {
			if r := g.Ask(t, "udp", fmt.Sprintf("n%d.x.domain%d.co.uk", k, i), dns.TypeA, 1232); r.Rcode != first {
				t.Errorf("domain%d.co.uk is told %s, a name below it %s", i, dns.RcodeToString[first], dns.RcodeToString[r.Rcode])
			}
		}
	}
	if len(seen) != 2 || !seen[dns.RcodeNameError] || !seen[dns.RcodeRefused] {
		t.Errorf("told were %v", seen)
	}
	if r := g.Ask(t, "udp", "mine.example", dns.TypeA, 1232); !r.Truncated {
		t.Errorf("a function chose %v", r)
	}
	if got := g.Eval(t, "policy.slice_randomize_psl(1)({}, 2)"); !strings.Contains(got, "error") {
		t.Errorf("a slicing function takes what is no query: %s", got)
	}
}
