-- A script as people write them for kresd with LuaJIT: a rule that makes up answers, questions of
-- its own with a look at everything that they lead to, records of a zone file in the cache.
local ffi = require('ffi')
local zonefile = require('zonefile')

failures, checks, finished = {}, 0, {}

local function ok(value, what)
	checks = checks + 1
	if not value then table.insert(failures, what) end
end

local function is(got, want, what)
	ok(got == want, what .. ': got ' .. tostring(got) .. ', want ' .. tostring(want))
end

-- A made-up answer, as in the documentation of policies.
local function genRR (state, req)
	local answer = req.answer
	local qry = req:current()
	if qry.stype ~= kres.type.A then
		return state
	end
	ffi.C.kr_pkt_make_auth_header(answer)
	answer:rcode(kres.rcode.NOERROR)
	answer:begin(kres.section.ANSWER)
	answer:put(qry.sname, 900, answer:qclass(), kres.type.A, '\192\168\1\3')
	return kres.DONE
end
policy.add(policy.suffix(genRR, { todname('my.example.cz.') }))

-- A rule that counts clients in a small map and marks their answers.
local clients = kres.lru(1024, 'uint32_t')
policy.add(policy.suffix(function (state, req)
	local address = req.qsource.addr
	if address == nil then return end
	local count = clients:get_ref(address:ip(), address:len(), true)
	count[0] = count[0] + 1
	last_client, last_count = tostring(address), count[0]
	req.answer:rcode(kres.rcode.REFUSED)
	req:set_extended_error(kres.extended_error.PROHIBITED, 'not for you')
	return kres.DONE
end, { todname('counted.example.org') }))

-- A rule for answers that adds a record to what was resolved.
policy.add(policy.suffix(function (state, req)
	local pkt = kres.pkt_t(req.answer)
	if pkt:qtype() ~= kres.type.A or pkt:ancount() == 0 then return end
	pkt:begin(kres.section.ADDITIONAL)
	local note = kres.rrset(pkt:qname(), kres.type.TXT, kres.class.IN, 5)
	note:add_rdata('\9annotated', 10)
	ok(pkt:put_rr(note), 'adding a set')
	return state
end, { todname('www.example.org') }), true)

-- Messages without a resolution.
local function messages ()
	local pkt = kres.packet(512)
	ok(pkt:question(kres.str2dname('www.example.com'), kres.class.IN, kres.type.A), 'a question')
	pkt:rd(true)
	ok(ffi.istype(kres.packet, pkt), 'the type of a packet')
	local copy = kres.packet(512, ffi.string(pkt.wire, pkt.size))
	ok(copy:parse(), 'parsing')
	is(kres.dname2str(copy:qname()), 'www.example.com.', 'the name in the copy')
	is(copy:towire(), pkt:towire(), 'the octets of the copy')
	is(ffi.C.knot_dname_in_bailiwick(copy:qname(), todname('com')), 2, 'labels below com')
	ok(worker.resolve_pkt(copy, {}, function (answer, req)
		is(answer:rcode(), kres.rcode.NOERROR, 'a packet is resolved')
		finished.packet = true
	end), 'asking by a packet')
end

-- A question, and everything that a script can see of it.
local function questions ()
	local kept
	resolve {
		name = 'www.example.com', type = kres.type.A, options = 'NO_CACHE',
		init = function (req)
			req = kres.request_t(req)
			req:vars().began = ffi.C.kr_now()
			local lines = {}
			req:vars().lines = lines
			req.trace_log = ffi.cast('trace_log_f', function (_, line) table.insert(lines, line) end)
			req.trace_finish = ffi.cast('trace_callback_f', function (over) table.insert(lines, over:current():name()) end)
			kept = req
		end,
		finish = function (answer, req)
			local pkt = kres.pkt_t(answer)
			is(pkt:rcode(), kres.rcode.NOERROR, 'RCODE')
			for _, rr in ipairs(pkt:section(kres.section.ANSWER)) do
				is(rr.type, kres.type.A, 'type')
				ok(kres.rr2str(rr):find('^www%.example%.com%. +\t%d+\tA\t192%.0%.2%.%d+$'), 'text ' .. kres.rr2str(rr))
			end
			local qry = req:resolved()
			is(kres.dname2str(qry.zone_cut.name), 'example.com.', 'zone cut')
			ok(qry.flags.RESOLVED and qry.flags.NO_CACHE and not qry.flags.CACHED, 'flags')
			ok(qry.timestamp.tv_sec > 0 and qry.timestamp_mono >= 0, 'times')
			is(req.qsource.addr, nil, 'nobody has asked')
			is(req.rplan.pending.len, 0, 'pending')
			ok(req.rplan.resolved.len >= 1 and req.rplan.resolved.at[0].uid >= 1, 'resolved')
			local chosen = req.answ_selected
			ok(chosen.len == 1 and chosen.at[0].rr:owner() == pkt:qname() and not chosen.at[0].cached, 'selected')
			ok(req:selected_tostring():find('192.0.2.', 1, true), 'text of what is selected')
			ok(req:vars().began <= ffi.C.kr_now(), 'the table of the request')
			local lines = req:vars().lines
			ok(#lines > 3 and lines[#lines] == pkt:qname() and table.concat(lines):find('answer: www.example.com. A', 1, true), 'steps')
			ok(tostring(pkt):find(';; ANSWER\nwww.example.com.', 1, true), 'text of the packet')
			old_packet, old_set = pkt, pkt:rrsets(kres.section.ANSWER)[1]
			event.after(1, function ()
				for _, use in ipairs { function () return kept.uid end, function () return qry.sname end, function () return old_packet:rcode() end,
					function () return old_set:rdata(0) end, function () return chosen.at[0] end, function () return kept.options.TCP end } do
					local fine, why = pcall(use)
					ok(not fine and tostring(why):find('this request is over', 1, true), 'kept beyond its end: ' .. tostring(why))
				end
				finished.question = true
			end)
		end,
	}
end

-- Records of a zone file, put into the cache.
local function zone ()
	local records = assert(zonefile.string([[
$ORIGIN imported.example.com.
$TTL 300
a A 192.0.2.77 ; from a file
a A 192.0.2.78
b TXT "imported"
]]))
	is(#records, 3, 'records of the text')
	is(records[1].comment, ' from a file', 'comment')
	local c = kres.context().cache
	local sets = {}
	for _, rr in ipairs(records) do
		local key = rr.owner .. rr.type
		sets[key] = sets[key] or kres.rrset(rr.owner, rr.type, rr.class, rr.ttl)
		ok(sets[key]:add_rdata(rr.rdata, #rr.rdata), 'adding RDATA')
	end
	local writes = c.stats.write
	for _, set in pairs(sets) do ok(c:insert(set, nil, kres.rank.INSECURE + kres.rank.AUTH), 'insert') end
	ok(c:sync(), 'sync')
	ok(c.stats.write > writes, 'the figure of writes')
	local stored = cache.get('a.imported.example.com', kres.type.A)
	ok(#stored == 1 and stored[1].kind == 'rrset' and #stored[1].records == 2 and stored[1].ttl <= 300, 'cache.get')
	is(#cache.get('nosuch.imported.example.com'), 0, 'cache.get of nothing')
	resolve('a.imported.example.com', kres.type.A, kres.class.IN, {}, function (pkt, req)
		is(pkt:ancount(), 2, 'records from the cache')
		ok(req:resolved().flags.CACHED, 'from the cache')
		finished.zone = true
	end)
end

messages()
questions()
event.after(10, zone)
