package worker

import (
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/listen"
	"kresd/internal/transport"
)

// early are the questions that the listener's thread may answer by itself: what is cached,
// what is a hint, and what a rule denies.
var early = [...]string{"www.example.com.", "own.example.org.", "www.example.net."}

// newSeen is a laboratory where all questions of early are answered on the listener's thread
// while no layer in Lua is loaded.
func newSeen(t *testing.T) *lawful {
	l := newLawful(t)
	l.configure("policy.add(policy.suffix(policy.DENY, policy.todnames{ 'example.net' })) hints['own.example.org'] = '192.0.2.7'")
	return l
}

// load loads a module with a layer in Lua whose hook counts its calls.
func (l *lawful) load(declaration, hook string) {
	l.configure("calls = 0 package.loaded.mine = nil package.preload.mine = function() return { layer = { " + hook +
		" = function(state) calls = calls + 1 return state end } } end modules.load('" + declaration + "')")
}

// isEarly tells whether the listener's thread answers the question.
func (l *lawful) isEarly(name string) bool {
	_, v := byCache(l.t, l.s, shapes[1].message(name, dns.TypeA), someone)
	return v == listen.Reply
}

// A question takes the driver's way for a layer in Lua if, and only if, that calls a hook of
// it, and only while it is loaded.
func TestLayersInLuaSeeWhatTheirHooksAreCalledFor(t *testing.T) {
	l := newSeen(t)
	for _, c := range []struct {
		hook, declaration string
		calls             [len(early)]bool
	}{
		{"checkout", "mine", [...]bool{false, false, false}},
		{"produce", "mine", [...]bool{false, false, false}}, // behind the cache
		{"produce", "mine < cache", [...]bool{true, false, false}},
		{"consume", "mine", [...]bool{true, true, false}},
		{"reset", "mine", [...]bool{true, true, false}},
		{"begin", "mine", [...]bool{true, true, true}},
		{"answer_finalize", "mine", [...]bool{true, true, true}},
		{"finish", "mine", [...]bool{true, true, true}},
	} {
		l.configure("cache.clear()")
		l.load(c.declaration, c.hook)
		for i, name := range early {
			l.ask(name, dns.TypeA, transport.UDP)
			l.ask(name, dns.TypeA, transport.UDP) // the first has asked servers
			l.configure("calls = 0")
			l.ask(name, dns.TypeA, transport.UDP)
			if got := l.console(t, "calls > 0") == "true"; got != c.calls[i] {
				t.Errorf("%s of '%s' is called for %s: %t, want %t", c.hook, c.declaration, name, got, c.calls[i])
			}
			if got := l.isEarly(name); got == c.calls[i] {
				t.Errorf("%s of '%s': %s is answered on the listener's thread: %t", c.hook, c.declaration, name, got)
			}
		}
		l.configure("modules.unload('mine')")
		for _, name := range early {
			if l.ask(name, dns.TypeA, transport.UDP); !l.isEarly(name) {
				t.Errorf("%s of '%s' was unloaded, and %s takes the driver's way", c.hook, c.declaration, name)
			}
		}
	}
}

// Where the module of the cache is not loaded, nothing answers before a hook produces.
func TestNothingIsBehindACacheThatIsNotLoaded(t *testing.T) {
	l := newSeen(t)
	l.ask(early[0], dns.TypeA, transport.UDP)
	l.load("mine", "produce")
	l.configure("modules.unload('cache')")
	if l.isEarly(early[0]) {
		t.Error("the listener's thread answers a question that the hook is called for")
	}
}

// What a hook was called for while it was resolved is kept for nobody as a whole, since
// others may be treated differently.
func TestWhatAHookProducedIsNotKept(t *testing.T) {
	l := newSeen(t)
	l.load("mine", "produce")
	if l.ask(early[0], dns.TypeA, transport.UDP); l.isEarly(early[0]) {
		t.Error("the answer was kept as a whole")
	}
	if l.ask(early[0], dns.TypeA, transport.UDP); !l.isEarly(early[0]) {
		t.Error("what the cache answered was not kept as a whole")
	}
}

func TestALayerInLuaForServersCostsACachedAnswerNothing(t *testing.T) {
	l := newLawful(t)
	l.configure("package.loaded.mine = nil package.preload.mine = function() return { layer = { checkout = function(s) return s end } } end modules.load('mine')")
	l.ask("www.example.com.", dns.TypeA, transport.UDP)
	pkt, out := shapes[1].message("www.example.com.", dns.TypeA), make([]byte, 0, 1<<16)
	if n := testing.AllocsPerRun(500, func() {
		l.s.Begin()
		l.s.Answer(pkt, &someone, out)
		l.s.End()
	}); n != 0 {
		t.Errorf("%v allocations for a cached answer beside a layer in Lua", n)
	}
}
