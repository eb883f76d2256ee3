package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// luaGroup is a group of two workers with modules in its run directory, by the names of
// their files, and further lines of configuration.
func luaGroup(t *testing.T, modules map[string]string, lines ...string) *proctest.Group {
	t.Helper()
	c := proctest.On(t, proctest.SmallInternet(t), 2, lines...)
	c.Dir = proctest.RunDir(t)
	for name, text := range modules {
		path := filepath.Join(c.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return proctest.Start(t, c)
}

// everyWay asks over both transports, resolved and from the cache, and wants the same
// each time.
func everyWay(t *testing.T, g *proctest.Group, name string, qtype uint16, want string) {
	t.Helper()
	for _, network := range []string{"udp", "tcp", "udp", "tcp", "udp", "udp"} {
		r := g.Ask(t, network, name, qtype, 1232)
		got := strings.ReplaceAll(proctest.Shape(r), "\n", " | ")
		for _, rr := range r.Extra {
			if rr.Header().Rrtype != dns.TypeOPT {
				got += " | additional " + strings.Join(strings.Fields(rr.String()), " ")
			}
		}
		if got != want {
			t.Errorf("%s %s over %s:\n got %s\nwant %s\nlog:\n%s", name, dns.TypeToString[qtype], network, got, want, tail(g.Log()))
			return
		}
	}
}

// tail is the end of a log.
func tail(log string) string { return log[max(len(log)-3000, 0):] }

// An NXDOMAIN becomes an address: in the answer for the client, at its end or while the
// question is resolved, or in the answer of the server, before or after it is understood.
func TestAModuleInLuaRewritesNXDOMAIN(t *testing.T) {
	const atEnd = `local M = {}
M.layer = {
	%s = function(state, req)
		req = kres.request_t(req)
		local answer = req.answer
		if answer:rcode() ~= kres.rcode.NXDOMAIN or answer:qtype() ~= kres.type.A then return state end
		answer:clear_payload()
		answer:rcode(kres.rcode.NOERROR)
		answer:begin(kres.section.ANSWER)
		answer:put(answer:qname(), 300, answer:qclass(), kres.type.A, kres.str2ip('192.0.2.99'))
		return kres.DONE
	end
}
return M`
	const inConsume = `local M = {}
function M.layer_consume(state, req, pkt)
	if state == kres.FAIL then return state end
	pkt = kres.pkt_t(pkt)
	req = kres.request_t(req)
	if pkt:rcode() == kres.rcode.NXDOMAIN and pkt:qtype() == kres.type.A and req:current().parent == nil then
		local name, class = pkt:qname(), pkt:qclass()
		pkt:clear_payload()
		pkt:rcode(kres.rcode.NOERROR)
		pkt:aa(true)
		pkt:begin(kres.section.ANSWER)
		pkt:put(name, 300, class, kres.type.A, kres.str2ip('192.0.2.99'))
	end
	return state
end
M.layer = { consume = M.layer_consume }
return M`
	const inAnswer = `return { layer = { consume = function(state, req, pkt)
	if bit.band(state, kres.DONE) ~= 0 and pkt:rcode() == kres.rcode.NXDOMAIN and req:current().parent == nil then
		local answer = req:ensure_answer()
		answer:clear_payload()
		answer:rcode(kres.rcode.NOERROR)
		answer:begin(kres.section.ANSWER)
		answer:put(req:initial().sname, 300, kres.class.IN, kres.type.A, '\192\0\2\99')
	end
	return state
end } }`
	for what, c := range map[string]struct{ text, load string }{
		"finish":              {strings.ReplaceAll(atEnd, "%s", "finish"), "rewrite"},
		"answer_finalize":     {strings.ReplaceAll(atEnd, "%s", "answer_finalize"), "rewrite"},
		"finalize, first":     {strings.ReplaceAll(atEnd, "%s", "answer_finalize"), "rewrite < iterate"},
		"consume":             {inConsume, "rewrite"},
		"consume, the answer": {inAnswer, "rewrite"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			g := luaGroup(t, map[string]string{"rewrite.lua": c.text}, "modules = { '"+c.load+"' }")
			everyWay(t, g, "nothing.example.com", dns.TypeA, "NOERROR | nothing.example.com. 0 IN A 192.0.2.99")
			everyWay(t, g, "mail.example.com", dns.TypeA, "NOERROR | mail.example.com. 0 IN A 192.0.2.25")
			everyWay(t, g, "shop.example.com", dns.TypeA, "NOERROR | shop.example.com. 0 IN CNAME www.example.net. | www.example.net. 0 IN A 198.51.100.80")
		})
	}
}

func TestAModuleInLuaAddsARecord(t *testing.T) {
	for _, hook := range []string{"finish", "answer_finalize"} {
		g := luaGroup(t, map[string]string{"mods/note/init.lua": `local note = {}
note.text = 'hello'
function note.config(conf) note.text = (conf or {}).text or note.text end
note.layer = { ` + hook + ` = function(state, req, answer)
	local pkt = req.answer
	pkt:begin(kres.section.ADDITIONAL)
	pkt:put(todname('note.test.'), 0, kres.class.IN, kres.type.TXT, string.char(#note.text) .. note.text)
	return state
end }
return note`}, "moduledir('mods')", "modules = { note = { text = 'seen' } }")
		everyWay(t, g, "mail.example.com", dns.TypeA, `NOERROR | mail.example.com. 0 IN A 192.0.2.25 | additional note.test. 0 IN TXT "seen"`)
		everyWay(t, g, "nothing.example.com", dns.TypeA, "NXDOMAIN |  | authority "+soaCom+` | additional note.test. 0 IN TXT "seen"`)
	}
}

// The AAAA set is asked for beside the A set: whoever asks for it next has it at once. Or
// it is waited for, and goes into the answer.
func TestAModuleInLuaPushesAQuery(t *testing.T) {
	for what, c := range map[string]struct{ text, want string }{
		"beside": {`return { layer = { consume = function(state, req, pkt)
	local qry = req:current()
	if bit.band(state, kres.DONE) ~= 0 and qry.stype == kres.type.A and qry.parent == nil and not qry.flags.CACHED then
		local nxt = req:push(qry:name(), kres.type.AAAA, kres.class.IN, 0, qry)
		nxt.flags.AWAIT_CUT = true
	end
	return state
end } }`, "NOERROR | www.example.com. 0 IN A 192.0.2.80 | www.example.com. 0 IN A 192.0.2.81"},
		"waited for": {`return { layer = {
	consume = function(state, req, pkt)
		local qry, vars = req:current(), req:vars()
		if qry.parent ~= nil or qry.stype ~= kres.type.A then return state end
		if state == kres.YIELD then
			local found
			for i = 0, tonumber(req.rplan.resolved.len) - 1 do
				local one = req.rplan.resolved.at[i]
				if one.stype == kres.type.AAAA then found = true end
			end
			vars.found = found
			return state
		end
		if bit.band(state, kres.DONE) == 0 then return state end
		req:push(qry.sname, kres.type.AAAA, kres.class.IN, 0, qry)
		return kres.YIELD
	end,
	finish = function(state, req, answer)
		if req:vars().found then
			answer:begin(kres.section.ADDITIONAL)
			answer:put(todname('found.test.'), 0, 1, kres.type.TXT, '\4AAAA')
		end
		return state
	end
} }`, `NOERROR | www.example.com. 0 IN A 192.0.2.80 | www.example.com. 0 IN A 192.0.2.81 | additional found.test. 0 IN TXT "AAAA"`},
		"from begin": {`return { layer = { begin = function(state, req)
	local qry = req:current()
	if qry.stype == kres.type.A then req:push(qry.sname, kres.type.AAAA, kres.class.IN, 0, qry) end
	return state
end } }`, "NOERROR | www.example.com. 0 IN A 192.0.2.80 | www.example.com. 0 IN A 192.0.2.81"},
		"from produce": {`return { layer = { produce = function(state, req, pkt)
	local qry = req:current()
	if state ~= kres.YIELD and qry.parent == nil and qry.stype == kres.type.A then
		req:push(qry.sname, kres.type.AAAA, kres.class.IN, nil, qry)
		return kres.YIELD
	end
	return kres.PRODUCE
end } }`, "NOERROR | www.example.com. 0 IN A 192.0.2.80 | www.example.com. 0 IN A 192.0.2.81"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := proctest.SmallInternet(t)
			conf := proctest.On(t, n, 2, "modules = { 'pusher' }")
			conf.Dir = proctest.RunDir(t)
			if err := os.WriteFile(filepath.Join(conf.Dir, "pusher.lua"), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			g := proctest.Start(t, conf)
			everyWay(t, g, "www.example.com", dns.TypeA, c.want)
			count(t, g)
			asked := n.Queries()
			g.Ask(t, "udp", "www.example.com", dns.TypeAAAA, 0)
			if more := n.Queries() - asked; more > 0 {
				t.Errorf("the AAAA set was not known: %d questions", more)
			}
		})
	}
}

func TestAModuleInLuaAnswersItself(t *testing.T) {
	g := luaGroup(t, map[string]string{"locals.lua": `local M = { names = {} }
function M.config(names)
	for name, addr in pairs(names) do M.names[todname(name)] = kres.str2ip(addr) end
end
M.layer = { produce = function(state, req, pkt)
	local qry = req:current()
	local addr = M.names[qry:name()]
	if not addr or qry.stype ~= kres.type.A then return state end
	pkt:rcode(kres.rcode.NOERROR)
	pkt:begin(kres.section.ANSWER)
	pkt:put(qry.sname, 900, qry.sclass, qry.stype, addr)
	qry.flags.RESOLVED = true
	return kres.DONE
end }
return M`, "alias.lua": `return { layer = { produce = function(state, req, pkt)
	if req:current():name() ~= todname('elsewhere.example.com') then return state end
	pkt:begin(kres.section.ANSWER)
	pkt:put(todname('elsewhere.example.com'), 5, kres.class.IN, kres.type.CNAME, todname('mail.example.com'))
	return kres.DONE
end } }`}, "modules = { 'iterate', 'alias < iterate' }", "modules.locals = { ['inside.example.com'] = '192.0.2.7', ['www.example.net'] = '192.0.2.8' }")
	everyWay(t, g, "inside.example.com", dns.TypeA, "NOERROR | inside.example.com. 0 IN A 192.0.2.7")
	everyWay(t, g, "elsewhere.example.com", dns.TypeA, "NOERROR | elsewhere.example.com. 0 IN CNAME mail.example.com. | mail.example.com. 0 IN A 192.0.2.25")
	everyWay(t, g, "shop.example.com", dns.TypeA, "NOERROR | shop.example.com. 0 IN CNAME www.example.net. | www.example.net. 0 IN A 192.0.2.8")
	everyWay(t, g, "www.example.com", dns.TypeAAAA, "NOERROR | www.example.com. 0 IN AAAA 2001:db8::80")
}

// The idioms of modules for kresd: answers with private addresses are refused, be it that
// they are for an alias; addresses are renumbered, and signatures dropped; workarounds set
// flags for queries of some names; and what is about to expire is asked for again.
func TestIdiomsOfModulesInLua(t *testing.T) {
	g := luaGroup(t, map[string]string{"rebind.lua": `local policy = require('kres_modules.policy')
local M = { layer = {} }
local function bad(pkt)
	for _, section in ipairs({ kres.section.ANSWER, kres.section.ADDITIONAL }) do
		for _, rr in ipairs(pkt:section(section)) do
			if rr.type == kres.type.A and rr.rdata:sub(1, 2) == '\198\51' and kres.dname2str(rr.owner) == 'www.example.net.' then return rr end
		end
	end
end
function M.layer.consume(state, req, pkt)
	if state == kres.FAIL then return state end
	pkt = kres.pkt_t(pkt)
	req = kres.request_t(req)
	local qry = req:current()
	if not bad(pkt) then return state end
	qry.flags.RESOLVED = 1
	qry.flags.CACHED = 1
	if qry.parent ~= nil then return kres.FAIL end
	policy.REFUSE(nil, req)
	local answer = req:ensure_answer()
	answer:aa(false)
	answer:begin(kres.section.ADDITIONAL)
	local msg = 'blocked'
	answer:put('\11explanation\7invalid\0', 10800, answer:qclass(), kres.type.TXT, string.char(#msg) .. msg)
	return kres.DONE
end
return M`, "renum.lua": `local M = {}
M.layer = { finish = function(state, req)
	if state == kres.FAIL then return state end
	req = kres.request_t(req)
	local pkt = kres.pkt_t(req.answer)
	local records, changed = pkt:section(kres.section.ANSWER), false
	for i, rr in ipairs(records) do
		if rr.type == kres.type.A and rr.rdata == '\192\0\2\25' then
			rr.rdata = '\10\0\2\25'
			changed = true
		end
	end
	if not changed then return state end
	local qname, qclass, qtype = pkt:qname(), pkt:qclass(), pkt:qtype()
	pkt:recycle()
	pkt:question(qname, qclass, qtype)
	for i = 1, #records do
		local rr = records[i]
		if rr.type ~= kres.type.RRSIG then pkt:put(rr.owner, rr.ttl, rr.class, rr.type, rr.rdata) end
	end
	return state
end }
return M`, "workaround.lua": `local M = { set = 0 }
M.layer = { produce = function(state, req)
	local qry = req:current()
	if kres.dname2str(qry:name()):find('sub%.example%.com%.$') then
		qry.flags.NO_0X20 = true
		qry.flags.NO_MINIMIZE = true
		M.set = M.set + 1
	end
	return state
end }
return M`, "expire.lua": `local M = { seen = 0 }
M.layer = { finish = function(state, req)
	local qrys = req.rplan.resolved
	for i = 0, (tonumber(qrys.len) - 1) do
		local qry = qrys.at[i]
		M.seen = M.seen + 1
		if qry.flags.EXPIRING == true then
			resolve(kres.dname2str(qry.sname), qry.stype, qry.sclass, { 'NO_CACHE' })
		end
	end
	return state
end }
return M`}, "modules = { 'rebind < cache', 'renum', 'workaround < cache', 'expire' }")
	const blocked = `REFUSED |  | additional explanation.invalid. 10800 IN TXT "blocked"`
	everyWay(t, g, "www.example.net", dns.TypeA, blocked)
	everyWay(t, g, "shop.example.com", dns.TypeA, blocked)
	everyWay(t, g, "mail.example.com", dns.TypeA, "NOERROR | mail.example.com. 0 IN A 10.0.2.25")
	everyWay(t, g, "mail.old.example.org", dns.TypeA, "NOERROR | mail.example.com. 0 IN A 10.0.2.25 | mail.old.example.org. 0 IN CNAME mail.example.com. | old.example.org. 0 IN DNAME example.com.")
	everyWay(t, g, "www.sub.example.com", dns.TypeA, "NOERROR | www.sub.example.com. 0 IN A 192.0.2.21")
	if sum(t, g, "workaround.set") == 0 || sum(t, g, "expire.seen") == 0 {
		t.Error("a module has seen nothing")
	}
}

// A module refuses in begin, another one that is loaded behind it counts all the same, by
// client, what was refused and what was not.
func TestModulesInLuaRefuseAndCount(t *testing.T) {
	g := luaGroup(t, map[string]string{"refuse.lua": `local M = {}
M.layer = { begin = function(state, req)
	req = kres.request_t(req)
	local qry = req:current()
	if kres.dname2str(qry:name()):lower() ~= 'mail.example.com.' then return state end
	local answer = req:ensure_answer()
	answer:rcode(kres.rcode.REFUSED)
	answer:ad(false)
	return kres.DONE
end }
return M`, "counter.lua": `local M = { clients = {}, states = {}, internal = 0 }
function M.total() local n = 0 for _, v in pairs(M.clients) do n = n + v end return n end
M.layer = {
	begin = function(state, req)
		req:vars().began = true
		local addr = req.qsource.addr
		if addr == nil then M.internal = M.internal + 1 return state end
		local client = tostring(addr):gsub('#.*', '')
		M.clients[client] = (M.clients[client] or 0) + 1
		return state
	end,
	finish = function(state, req, answer)
		if not req:vars().began then error('vars are lost') end
		local rcode = kres.tostring.rcode[answer:rcode()]
		M.states[rcode] = (M.states[rcode] or 0) + 1
	end
}
return M`}, "modules = { 'refuse', 'counter' }")
	before := sum(t, g, "counter.total()")
	everyWay(t, g, "mail.example.com", dns.TypeA, "REFUSED | ")
	everyWay(t, g, "nothing.example.com", dns.TypeA, "NXDOMAIN |  | authority "+soaCom)
	if got := sum(t, g, "counter.total()") - before; got != 12 {
		t.Errorf("counted %d queries, want 12\n%s", got, g.Eval(t, "map 'table_print(counter.clients)'"))
	}
	if got := sum(t, g, "counter.states.REFUSED or 0"); got != 6 {
		t.Errorf("counted %d refusals, want 6", got)
	}
	if got := sum(t, g, "counter.clients['127.0.0.1'] or 0") - before; got != 12 {
		t.Errorf("counted %d queries of the client", got)
	}
}

// Many requests at once have their own variables, queries and answers, and each is seen
// once.
func TestRequestsInLuaAreKeptApart(t *testing.T) {
	g := luaGroup(t, map[string]string{"apart.lua": `local M = { seen = 0, mixed = 0 }
local function same(req, what)
	local vars, now = req:vars(), kres.dname2str(req:initial().sname) .. req:initial().stype
	if vars.name ~= now then
		M.mixed = M.mixed + 1
		warn('%s: %s instead of %s', what, now, tostring(vars.name))
	end
end
M.layer = {
	begin = function(state, req)
		M.seen = M.seen + 1
		req:vars().name = kres.dname2str(req:initial().sname) .. req:initial().stype
		return state
	end,
	produce = function(state, req) same(req, 'produce') return state end,
	consume = function(state, req, pkt)
		if req:current().parent == nil or req:vars().name then same(req, 'consume') end
		return state
	end,
	finish = function(state, req, answer)
		same(req, 'finish')
		if answer:qname() ~= req:initial().sname then M.mixed = M.mixed + 1 end
		return state
	end,
}
return M`}, "modules = { 'apart' }")
	before := sum(t, g, "apart.seen")
	var questions []*dns.Msg
	for range 200 {
		for _, name := range []string{"www.example.com", "mail.example.com", "shop.example.com", "nothing.example.com", "any.wild.example.com", "mail.old.example.org", "www.sub.example.com", "dead.example"} {
			questions = append(questions, proctest.Query(name, dns.TypeA, 1232))
		}
	}
	for i, r := range proctest.ExchangeAll(g.Addr, questions, 64) {
		if r == nil || r.Rcode == dns.RcodeServerFailure && questions[i].Question[0].Name != "dead.example." {
			t.Fatalf("%s: %v\n%s", questions[i].Question[0].Name, r, tail(g.Log()))
		}
	}
	if mixed := sum(t, g, "apart.mixed"); mixed != 0 {
		t.Errorf("%d requests saw another one's", mixed)
	}
	if seen := sum(t, g, "apart.seen") - before; seen < len(questions) {
		t.Errorf("%d of %d questions were seen", seen, len(questions))
	}
}

// What needs no Lua does not wait for it: while a layer loops over a question that is sent
// to a server, cached answers are given.
func TestCachedAnswersDoNotWaitForALayerInLua(t *testing.T) {
	g := luaGroup(t, map[string]string{"endless.lua": `return { layer = { checkout = function(state, req, pkt)
	if req:initial().sname == todname('mail.example.com') then local n = 0 while true do n = n + 1 end end
	return state
end } }`}, "modules = { 'endless' }")
	g.Ask(t, "udp", "www.example.com", dns.TypeA, 0)
	count(t, g)
	ended := make(chan error, 1)
	go func() {
		c := &dns.Client{Timeout: 20 * time.Second}
		r, _, err := c.Exchange(proctest.Query("mail.example.com", dns.TypeA, 0), g.Addr.String())
		if err == nil && r.Rcode != dns.RcodeServerFailure {
			err = fmt.Errorf("got %v", r)
		}
		ended <- err
	}()
	for i := 0; ; i++ {
		g.Ask(t, "udp", "www.example.com", dns.TypeA, 0)
		select {
		case err := <-ended:
			if err != nil || i < 5 {
				t.Errorf("%d cached answers while a layer looped, which ended with %v", i, err)
			}
			return
		default:
		}
	}
}

// sum is the sum of an expression over all workers.
func sum(t *testing.T, g *proctest.Group, expr string) (n int) {
	t.Helper()
	for _, v := range strings.Fields(g.Eval(t, "local s = 0 for _, v in ipairs(map([["+expr+"]])) do s = s + v end return s")) {
		for _, d := range v {
			if d >= '0' && d <= '9' {
				n = n*10 + int(d-'0')
			}
		}
	}
	return n
}

// Hooks are called in the order of the modules, for each query of a request; checkout
// tells whom is asked how.
func TestHooksOfModulesInLuaAreCalledInOrder(t *testing.T) {
	const text = `local M = { seen = {} }
local function note(what) table.insert(M.seen, what) end
M.layer = {
	begin = function(state, req) note('begin') return state end,
	reset = function(state, req) note('reset ' .. kres.dname2str(req:current().sname)) return state end,
	produce = function(state, req, pkt) note('produce ' .. kres.dname2str(pkt:qname())) return state end,
	checkout = function(state, req, pkt, addr, stream) note('checkout ' .. kres.dname2str(pkt:qname()) .. ' ' .. tostring(addr):gsub('#.*', '') .. ' ' .. tostring(stream)) return state end,
	consume = function(state, req, pkt) note('consume ' .. kres.dname2str(pkt:qname()) .. ' ' .. state) return state end,
	answer_finalize = function(state, req) note('finalize ' .. state) return state end,
	finish = function(state, req, answer) note('finish ' .. #answer:section(kres.section.ANSWER)) return state end,
}
return M`
	n := proctest.SmallInternet(t)
	c := proctest.On(t, n, 1, "modules = { 'hooks2', 'hooks1 < hooks2' }")
	c.Dir = proctest.RunDir(t)
	for _, name := range []string{"hooks1.lua", "hooks2.lua"} {
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := proctest.Start(t, c)
	if got := g.Eval(t, "local l = modules.list() return l[#l - 1] .. ' ' .. l[#l]"); !strings.Contains(got, "hooks1 hooks2") {
		t.Errorf("modules.list() ends with %q", got)
	}
	seen := func(name string) string {
		g.Eval(t, "hooks1.seen, hooks2.seen = {}, {}")
		g.Ask(t, "udp", name, dns.TypeA, 1232)
		one, two := g.Eval(t, "table.concat(hooks1.seen, '; ')"), g.Eval(t, "table.concat(hooks2.seen, '; ')")
		if one != two {
			t.Errorf("the modules saw different things:\n%s\n%s", one, two)
		}
		return strings.Trim(one, "'\n")
	}
	cold := seen("shop.example.com")
	for _, want := range []string{
		"begin; reset shop.example.com.; produce shop.example.com.; checkout ", "; consume shop.example.com. 4; reset www.example.net.; produce www.example.net.; checkout ",
		" 127.53.", " false; consume ", "consume www.example.net. 4; finalize 4; finish 2",
	} {
		if !strings.Contains(cold, want) {
			t.Errorf("resolved: %q is missing in\n%s", want, cold)
		}
	}
	count(t, g)
	if got, want := seen("shop.example.com"), "begin; reset shop.example.com.; consume shop.example.com. 4; reset www.example.net.; consume www.example.net. 4; finalize 4; finish 2"; got != want {
		t.Errorf("cached: got\n%s\nwant\n%s", got, want)
	}
}

func TestAModuleInLuaLogsSlowQueries(t *testing.T) {
	g := luaGroup(t, map[string]string{"slow.lua": `local M = { limit = -1 }
local now = os.time
M.layer = {
	begin = function(state, req) req:vars().began = now() return state end,
	finish = function(state, req)
		local took = now() - (req:vars().began or now())
		if took > M.limit then
			log('[slow] %s %s took %.3f s from %s', kres.dname2str(req:initial().sname), kres.tostring.type[req:initial().stype], took, tostring(req.qsource.addr))
		end
		return state
	end
}
return M`}, "modules = { 'slow' }")
	g.Ask(t, "udp", "mail.example.com", dns.TypeA, 0)
	proctest.Eventually(t, 10*time.Second, "the log has a line", func() bool {
		return strings.Contains(g.Log(), "[slow] mail.example.com. A took 0.") && strings.Contains(g.Log(), "s from 127.0.0.1#")
	})
}

// A layer that misbehaves costs its query a SERVFAIL and a line in the log that says where
// it stood; other queries are answered, and the worker lives.
func TestHostileLayersInLua(t *testing.T) {
	const text = `local M = { kept = {} }
local function raise() local t = nil return t.field end
local acts = {
	['raise.example.com.'] = function() raise() end,
	['table.example.com.'] = function() error({ code = 5 }) end,
	['loop.example.com.'] = function() local n = 0 while true do n = n + 1 end end,
	['protected.example.com.'] = function() while true do pcall(function() local n = 0 while true do n = n + 1 end end) end end,
	['sleep.example.com.'] = function() worker.sleep(60) end,
	['huge.example.com.'] = function() return string.rep('x', 1e9) end,
	['garbage.example.com.'] = function() return 'DONE' end,
	['number.example.com.'] = function() return 12345 end,
	['deep.example.com.'] = function() local function f() return 1 + f() end return f() end,
	['yield.example.com.'] = function() return kres.YIELD end,
	['coroutine.example.com.'] = function() coroutine.yield(1) end,
}
M.hook = 'begin'
local function hook(name)
	return function(state, req)
		local act = acts[kres.dname2str(req:initial().sname)]
		table.insert(M.kept, req)
		if act and M.hook == name then
			local r = act()
			if r then return r end
		end
		return state
	end
end
M.layer = {}
for _, name in ipairs({ 'begin', 'reset', 'produce', 'consume', 'answer_finalize', 'finish' }) do M.layer[name] = hook(name) end
function M.use() local ok, err = pcall(function() return M.kept[1]:current() end) return tostring(err) end
function M.answer() local ok, err = pcall(function() return M.kept[1].answer:rcode() end) return tostring(err) end
return M`
	g := luaGroup(t, map[string]string{"hostile.lua": text}, "modules = { 'hostile < iterate' }")
	mild := []string{"raise", "table", "huge", "garbage", "number", "deep", "coroutine"}
	for _, hook := range []string{"begin", "reset", "produce", "consume", "answer_finalize", "finish"} {
		g.Eval(t, "map [[hostile.hook = '"+hook+"']]")
		for _, name := range mild {
			servfail(t, g, hook, name)
		}
	}
	for _, c := range []struct{ hook, name string }{{"begin", "loop"}, {"consume", "protected"}, {"finish", "sleep"}} {
		g.Eval(t, "map [[hostile.hook = '"+c.hook+"']]")
		servfail(t, g, c.hook, c.name)
	}
	g.Eval(t, "map [[hostile.hook = 'produce']]")
	servfail(t, g, "produce", "yield")
	for _, line := range []string{
		"module 'hostile': begin of raise.example.com. A: error: ./hostile.lua:2: attempt to index local 't' (a nil value)", "stack traceback:", "in function 'raise'",
		"module 'hostile': begin of loop.example.com. A: error: ./hostile.lua:6: ended: it ran longer than 500ms",
		"module 'hostile': consume of protected.example.com. A: error: ./hostile.lua:7: ended: it ran longer than 500ms",
		"module 'hostile': finish of sleep.example.com. A: error: ./hostile.lua:8: ended: it took longer than 2s",
		"module 'hostile': begin of garbage.example.com. A: error: it must return a state such as kres.DONE, and returned text",
		"module 'hostile': produce of yield.example.com. A: error: it returned YIELD and has pushed no query",
	} {
		if !strings.Contains(g.Log(), line) {
			t.Errorf("the log lacks %q:\n%s", line, tail(g.Log()))
		}
	}
	for _, fn := range []string{"use", "answer"} {
		if got := g.Eval(t, "hostile."+fn+"()"); !strings.Contains(got, "this request is over") {
			t.Errorf("hostile.%s(): %s", fn, got)
		}
	}
	for i := range 2 {
		if got := strings.TrimSpace(proctest.Eval(t, g.Worker(t, i).Socket, "'alive'")); got != "alive" {
			t.Errorf("worker %d says %q", i, got)
		}
	}
}

// servfail asks what a hostile hook answers, over UDP and TCP, and asks another name
// meanwhile.
func servfail(t *testing.T, g *proctest.Group, hook, name string) {
	t.Helper()
	for _, network := range []string{"udp", "tcp"} {
		q := proctest.Query(name+".example.com", dns.TypeA, 1232)
		got := make(chan string, 1)
		go func() {
			c := &dns.Client{Net: network, Timeout: 20 * time.Second}
			r, _, err := c.Exchange(q, g.Addr.String())
			if err != nil {
				got <- err.Error()
				return
			}
			got <- dns.RcodeToString[r.Rcode]
		}()
		c := &dns.Client{Timeout: 20 * time.Second}
		r, _, err := c.Exchange(proctest.Query("www.example.com", dns.TypeA, 1232), g.Addr.String())
		if err != nil || len(r.Answer) != 2 {
			t.Errorf("beside %s in %s: %v %v", name, hook, r, err)
		}
		if rcode := <-got; rcode != "SERVFAIL" {
			t.Errorf("%s in %s over %s: got %s, want SERVFAIL", name, hook, network, rcode)
		}
	}
}
