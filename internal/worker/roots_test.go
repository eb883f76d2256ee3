package worker

import (
	"context"
	"strings"
	"testing"

	"kresd/internal/resolve"
	"kresd/internal/wire"
)

// Without root hints nobody is asked, the client is told so, and what was learnt
// by the old ones does not come back.
func TestWithoutRootHints(t *testing.T) {
	w := laboratory(t)
	old := w.roots.RootHints()
	if out, isErr := w.vm.Eval(context.Background(), "modules.load('hints') hints.root({})"); isErr {
		t.Fatal(out)
	}
	if n := len(w.roots.RootHints().NS); n > 0 {
		t.Fatalf("%d servers are left; what follows would be sent to them", n)
	}
	resolved := func(when string) {
		t.Helper()
		req := &resolve.Request{Question: resolve.Question{Name: parse(t, "www.example.com."), Type: wire.TypeA, Class: wire.ClassIN}, RD: true}
		resolver{w.requests, w.ctx}.Resolve(req)
		if r := &req.Result; r.Rcode != wire.RcodeServFail || r.EDE != 14 || r.EDEText == "" || req.Budget.Sent() != 0 {
			t.Errorf("%s: rcode %d, extended error %d %q, %d questions", when, r.Rcode, r.EDE, r.EDEText, req.Budget.Sent())
		}
	}
	resolved("without hints")
	w.roots.UseLearnt(old, old) // priming that was under way
	resolved("after priming")
	if out, _ := w.vm.Eval(context.Background(), "hints.root()"); strings.Contains(out, "=>") {
		t.Errorf("hints.root() shows %q", out)
	}
	w.roots.SetRootHints(old)
	req := &resolve.Request{Question: resolve.Question{Name: parse(t, "www.example.com."), Type: wire.TypeA, Class: wire.ClassIN}, RD: true}
	if (resolver{w.requests, w.ctx}).Resolve(req); req.Result.Rcode != wire.RcodeNoError {
		t.Errorf("with hints again: rcode %d, %q", req.Result.Rcode, req.Result.EDEText)
	}
}
