package records_test

import (
	"testing"

	"kresd/internal/dnslua/dnsluatest"
	"kresd/internal/dnslua/requests"
	"kresd/internal/script"
	"kresd/internal/wire"
)

// A script builds a message, and what it has built reads back.
func TestAPacketIsBuiltAndRead(t *testing.T) {
	dnsluatest.New(t).Run(`
		local p = kres.packet(512)
		assert(type(p) == 'cdata' and #p == 12 and p.size == 12 and p.max_size == 512 and p:remaining_bytes() == 500)
		assert(p:qname() == nil and p:qtype() == 0 and p:empty() and p:rcode() == 0 and not p:qr())
		assert(p:id(4711) == 4711 and p:id() == 4711)
		assert(p:question(todname('www.Example'), kres.class.IN, kres.type.A))
		assert(p:qdcount() == 1 and p:qname() == todname('www.example') and p:qtype() == kres.type.A and p:qclass() == kres.class.IN)
		assert(p:qr(true) and p:aa(true) and p:tc(1) and p:rd(1) and not p:tc(0) and not p:tc())
		assert(p:rcode(kres.rcode.NXDOMAIN) == 3 and p:opcode(kres.opcode.NOTIFY) == 4)
		assert(p:begin(kres.section.ANSWER))
		assert(p:put(p:qname(), 60, kres.class.IN, kres.type.A, kres.str2ip('192.0.2.1')))
		assert(p:put(p:qname(), 50, kres.class.IN, kres.type.A, kres.str2ip('192.0.2.2')))
		assert(p:begin(kres.section.ADDITIONAL))
		local set = kres.rrset(todname('ns.example'), kres.type.AAAA, kres.class.IN, 5)
		assert(set:add_rdata(kres.str2ip('2001:db8::1'), 16))
		assert(p:put_rr(set))
		assert(p:ancount() == 2 and p:nscount() == 0 and p:arcount() == 1 and not p:empty())
		local back = kres.packet(512, p:towire())
		assert(back:id() == 4711 and back:ancount() == 2 and back:qname() == nil)
		assert(back:parse())
		assert(back:towire() == p:towire() and back:qname() == p:qname() and #back == #p)
		assert(back:aa() and back:rd() and back:opcode() == 4 and back:rcode() == 3)
		local list = back:section(kres.section.ANSWER)
		assert(#list == 2 and list[2].ttl == 50 and list[2].owner == p:qname() and list[2].rdata == '\192\0\2\2' and list[1].type == 1 and list[1].class == 1)
		local n = 0
		for i, rr in ipairs(back) do n = n + i assert(rr.rdata == list[i].rdata) end
		assert(n == 3)
		local sets = back:rrsets(kres.section.ANSWER)
		assert(#sets == 1 and sets[1]:rdcount() == 2 and sets[1]:ttl() == 50)
		assert(tostring(back) == back:tostring())
		assert(tostring(back) == ';; ->>HEADER<<- opcode: NOTIFY; status: NXDOMAIN; id: 4711\n' ..
			';; Flags: rd aa qr; QUERY: 1; ANSWER: 2; AUTHORITY: 0; ADDITIONAL: 1\n' ..
			'\n;; QUESTION\n;; www.example.\tA\tIN\n' ..
			'\n;; ANSWER\nwww.example.        \t60\tA\t192.0.2.1\nwww.example.        \t50\tA\t192.0.2.2\n' ..
			'\n;; ADDITIONAL\nns.example.         \t5\tAAAA\t2001:db8::1\n', tostring(back))
		back:clear_payload()
		assert(back:empty() and back:qname() == p:qname() and back:id() == 4711 and back:ancount() == 0)
		back:recycle()
		assert(back:qname() == nil and back:id() == 4711 and back:qdcount() == 0 and #back == 12)
	`)
}

func TestWhatAPacketRefuses(t *testing.T) {
	dnsluatest.New(t).Run(`
		local function fails(f, ...) local ok, why = pcall(f, ...) assert(not ok, 'no error') return tostring(why) end
		for _, size in ipairs{ 0, 11, 65536, -1, 1.5 } do fails(kres.packet, size) end
		fails(kres.packet, 512, 'short')
		fails(kres.packet, 512, ('x'):rep(65536))
		local p = kres.packet(12 + 17 + 40)
		assert(p:question(todname('www.example'), 1, 1))
		p:begin(1)
		fails(p.begin, p, 0)
		fails(p.begin, p, 3)
		fails(p.put, p, 'www.example', 1, 1, 1, 'abcd')
		fails(p.put, p, todname('a'), 1, 1, 1, ('x'):rep(65536))
		fails(p.put, p, todname('a'), -1, 1, 1, 'abcd')
		local ok, err = p:put(todname('a'), 1, 1, kres.type.TXT, ('x'):rep(40))
		assert(ok == nil and err.code == -28 and tostring(err) == 'no space left in the packet', tostring(err))
		local set = kres.rrset(todname('a'), kres.type.A)
		set:add_rdata('abcd')
		set:add_rdata('efgh')
		set:add_rdata('ijkl')
		local before = p:towire()
		assert(p:put_rr(set) == nil and p:towire() == before and p:nscount() == 0)
		assert(p:put(todname('a'), 1, 1, 1, 'abcd'))
		ok, err = p:question(todname('b'), 1, 1)
		assert(ok == nil and tostring(err):find('before all records'))
		assert(p:resize(12) == nil and p:resize(512) and p:put_rr(set))
		local junk = kres.packet(512, ('\255'):rep(40))
		ok, err = junk:parse()
		assert(ok == nil and tostring(err):find('no message'))
		assert(junk:put(todname('a'), 1, 1, 1, 'abcd') == nil)
		assert(junk:towire() == ('\255'):rep(40))
		fails(function() return p.nosuch end)
		fails(function() p.size = 5 end)
	`)
}

// A script may set counts that are wrong, as tests of other software do.
func TestCountsCanBeSet(t *testing.T) {
	dnsluatest.New(t).Run(`
		local p = kres.packet(512)
		assert(p:ancount(5) == 5 and p:towire():byte(8) == 5)
		p:put(todname('a'), 1, 1, 1, 'abcd')
		assert(p:ancount() == 6)
		p:recycle()
		assert(p:ancount() == 0 and p:towire():byte(8) == 0)
	`)
}

// The OPT record of a message says something about it and is none of its records.
func TestOPTOfAPacket(t *testing.T) {
	w := dnsluatest.New(t)
	w.Run(`
		local p = kres.packet(512)
		p:question(todname('a'), 1, 1)
		p:begin(kres.section.ADDITIONAL)
		assert(p.opt_rr == nil and not p:dobit())
		assert(p:put('\0', 0x8000, 1232, kres.type.OPT, ''))
		assert(p:dobit() and p.opt_rr:class() == 1232 and p:arcount() == 1 and #p:section(2) == 0)
		local back = kres.packet(512, p:towire())
		assert(back:parse() and back:dobit() and back.opt_rr.type == kres.type.OPT and back.tsig_rr == nil)
		assert(tostring(back):find('; EDNS: version: 0, flags: do; udp: 1232\n', 1, true))
		assert(back:put(todname('a'), 1, 1, 1, 'efgh') and back:begin(2) and back:put(todname('b'), 1, 1, 1, 'abcd'))
		assert(#back:section(2) == 1 and #back:section(0) == 1 and back:arcount() == 2 and back:dobit())
		local again = kres.packet(512, back:towire())
		assert(again:parse() and again:dobit() and #again:section(2) == 1)
	`)
}

// What a script made of the message of a server is read again as one.
func TestAServersMessageIsChanged(t *testing.T) {
	w := dnsluatest.New(t)
	msg, err := wire.Parse(wire.AppendQuery(nil, 9, wire.FlagQR, []byte("\x01a\x00"), wire.TypeA, wire.ClassIN, 1232, true, nil))
	if err != nil {
		t.Fatal(err)
	}
	req := dnsluatest.Finished(t, "a.")
	p := requests.PacketOf(w.Views.Of(req), msg)
	handOver := func(text string) {
		t.Helper()
		w.Run("keep(function(req, pkt) " + text + " end)")
		if err := w.Views.Show(req, false, func(_ *script.Call, h *script.Handle) error {
			_, err := w.Kept.Call(h, w.Views.Packet(p))
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	handOver("assert(pkt:qname() == todname('a') and pkt:dobit() and pkt:id() == 9 and pkt:qr()) stolen = pkt")
	if p.Changed() {
		t.Error("a packet that nobody has changed is changed")
	}
	handOver("pkt:begin(0) pkt:rcode(3) assert(pkt:put(todname('a'), 5, 1, kres.type.MX, '\\0\\5\\1B\\0'))")
	back, err := p.Msg()
	if err != nil || !p.Changed() || back.ID != 9 || back.Question != msg.Question || !back.DO || back.UDPSize != 1232 || back.Rcode != 3 ||
		len(back.Answer) != 1 || string(back.Answer[0].RData) != "\x00\x05\x01b\x00" {
		t.Errorf("%+v, %v", back, err)
	}
	w.Expect(dnsluatest.Step{"stolen:rcode()", "ERROR error: this request is over…"}, dnsluatest.Step{"tostring(stolen)", "packet\n"})
}
