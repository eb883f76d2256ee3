package explain

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"kresd/internal/dnsname"
	"kresd/internal/ede"
	"kresd/internal/resolve"
	"kresd/internal/selection"
	"kresd/internal/wire"
	"kresd/internal/zonecut"
)

func name(t *testing.T, text string) dnsname.Name {
	t.Helper()
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type word string

func (w word) String() string { return string(w) }

// Each step has its words, and the text in a plain list is what operators' tools
// know. A step that is added to package resolve fails here until it has words.
func TestEachStepHasWords(t *testing.T) {
	www, example := name(t, "www.example."), name(t, "example.")
	at := netip.MustParseAddrPort
	addr := netip.MustParseAddr
	question := resolve.Question{Name: www, Type: wire.TypeA, Class: wire.ClassIN}
	a := resolve.Set{RRset: wire.RRset{Owner: www, Type: wire.TypeA, Data: [][]byte{{1, 2, 3, 4}, {1, 2, 3, 5}}}}
	cname := resolve.Set{RRset: wire.RRset{Owner: www, Type: wire.TypeCNAME, Data: [][]byte{[]byte(example)}}}
	cut := &zonecut.Cut{Name: example, Expires: 160, NS: []zonecut.NameServer{{Name: name(t, "ns.example."), Addrs: []netip.Addr{addr("192.0.2.1"), addr("2001:db8::1")}}, {Name: name(t, "far.test.")}}}
	rule := &zonecut.Cut{Name: dnsname.Root, Hints: true, NS: []zonecut.NameServer{{Name: name(t, "x."), Port: 5353, Addrs: []netip.Addr{addr("192.0.2.9")}}}}
	ok := &resolve.Result{Answer: []resolve.Set{a}, EDE: ede.None}
	positive := &resolve.Outcome{Kind: resolve.Positive, Answer: []resolve.Set{a}}
	ns := resolve.Peer{NS: name(t, "ns.example."), Zone: example, Addr: at("192.0.2.1:53")}
	fail := errors.New("no luck")
	seen := map[string]bool{}
	for _, c := range []struct {
		step resolve.Step
		want string // component, mark and text
	}{
		{resolve.RuleMatched{Rule: word("rule 3 (all)"), Action: word("DENY"), Then: resolve.RuleAnswers}, "poli rule 3 (all) says DENY: that is the answer"},
		{resolve.RuleMatched{Rule: word("r"), Action: word("a"), Then: resolve.RuleFails}, "poli r says a: it fails"},
		{resolve.RuleMatched{Rule: word("r"), Action: word("a"), Then: resolve.NoMoreRules}, "poli r says a: no further rule, it is resolved"},
		{resolve.RuleMatched{Rule: word("r"), Action: word("a")}, "poli r says a: the next rule is tried"},
		{resolve.OptionsSet{Names: []string{"TCP", "NO_0X20"}}, "workarounds asking with TCP, NO_0X20"},
		{resolve.ModuleDecided{Module: "policy", Result: &resolve.Result{Rcode: wire.RcodeNXDomain, EDE: 15}}, "plan the module policy decides: NXDOMAIN, extended error 15"},
		{resolve.ModuleDecided{Module: "policy", Result: &resolve.Result{Drop: true}}, "plan the module policy decides: the client is told nothing"},
		{resolve.ModuleFinalized{Module: "policy", Before: ok, After: &resolve.Result{TC: true, EDE: ede.None}}, "plan the module policy changes the answer: NOERROR, truncated"},
		{resolve.ModuleFinalized{Module: "policy", Before: ok, After: ok}, " "},
		{resolve.ModuleAnswered{Module: "hints", Outcome: positive}, "plan the module hints answers: NOERROR, www.example. A (2 records)"},
		{resolve.ModuleAnswered{Module: "hints", Outcome: &resolve.Outcome{Kind: resolve.NoData}}, "plan the module hints answers: NOERROR, no such type"},
		{resolve.JoinedRequest{}, "plan the same is being resolved already: waiting for that answer"},
		{resolve.CacheHit{Outcome: &resolve.Outcome{Kind: resolve.Alias, Answer: []resolve.Set{cname}, Target: example}}, "cache => satisfied from the cache: NOERROR, www.example. CNAME to example., and on to example."},
		{resolve.CacheHit{Outcome: &resolve.Outcome{Kind: resolve.NXDomain, Rcode: wire.RcodeNXDomain}}, "cache => satisfied from the cache: NXDOMAIN, no such name"},
		{resolve.CacheHit{Outcome: &resolve.Outcome{Kind: resolve.NXDomain, Rcode: wire.RcodeNXDomain}, Denier: example}, "cache => follows from what example. is known to deny: NXDOMAIN, no such name"},
		{resolve.CacheMiss{Question: question}, "cache => not in the cache: www.example. A"},
		{resolve.FailureRemembered{Question: question, Age: 2, Left: 3, Reason: "why"}, "cache => www.example. A failed 2 seconds ago and is not tried again for 3 more: why"},
		{resolve.StaleAnswered{Reason: "why", Outcome: positive}, "serve_stale => why, telling what was known: NOERROR, www.example. A (2 records)"},
		{resolve.StaleServersAsked{Reason: "why", Zone: example}, "serve_stale => why, asking the servers that example. had"},
		{resolve.CutFound{Cut: cut, Now: 100}, "zcut found cut: example., 2 servers, from the cache for 60 more seconds: ns.example. (192.0.2.1, 2001:db8::1), far.test."},
		{resolve.CutFound{Cut: cut, Now: 160}, "zcut found cut: example., 2 servers: ns.example. (192.0.2.1, 2001:db8::1), far.test."},
		{resolve.CutFound{Cut: rule}, "zcut found cut: ., 1 server, from the hints: x. (192.0.2.9#5353)"},
		{resolve.CutFound{Cut: rule, By: resolve.ByStubRule, Scope: example}, "zcut by a rule for example.: 192.0.2.9#5353"},
		{resolve.ZoneBelowAsked{Zone: www, Above: example}, "zcut no answer of the servers of example. is believed: looking up those of www.example., which is a zone"},
		{resolve.ParentAsked{Zone: www, Parent: example}, "zcut no server of www.example. that was asked is of use: asking example. whether there are others by now"},
		{resolve.LookupRefused{NS: www, Err: fail}, "plan cannot look up www.example.: no luck"},
		{resolve.AddressNotFound{NS: www}, "plan no address of the name server www.example. was found"},
		{resolve.AddressReferred{NS: www}, "iter the referral has the address of www.example."},
		{resolve.WaitsForWorkers{}, "plan other workers ask the same: waiting for their answer"},
		{resolve.WaitsForLate{}, "resl nobody is left to ask, waiting for late answers"},
		{resolve.Asking{To: ns, Question: question, Timeout: 400 * time.Millisecond}, "resl => ns.example. (192.0.2.1) of example. by UDP: www.example. A, waiting 400ms"},
		{resolve.Asking{To: resolve.Peer{By: resolve.ByForwardRule, Addr: at("192.0.2.9:5353")}, Question: question, How: resolve.Server{TCP: true, NoEDNS: true, NoCase: true}}, "resl => forwarder 192.0.2.9#5353 by TCP, without EDNS, letter case as it is: www.example. A"},
		{resolve.Chosen{Why: selection.Reason{Ground: selection.OnlyServer}}, "nsre chosen: the only one"},
		{resolve.Left{Servers: []selection.LeftOut{{Addr: netip.MustParseAddr("192.0.2.2")}}}, "nsre left: 192.0.2.2 is silent"},
		{resolve.Explored{To: resolve.Peer{By: resolve.ByStubRule, Addr: at("192.0.2.9:53")}}, "resl besides stub server 192.0.2.9 is asked, to learn about it"},
		{resolve.Replied{From: zonecut.Endpoint{Addr: ns.Addr}, Reply: resolve.Reply{Msg: &wire.Msg{Answer: make([]wire.RR, 2)}, Size: 99, RTT: 12345 * time.Microsecond}}, "resl <= answer from 192.0.2.1 by UDP: NOERROR, 2 answer, 0 authority, 0 additional, 99 octets in 12.3ms"},
		{resolve.Silent{From: zonecut.Endpoint{Addr: ns.Addr}, Err: resolve.ErrOverdue}, "resl <= nothing from 192.0.2.1 by UDP yet; a late answer will be taken"},
		{resolve.Silent{From: zonecut.Endpoint{Addr: ns.Addr}, Err: resolve.ErrTimeout}, "resl <= nothing from 192.0.2.1 by UDP in time"},
		{resolve.Silent{From: zonecut.Endpoint{Addr: ns.Addr}, TCP: true, Err: resolve.ErrUnreachable}, "resl <= nothing from 192.0.2.1 by TCP: it cannot be reached"},
		{resolve.Silent{From: zonecut.Endpoint{Addr: ns.Addr}, TCP: true, Err: &resolve.Unusable{Did: "ended the connection"}}, "resl <= nothing from 192.0.2.1 by TCP: it ended the connection"},
		{resolve.Silent{From: zonecut.Endpoint{Addr: ns.Addr}, Err: fail}, "resl <= nothing from 192.0.2.1 by UDP: no luck"},
		{resolve.ExchangeJoined{}, "resl an equal question is in flight: its answer is waited for"},
		{resolve.DatagramSeen{What: resolve.DatagramTruncated, After: 7 * time.Microsecond, Then: resolve.AsksTCP}, "resl by UDP a truncated answer after 10µs: asked by TCP"},
		{resolve.DatagramSeen{What: resolve.DatagramNearMiss, Then: resolve.AsksTCPToo}, "resl by UDP a message with another ID or question after 0s: asked by TCP too"},
		{resolve.DatagramSeen{What: resolve.DatagramBareError, Then: resolve.WaitsForBetter}, "resl by UDP an error without a question after 0s: waiting for a better one"},
		{resolve.DatagramSeen{What: resolve.DatagramAnswer, Then: resolve.TakenIfTCPFails}, "resl by UDP an answer after 0s: it counts if TCP fails"},
		{resolve.DatagramSeen{What: resolve.DatagramCaseLost}, "resl by UDP an answer in another letter case after 0s"},
		{resolve.DatagramSeen{What: resolve.DatagramCookieLost}, "resl by UDP an answer without our cookie after 0s"},
		{resolve.DatagramSeen{What: resolve.DatagramBadCookie}, "resl by UDP a new cookie instead of an answer after 0s"},
		{resolve.DatagramSeen{What: resolve.DatagramsUnreadable}, "resl by UDP nothing but datagrams that cannot be read after 0s"},
		{resolve.DatagramSeen{}, "resl by UDP nothing after 0s"},
		{resolve.AskedAgain{Change: resolve.RetryOnAnotherPort}, "resl asked again by UDP, from another port: somebody guesses at that one"},
		{resolve.AskedAgain{Change: resolve.RetryWithNewCookie}, "resl asked again by UDP, with the server's new cookie"},
		{resolve.AskedAgain{Change: resolve.RetryWithoutCookie}, "resl asked again by UDP, whether or not there is a cookie in the answer"},
		{resolve.AskedAgain{Change: resolve.RetryWithCaseAsItIs}, "resl asked again by UDP, letter case as it is"},
		{resolve.AskedAgain{}, "resl asked again by UDP"},
		{resolve.AskedConnected{Reused: true}, "resl asked by TCP, over an open connection"},
		{resolve.AskedConnected{Took: time.Millisecond}, "resl asked by TCP, connected in 1ms"},
		{resolve.ConnectedAgain{}, "resl the connection by TCP ended: asked on a new one"},
		{resolve.ConnectedAgain{By: zonecut.DoQ, Why: resolve.NoTurn}, "resl the server takes no further question on the connection by DNS over QUIC: asked on a new one"},
		{resolve.ConnectedAgain{By: zonecut.DoH, Why: resolve.NotTaken}, "resl the server did not take the question by DNS over HTTPS: asked again"},
		{resolve.ConnectionFailed{After: time.Second, Err: fail}, "resl no answer by TCP after 1s: no luck"},
		{resolve.TCPOverdue{Within: time.Second}, "resl no answer by TCP within 1s"},
		{resolve.Concluded{Outcome: positive}, "iter answer: www.example. A (2 records)"},
		{resolve.Concluded{Outcome: &resolve.Outcome{Kind: resolve.Alias, Answer: []resolve.Set{cname}}}, "iter alias: www.example. CNAME to example."},
		{resolve.Concluded{Outcome: &resolve.Outcome{Kind: resolve.NoData, Zone: example}}, "iter no such type, says example."},
		{resolve.Concluded{Outcome: &resolve.Outcome{Kind: resolve.NXDomain}}, "iter no such name"},
		{resolve.Inconclusive{Rcode: wire.RcodeFormErr, Why: resolve.EDNSDoubted}, "iter FORMERR, perhaps because of EDNS: asked again without"},
		{resolve.Inconclusive{Asked: question, Why: resolve.NoCutHere}, "iter no zone cut at www.example."},
		{resolve.Inconclusive{Rcode: wire.RcodeNXDomain, Why: resolve.CaseDoubted}, "iter NXDOMAIN that nothing supports, perhaps because of letter case: asked again in lower case"},
		{resolve.Inconclusive{Asked: question, Why: resolve.DenialDoubted}, "iter no name www.example., which servers often get wrong: the whole name is asked"},
		{resolve.Inconclusive{Asked: question, Why: resolve.PartUseless}, "iter no authority, and so of no use for www.example.: the whole name is asked"},
		{resolve.Inconclusive{Rcode: wire.RcodeRefused, Asked: question, Why: resolve.PartUseless}, "iter REFUSED is of no use for www.example.: the whole name is asked"},
		{resolve.Referred{Cut: cut}, "iter referral to example. with 2 servers: ns.example. (192.0.2.1, 2001:db8::1), far.test."},
		{resolve.KeysBelieved{Zone: example, By: []uint16{1, 20326}, Keys: 3}, "vldr 3 keys of example. are believed, for the DS set of its parent names key 1, 20326"},
		{resolve.KeysBelieved{Zone: example, Anchor: true, By: []uint16{1}, Keys: 2}, "vldr 2 keys of example. are believed, for the trust anchor names key 1"},
		{resolve.SetProved{Owner: question.Name, Type: wire.TypeA, Zone: example, Tag: 5, Algorithm: 13}, "vldr www.example. A is signed by key 5 of example., algorithm 13"},
		{resolve.DenialProved{Question: question, Zone: example}, "vldr example. proves that there is no www.example. A"},
		{resolve.Unsigned{Name: example}, "vldr example. needs no proof: no trust anchor is for it"},
		{resolve.Unsigned{Name: example, Why: resolve.NoDS}, "vldr example. needs no proof: its parent proves that it has no DS set"},
		{resolve.Unsigned{Name: example, Why: resolve.OptedOut}, "vldr example. needs no proof: its parent has opted out of proofs that it has no DS set"},
		{resolve.Unsigned{Name: example, Why: resolve.UnknownAlgorithm}, "vldr example. needs no proof: it is signed with algorithms that are not known here"},
		{resolve.Unsigned{Name: example, Why: resolve.UnknownDigest}, "vldr example. needs no proof: its DS set has digests that are not known here"},
		{resolve.Unsigned{Name: example, Why: resolve.CostlyDenial}, "vldr example. needs no proof: its zone asks for too many rounds of hashing"},
		{resolve.Refused{From: ns.Addr, Why: &resolve.Failure{Text: "it is wrong"}}, "vldr the answer of 192.0.2.1 is not believed: it is wrong"},
		{resolve.AliasFollowed{Target: example}, "iter following the alias to example."},
		{resolve.Useless{From: ns.Addr, Zone: example}, "iter the answer of 192.0.2.1 is of no use: it has no authority for example."},
		{resolve.Useless{From: ns.Addr, Zone: example, Rcode: wire.RcodeRefused}, "iter the answer of 192.0.2.1 is of no use: REFUSED"},
		{resolve.EnoughUseless{Zone: example, Count: 13}, "nsre 13 useless answers are enough: no more servers of example. are asked"},
		{resolve.Failed{Err: fail}, "plan failed: no luck"},
	} {
		kind := strings.TrimPrefix(fmt.Sprintf("%T", c.step), "resolve.")
		seen[kind] = true
		l := Words(c.step)
		if got := l.Component + " " + l.Mark + l.Text; got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", kind, got, c.want)
		}
	}
	source, err := os.ReadFile("../resolve/steps.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := regexp.MustCompile(`(?m)^func \((\w+)\) step\(\)`).FindAllSubmatch(source, -1)
	if len(kinds) < 30 {
		t.Fatalf("only %d kinds of steps found", len(kinds))
	}
	for _, k := range kinds {
		if !seen[string(k[1])] {
			t.Errorf("resolve.%s has no words", k[1])
		}
	}
}

// What is long is told in part.
func TestLongListsAreTold(t *testing.T) {
	cut := &zonecut.Cut{}
	var answer []resolve.Set
	for i := range 10 {
		n := name(t, fmt.Sprintf("n%d.example.", i))
		cut.NS = append(cut.NS, zonecut.NameServer{Name: n})
		answer = append(answer, resolve.Set{RRset: wire.RRset{Owner: n, Type: wire.TypeA, Data: [][]byte{{1, 2, 3, 4}}}})
	}
	if got, want := serversOf(cut, resolve.ByDelegation), "n0.example., n1.example., n2.example., n3.example., 6 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := sets(answer); strings.Count(got, "example.") != 8 || !strings.HasSuffix(got, ", 2 more") {
		t.Errorf("got %q", got)
	}
}
