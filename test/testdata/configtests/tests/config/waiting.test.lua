-- Functions run in a coroutine, so that they may wait.
local condition = require('cqueues.condition')

local function slept()
	local clock = require('cqueues').monotime
	local began = clock()
	worker.sleep(0.05)
	ok(clock() - began >= 0.05, 'a sleep takes its time')
end

local function signalled()
	local done, told = condition.new(), nil
	event.after(20, function() told = 'yes' done:signal() end)
	done:wait()
	is(told, 'yes', 'a timer wakes who waits')
	worker.coroutine(function() worker.sleep(0.01) told = 'again' done:signal() end)
	done:wait()
	is(told, 'again', 'a coroutine does, too')
end

local function resolved()
	local done, got = condition.new(), nil
	ok(worker.resolve('nothing.invalid', kres.type.A, kres.class.IN, {}, function(pkt)
		got = pkt:rcode()
		done:signal()
	end), 'a question is asked')
	done:wait()
	is(got, kres.rcode.NXDOMAIN, 'and answered')
	local pkt = kres.packet(512)
	pkt:question(todname('localhost.'), kres.class.IN, kres.type.A)
	got = nil
	worker.resolve_pkt(pkt, {}, function(answer) got = #answer:section(kres.section.ANSWER) done:signal() end)
	done:wait()
	is(got, 1, 'a packet, too')
end

local function pooled()
	local running, most = 0, 0
	local all = condition.new()
	local left = 20
	for _ = 1, 20 do
		worker.bg_worker.cq:wrap(function()
			running = running + 1
			most = math.max(most, running)
			worker.sleep(0.01)
			running, left = running - 1, left - 1
			if left == 0 then all:signal() end
		end)
	end
	all:wait()
	ok(most > 1, 'coroutines wait beside each other')
	is(running, 0, 'and end')
end

return { slept, signalled, resolved, pooled }
