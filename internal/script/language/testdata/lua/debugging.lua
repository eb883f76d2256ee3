-- debug.getinfo, getlocal, upvalues, tracebacks.
local function show(...)
	local t = { n = select('#', ...), ... }
	for i = 1, t.n do t[i] = tostring(t[i]) end
	print(table.concat(t, ' ', 1, t.n))
end
local function here() return debug.getinfo(2, 'Sl') end
local i = here() show(i.short_src, i.source, i.currentline, i.what, i.linedefined)
local function named() local i = debug.getinfo(1, 'nSl') return i.name, i.namewhat, i.what, i.linedefined, i.lastlinedefined, i.currentline end
show(named())
globalnamed = named show((select(1, globalnamed()))) local t = { field = named } show(t.field()) function t:method() return debug.getinfo(1, 'n').name, debug.getinfo(1, 'n').namewhat end show(t:method())
local f = debug.getinfo(show) show(f.func == show, f.what, f.nups, f.currentline, f.linedefined, f.lastlinedefined, f.short_src)
local p = debug.getinfo(print) show(p.what, p.short_src, p.source, p.currentline, p.linedefined, p.func == print)
show(debug.getinfo(100), debug.getinfo(1).what, debug.getinfo(1, 'l').currentline, debug.getinfo(1, 'f').func ~= nil, debug.getinfo(1, 'u').nups ~= nil) show((pcall(debug.getinfo, 'x')), (pcall(debug.getinfo)))
local lines = debug.getinfo(named, 'L').activelines show(type(lines), lines[10])
-- locals and upvalues
local function locals(a, b) local c = 'c' do local d = 'd' end local out = {} local i = 1 while true do local n, v = debug.getlocal(1, i) if not n then break end out[#out + 1] = n .. '=' .. type(v) i = i + 1 end return table.concat(out, ' ') end show(locals(1, 'x'))
local up1, up2 = 'one', 'two' local function ups() return up1, up2 end show(debug.getupvalue(ups, 1)) show(debug.getupvalue(ups, 2)) show(debug.getupvalue(ups, 3)) show(debug.setupvalue(ups, 1, 'new'), up1, (ups()))
local function setter() local x = 1 show(debug.setlocal(1, 1, 'changed'), x) end setter()
-- tracebacks
local function level3() return debug.traceback('message') end local function level2() local s = level3() return s end local tb = level2()
show(tb:match('^message\nstack traceback:\n') ~= nil, select(2, tb:gsub('debugging.lua:%d+', '')) >= 2) show(debug.traceback({}) ~= nil, type(debug.traceback()), debug.traceback('m', 1):match('^m\n') ~= nil, debug.traceback(nil) ~= '')
local ok, tb = xpcall(function() local x = nil x.y = 1 end, debug.traceback) show(ok, tb:match('attempt to index local \'x\''), tb:match('stack traceback') ~= nil)
local co = coroutine.create(function() local inside = 1 coroutine.yield() end) coroutine.resume(co) show(debug.traceback(co):match('stack traceback:') ~= nil, debug.traceback(co, 'msg'):match('^msg') ~= nil, debug.getinfo(co, 1, 'l') and debug.getinfo(co, 1, 'l').currentline)
local mt = {} local o = setmetatable({}, { __metatable = 'hidden' }) show(getmetatable(o), type(debug.getmetatable(o)), debug.setmetatable(o, mt) == o or true, debug.getmetatable(o) == mt) show(type(debug.getregistry()), type(debug.getfenv and debug.getfenv(show)))
show(debug.getmetatable('').__index == string, debug.setmetatable(5, { __index = { double = function(n) return n * 2 end } }) == 5, (5):double()) debug.setmetatable(5, nil) show(debug.getmetatable(5))
