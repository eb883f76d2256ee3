-- cqueues.auxlib: helpers about errors, and coroutines that wait inside of others. All
-- coroutines do that here.
local strerror = require('cqueues.errno').strerror

local auxlib = { resume = coroutine.resume, wrap = coroutine.wrap, tostring = tostring }

-- fileresult returns a failure as functions of io do: the value, a text, a number.
function auxlib.fileresult(value, ...)
	if value then return value, ... end
	local text, number
	for i = 1, select('#', ...) do
		local v = select(i, ...)
		if type(v) == 'number' then number = number or v else text = text or v end
	end
	return value, text or number and strerror(number), number
end

-- assert is assert, with the text of an error's number.
function auxlib.assert(value, ...)
	if value then return value, ... end
	for i = 1, select('#', ...) do
		local v = select(i, ...)
		if v then error(type(v) == 'number' and strerror(v) or v, 2) end
	end
	error('assertion failed!', 2)
end

return auxlib
