package bindings

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"kresd/internal/ede"
	"kresd/internal/limits"
	"kresd/internal/resolve"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// fakeResolver answers everything with one address; a trace of it needs the
// machine meanwhile, as one that meets a script's rule does.
type fakeResolver struct {
	vm    *script.VM
	asked chan *resolve.Request
	hold  chan struct{} // nil: answers come at once
	step  resolve.Step  // that is told of each request; nil: none
	// tracing is closed when a trace waits for hold.
	tracing chan struct{}
}

func (r *fakeResolver) Resolve(req *resolve.Request) {
	if r.hold != nil {
		<-r.hold
	}
	if r.step != nil && req.Tell != nil {
		req.Tell(nil, r.step)
	}
	req.Result.EDE = ede.None
	req.Result.Answer = []resolve.Set{{RRset: wire.RRset{Owner: req.Name, Type: wire.TypeA, Class: wire.ClassIN, TTL: 60, Data: [][]byte{{192, 0, 2, 1}}}}}
	r.asked <- req
}

func (r *fakeResolver) Trace(ctx context.Context, q resolve.Question) string {
	if r.hold != nil {
		close(r.tracing)
		<-r.hold
	}
	err := r.vm.Hook(ctx, func(*script.Call) error { return nil })
	return fmt.Sprintf("%s, the machine said %v\n`- end", q, err)
}

func withResolver(t *testing.T) (*world, *fakeResolver) {
	r := &fakeResolver{asked: make(chan *resolve.Request, 1000)}
	w := newWorld(t, func(d *Daemon) { d.Resolver, r.vm = r, d.VM })
	return w, r
}

func TestTrace(t *testing.T) {
	w, _ := withResolver(t)
	w.expect(
		step{"trace('www.Example.com')", "www.example.com. A, the machine said <nil>\n`- end\n"},
		step{"trace('example.com.', 'AAAA')", "example.com. AAAA, the machine said <nil>\n`- end\n"},
		step{"trace('.', kres.type.NS)", ". NS, the machine said <nil>\n`- end\n"},
		step{"trace('x', 'TYPE65280')", "x. TYPE65280, the machine said <nil>\n`- end\n"},
		step{"trace('a..b')", "ERROR …"},
		step{"trace('a', 'NOTYPE')", "ERROR …"},
		step{"trace('a', 0)", "ERROR …"},
		step{"trace({})", "ERROR …"},
		step{"trace()", "ERROR …"},
		step{"trace('x', 'AXFR')", "ERROR …"},
		step{"trace('x', kres.type.OPT)", "ERROR …"},
		step{"trace('x', 'ANY')", "x. ANY, the machine said <nil>\n`- end\n"},
	)
	if got := w.eval("trace('x', 'AXFR')"); !strings.Contains(got, "no record has the type 'AXFR'") {
		t.Errorf("a type that is for transfers: %q", got)
	}
}

// A name that takes its time holds up no other command and no timer.
func TestTraceHoldsUpNobody(t *testing.T) {
	w, r := withResolver(t)
	r.hold, r.tracing = make(chan struct{}), make(chan struct{})
	traced := make(chan string, 1)
	go func() { traced <- w.eval("trace('slow.example')") }()
	<-r.tracing
	w.expect(step{"1 + 1", "2\n"})
	w.expect(step{"event.after(0, function() ran = true end)", "…"})
	eventually(t, "a timer runs", func() bool { return w.eval("ran") == "true\n" })
	select {
	case text := <-traced:
		t.Errorf("the trace has ended already: %q", text)
	default:
	}
	close(r.hold)
	if got, want := <-traced, "slow.example. A, the machine said <nil>\n`- end\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestResolve(t *testing.T) {
	w, r := withResolver(t)
	next := func() *resolve.Request {
		t.Helper()
		select {
		case req := <-r.asked:
			return req
		case <-time.After(20 * time.Second):
			t.Fatal("nothing was resolved")
			return nil
		}
	}
	w.expect(step{"resolve('www.example.com', kres.type.AAAA, kres.class.IN, {'NO_CACHE', 'DNSSEC_WANT'})", "true\n"})
	if req := next(); req.Name.String() != "www.example.com." || req.Type != wire.TypeAAAA || !req.RD || !req.DO || req.CD || !req.Options.BypassCache {
		t.Errorf("%+v", req)
	}
	w.expect(step{"worker.resolve{ name = 'x.example', type = 'MX', class = 3, options = kres.mk_qflags('DNSSEC_CD'), init = function(req) req.options.TCP = true end }", "true\n"})
	if req := next(); req.Name.String() != "x.example." || req.Type != 15 || req.Class != 3 || !req.CD || !req.Options.TCPOnly {
		t.Errorf("%+v", req)
	}
	// finish runs on the machine, with the answer and the request, and only then.
	w.expect(step{`resolve('y.example', kres.type.A, 1, 0, function(pkt, req)
		kept, got = req, table.concat({ kres.dname2str(kres.pkt_t(pkt):qname()), pkt:rcode(), #pkt:section(0), kres.dname2str(pkt:section(0)[1].owner), tostring(req.options.TCP) }, ' ')
	end)`, "true\n"})
	next()
	eventually(t, "finish ran", func() bool { return w.eval("got == nil") == "false\n" })
	w.expect(
		step{"got", "y.example. 0 1 y.example. false\n"},
		step{"kept.options", "ERROR …"},
		step{"resolve('a..b', 1)", "ERROR …"},
		step{"resolve('a', 'A', 1, 'NO_SUCH_FLAG')", "ERROR …"},
		step{"resolve{ type = 1 }", "ERROR …"},
		step{"resolve{ name = 'a', typ = 1 }", "ERROR …"},
		step{"resolve{ name = 'a', finish = 1 }", "ERROR …"},
		step{"resolve('a', 'A', 1, nil, 5)", "ERROR …"},
		step{"resolve('a', 'A', 1, nil, nil, function() error('no') end)", "ERROR …"},
	)
}

// A script that asks without end gets false, and not all of the memory, nor of the log.
func TestResolveIsBounded(t *testing.T) {
	w, r := withResolver(t)
	r.hold = make(chan struct{})
	w.expect(
		step{fmt.Sprintf("n = 0 for i = 1, %d do if resolve('x' .. i, 'A') then n = n + 1 end end", limits.ScriptRequests+50), ""},
		step{"n", fmt.Sprintf("%d\n", limits.ScriptRequests)},
	)
	if n := strings.Count(w.log.String(), "questions of scripts are under way already"); n != 1 {
		t.Errorf("the log says %d times that there are too many", n)
	}
	close(r.hold)
	for range limits.ScriptRequests {
		<-r.asked
	}
	eventually(t, "requests that are over do not count", func() bool { return w.eval("resolve('again', 'A')") == "true\n" })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// The example of the manual, as it is printed there.
func TestTheManualsExampleOfResolve(t *testing.T) {
	w, _ := withResolver(t)
	example := `
resolve('example.com', kres.type.A, kres.class.IN, 0,
function (answer, req)
   -- Check answer RCODE
   local pkt = kres.pkt_t(answer)
   if pkt:rcode() == kres.rcode.NOERROR then
      -- Print matching records
      local records = pkt:section(kres.section.ANSWER)
      for i = 1, #records do
         local rr = records[i]
         if rr.type == kres.type.A then
            print ('record:', kres.rr2str(rr))
         end
      end
   else
      print ('rcode: ', pkt:rcode())
   end
end)`
	w.expect(step{example, "true\n"})
	want := "record:\texample.com.        \t60\tA\t192.0.2.1\n"
	eventually(t, "the callback prints "+want, func() bool { return w.out.String() == want })
}

func TestAskingAPacket(t *testing.T) {
	w, _ := withResolver(t)
	w.expect(step{`resolve('www.example', 'A', 1, {}, function(p) print(todname('www.example') == p:qname(), p:qtype(), p:qclass(), p:rcode(), p:opcode(), p:qr(), p:rd(), p:ra(), p:aa(), p:tc(), p:ad(), p:cd(), p:dobit(), p:empty()) end)`, "true\n"})
	want := "true\t1\t1\t0\t0\ttrue\ttrue\ttrue\tfalse\tfalse\tfalse\tfalse\tfalse\tfalse\n"
	eventually(t, "the callback prints "+want, func() bool { return w.out.String() == want })
}

func TestRecordsAsText(t *testing.T) {
	w := newWorld(t)
	w.expect(
		step{"require('kres') == kres, require('kres').type.A", "true\n"},
		step{"kres.rr2str({owner = todname('a.example'), ttl = 5, class = 1, type = kres.type.MX, rdata = kres.parse_rdata({'MX 10 mail.example.'})[1]})", "a.example.          \t5\tMX\t10 mail.example.\n"},
		step{"kres.rr2str({owner = todname('.'), type = kres.type.TXT, rdata = kres.parse_rdata({'TXT \"a b\" \"c\"'})[1]})", ".                   \t0\tTXT\t\"a b\" \"c\"\n"},
		step{"kres.rr2str({owner = todname('x'), type = 65280, rdata = '\\1\\255'})", "x.                  \t0\tTYPE65280\t\\# 2 01ff\n"},
		step{"kres.rr2str({owner = todname('x'), type = kres.type.A, rdata = 'abc'})", "x.                  \t0\tTYPE1\t\\# 3 616263\n"},
		step{"kres.rr2str({owner = todname('x'), type = kres.type.A, rdata = ''})", "x.                  \t0\tA\t…"},
		step{"kres.rr2str({owner = 'x', type = 1, rdata = 'abcd'})", "ERROR …"},
		step{"kres.rr2str({owner = todname('x'), type = 1.5, rdata = 'abcd'})", "ERROR …"},
		step{"kres.rr2str({owner = todname('x'), type = 1})", "ERROR …"},
		step{"kres.rr2str({owner = todname('x'), ttl = -1, type = 1, rdata = 'abcd'})", "ERROR …"},
		step{"kres.rr2str(5)", "ERROR …"},
	)
}
