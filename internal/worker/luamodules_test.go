package worker

import (
	"testing"

	"github.com/miekg/dns"

	"kresd/internal/listen"
	"kresd/internal/transport"
)

// Only a layer in Lua with hooks for every question takes questions from the cached
// answer's way, those too that a rule would answer there, and only while it is loaded.
func TestWhichLayersInLuaSeeCachedAnswers(t *testing.T) {
	l := newLawful(t)
	l.configure(`policy.add(policy.suffix(policy.DENY, policy.todnames{ 'example.net' }))`)
	early := func() (cached, denied bool) {
		l.ask("www.example.com.", dns.TypeA, transport.UDP)
		_, v := byCache(t, l.s, shapes[1].message("www.example.net.", dns.TypeA), someone)
		return l.cached("www.example.com.", dns.TypeA), v == listen.Reply
	}
	for _, c := range []struct {
		layer string
		early bool
	}{
		{"", true}, {"layer = {}", true}, {"layer = { checkout = function(s) return s end }", true},
		{"layer = { finish = function(s) return s end }", false}, {"layer = { begin = function(s) return s end }", false}, {"layer = { consume = function(s) return s end }", false},
	} {
		l.configure("package.loaded.mine = nil package.preload.mine = function() return { " + c.layer + " } end modules.load('mine')")
		if cached, denied := early(); cached != c.early || denied != c.early {
			t.Errorf("{ %s }: a cached answer %t, a denial %t, want %t", c.layer, cached, denied, c.early)
		}
		l.configure("modules.unload('mine')")
		if cached, denied := early(); !cached || !denied {
			t.Errorf("{ %s } was unloaded: a cached answer %t, a denial %t", c.layer, cached, denied)
		}
	}
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
