-- Sources, sinks, filters and pumps.
local ltn12 = require('ltn12')
local source, sink, filter, pump = ltn12.source, ltn12.sink, ltn12.filter, ltn12.pump
local function run(src, ...) local snk, t = sink.table() print(pump.all(src, snk, ...)) print(#t, #(t[1] or ''), #table.concat(t), table.concat(t, '|'):sub(-30)) end
local long = ('0123456789'):rep(500)
run(source.string('hello')) run(source.string(long)) run(source.string('')) run(source.string(nil)) run(source.empty()) run(source.error('broken'))
run(source.table { 'a', 'b', 'c' }) run(source.cat(source.string('x'), source.empty(), source.string('y'), source.table { '1', '2' }))
run(source.cat(source.string('x'), source.error('second')))
local upper = function(chunk) return chunk and chunk:upper() end
local double = filter.cycle(function(n, chunk) if not chunk then return nil, n end if chunk == '' then return '', n end return chunk .. #chunk + n, n + #chunk end, 0)
run(source.chain(source.table { 'ab', 'c', 'def' }, upper)) run(source.chain(source.table { 'ab', 'cde' }, upper, double))
-- a filter that holds back, and flushes at the end
local function lines() local rest, done = '', false return function(chunk)
	if chunk == nil then if done or rest == '' then return nil end done = true return '<' .. rest .. '>' end
	local out = '' rest = rest .. chunk rest = rest:gsub('([^\n]*)\n', function(l) out = out .. '[' .. l .. ']' return '' end) return out
end end
local function all(src) local out = {} while true do local chunk, err = src() if not chunk then return table.concat(out), err end out[#out + 1] = chunk end end
print(all(source.chain(source.table { 'one\ntw', 'o\n', '', 'three' }, lines()))) print(all(source.chain(source.table { 'a\nb' }, lines(), upper))) print(all(source.chain(source.string(''), lines())))
local snk, t = sink.table() local s = sink.chain(lines(), upper, snk) print(s('x\ny'), s('z\n'), s(''), s(nil)) print(table.concat(t))
-- a filter with much to give
local function spread() local queue = {} return function(chunk) if chunk then for c in chunk:gmatch('.') do queue[#queue + 1] = c .. '.' end return table.remove(queue, 1) or '' end return table.remove(queue, 1) end end
print(all(source.chain(source.table { 'abc', 'de' }, spread()))) local snk, t = sink.table() local s = sink.chain(spread(), snk) print(s('abc'), s(nil), table.concat(t))
print(all(source.chain(source.table { 'abc' }, spread(), upper, spread())))
-- files
local name = os.tmpname() print(pump.all(source.string('to a file\n'), sink.file(io.open(name, 'w')))) print(all(source.file(io.open(name)))) os.remove(name)
print(source.file(nil, 'why')()) print(source.file(io.open('/nonexistent'))()) print(sink.file(nil, 'why')('x')) print(sink.file(io.open('/nonexistent/x', 'w'))('x'))
-- others
print(sink.null()('x'), sink.null()(nil), sink.error('bad')('x')) print(pump.all(source.string('x'), sink.error('bad'))) print(pump.step(source.string('x'), sink.null()), pump.step(source.empty(), sink.null()), pump.step(source.error('e'), sink.null()))
local r = source.rewind(source.table { 'a', 'b' }) print(r()) r('again') print(r(), r(), r())
local n = 0 local function second() return 'second', nil end print(all(source.simplify(function() n = n + 1 if n == 1 then return 'first', function() n = n + 1 if n < 4 then return 'other' .. n end end end end)))
local states = {} local function s2(chunk) states[#states + 1] = '2' .. tostring(chunk) return 1 end local function s1(chunk) states[#states + 1] = '1' .. tostring(chunk) return 1, s2 end local s = sink.simplify(s1) s('a') s('b') s(nil) print(table.concat(states, ' '))
print((pcall(source.chain(source.string('x'), function() return nil end))))
run(source.string('counted'), (function() local n = 0 return function(src, snk) n = n + 1 io.write('step ', n, '\n') return pump.step(src, snk) end end)())
print(ltn12.BLOCKSIZE, (pcall(pump.all)), (pcall(source.table)), (pcall(filter.cycle)))
print(pump.all(source.string('abc'), function(chunk, err) if chunk == 'abc' then return nil, 'refused' end return 1 end))
