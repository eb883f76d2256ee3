-- cqueues.promise: what a coroutine will have, for others to wait for.
local background = ... -- runs functions of promises that are made outside of any controller
local cqueues = require('cqueues')
local condition = require('cqueues.condition')

local methods, promise = {}, {}
local meta = { __index = methods, __name = 'promise' }

local function pack(...) return { n = select('#', ...), ... } end

-- status tells how far the promise is.
function methods:status()
	if not self.values then return 'pending' end
	return self.kept and 'fulfilled' or 'rejected'
end

-- set keeps the promise with values, or breaks it with an error. It works once.
function methods:set(kept, ...)
	if self.values then error('the promise has been set already', 2) end
	self.kept, self.values = kept and true or false, pack(...)
	self.pollfd:signal()
end

-- wait returns the promise when it is set within the time, else nil.
function methods:wait(seconds)
	local till = seconds and cqueues.monotime() + seconds
	while not self.values do
		local left = till and till - cqueues.monotime()
		if left and left <= 0 then return nil end
		self.pollfd:wait(left)
	end
	return self
end

-- get returns the values or raises the error; nothing when the time is over.
function methods:get(seconds)
	if not self:wait(seconds) then return end
	if not self.kept then error(self.values[1], 0) end
	return unpack(self.values, 1, self.values.n)
end

function promise.type(value) return getmetatable(value) == meta and 'promise' or nil end

-- new makes a promise, and has a function keep it, if there is one.
function promise.new(fn, ...)
	local self = setmetatable({ pollfd = condition.new() }, meta)
	if fn then
		local controller, args = cqueues.running() or background, pack(...)
		controller:wrap(function() self:set(pcall(fn, unpack(args, 1, args.n))) end)
	end
	return self
end

return promise
