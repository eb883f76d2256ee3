-- The library io, on files of its own.
local function show(...)
	local t = { n = select('#', ...), ... }
	for i = 1, t.n do t[i] = tostring(t[i]) end
	print((table.concat(t, ' ', 1, t.n):gsub('[%z\1-\31]', function(c) return ('\\%d'):format(c:byte()) end):gsub('/tmp/lua_%w+', 'NAME')))
end
local name = os.tmpname()
local f = assert(io.open(name, 'w'))
show(io.type(f), io.type(io.stdout), io.type(5), tostring(f):match('^file %('))
show(f:write('first line\n', 2, ' ', 3.5, '\n\nfourth\n12 0x1F -3.5e2 nan\nlast without end') == f or 'true')
show(f:seek('cur'), f:seek('set', 3), f:seek('end'), f:close())
show(io.type(f), tostring(f), pcall(f.write, f, 'x'))
show(pcall(function() return f:read() end))
for line in io.lines(name) do show(line) end
local f = io.open(name)
show(f:read('*l', '*l', '*l', '*l', '*l')) show(f:read('*l')) show(f:read('*l')) show(f:read('*a')) show(f:read('*a')) show(f:read(0)) f:close()
local f = io.open(name) show(f:read(5), f:read(0), f:read(100), f:read(1), f:read(0)) f:close()
local f = io.open(name) f:read('*l', '*l', '*l', '*l') show(f:read('*n', '*n', '*n')) show(f:read('*n')) f:close()
local f = io.open(name) show(f:read('*a'):len(), f:read('*a'), f:read('*l'), f:read(1)) f:close()
local f = io.open(name) for l in f:lines() do io.write('[', l, ']') end print() show(io.type(f)) f:close() show(pcall(f.lines, f))
local f = io.open(name, 'a') f:write('\nappended') f:close() local f = io.open(name, 'r+') f:seek('set', 0) f:write('FIRST') f:seek('set', 0) show(f:read('*l')) f:seek('end', -8) show(f:read('*a')) f:close()
local f = io.open(name, 'w+') f:write('abc\0def') f:seek('set') show(f:read('*a')) show(f:setvbuf('no'), f:setvbuf('full', 1024), f:setvbuf('line'), f:flush() ~= nil) f:close()
show(io.open('/nonexistent/file')) show(io.open('/nonexistent/file', 'w')) show(pcall(io.lines, '/nonexistent/file')) show(pcall(io.open, name, 'q') and 1)
show(select('#', io.open('/nonexistent')), select(3, io.open('/nonexistent')))
-- defaults
io.output(name) io.write('one\n', 'two\n', 'three') io.close() io.output(io.stdout)
io.input(name) show(io.read()) show(io.read('*l')) show(io.read('*a')) show(io.read()) io.close(io.input()) show(pcall(io.read)) io.input(io.stdin)
for a in io.lines(name) do if a == 'two' then break end end
show(io.write('') == io.stdout or 'true') show(io.type(io.output()), io.output() == io.stdout)
local t = io.tmpfile() t:write('temporary') t:seek('set') show(t:read('*a')) t:close()
-- pipes
local p = io.popen('echo out; echo more') show(p:read('*l'), p:read('*a')) show(p:close() ~= nil)
local p = io.popen('cat >' .. name, 'w') p:write('through a pipe') p:close() show(io.open(name):read('*a'))
for l in io.popen('printf "a\\nb\\n"'):lines() do show(l) end
-- files of the system
show(os.remove(name)) show(os.remove(name)) show(os.rename('/nonexistent/a', '/nonexistent/b')) show(os.execute('exit 3'), os.execute('true'), os.execute() ~= 0)
show(type(os.clock()), type(os.time()), os.getenv('NO_SUCH_VARIABLE'), type(os.getenv('PATH')), os.difftime(10, 4), os.setlocale('C'), os.setlocale(nil), os.setlocale('xx'))
local big = os.tmpname() local f = io.open(big, 'w') for i = 1, 5000 do f:write(i, '\n') end f:close() local n, sum = 0, 0 for l in io.lines(big) do n = n + 1 sum = sum + l end show(n, sum) local f = io.open(big) show(#f:read(4096), #f:read(4096 * 4), f:read('*n')) f:close() os.remove(big)
show(pcall(io.write, {})) show((pcall(io.open))) show((pcall(io.lines, {}))) show((pcall(f.seek, f, 'x')))
