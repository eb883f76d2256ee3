-- Packages of Debian that are written in Lua, as they are.
local function show(...)
	local t = { n = select('#', ...), ... }
	for i = 1, t.n do t[i] = tostring(t[i]) end
	print(table.concat(t, ' ', 1, t.n))
end
-- penlight
local stringx, tablex, List, pretty, class, OrderedMap, Date = require('pl.stringx'), require('pl.tablex'), require('pl.List'), require('pl.pretty'), require('pl.class'), require('pl.OrderedMap'), require('pl.Set')
show(stringx.strip('  x '), stringx.split('a b c'), stringx.startswith('hello', 'he'), stringx.replace('aXb', 'X', '-'), stringx.center('x', 5, '*'), stringx.count('banana', 'a'))
show(List { 1, 2, 3 }:map(function(x) return x * x end), List.range(1, 5):filter(function(x) return x > 2 end), tablex.deepcompare({ 1, { 2 } }, { 1, { 2 } }), #tablex.keys { a = 1, b = 2 })
print(pretty.write({ 1, 2, { x = 1 }, 'text' })) show(pretty.read('{1,2,x="y"}').x)
class.Animal() function Animal:_init(n) self.name = n end function Animal:__tostring() return 'animal ' .. self.name end class.Dog(Animal) function Dog:_init(n) self:super(n) end function Dog:speak() return self.name .. ' barks' end
local d = Dog('Rex') show(d, d:speak(), Animal:class_of(d), d:is_a(Dog))
local m = OrderedMap() m:set('z', 1) m:set('a', 2) for k, v in m:iter() do show(k, v) end
local seq, func, comp, template, data, lexer, path, config = require('pl.seq'), require('pl.func'), require('pl.comprehension').new(), require('pl.template'), require('pl.data'), require('pl.lexer'), require('pl.stringio'), require('pl.config')
show(seq.sum { 1, 2, 3 }, seq.copy(seq.map(function(x) return x + 1 end, { 1, 2 }))[2], unpack(comp 'x^2 for x=1,4' ()))
print(template.substitute('# for i = 1, 3 do\nline $(i)\n# end\n', {})) for t, v in lexer.lua('local x = "s" + 5') do show(t, v) end
show(config.read(path.open('# comment\nalpha = 1\n[section]\nbeta = text\n')).section.beta)
-- inspect, argparse
local inspect = require('inspect') print(inspect({ 1, 2, { a = { b = 'c' } }, x = 'y', [true] = false, f = 'with "quotes"\n' }))
local parser = require('argparse')('script', 'An example.') parser:argument('input') parser:option('-o --output', 'Output.', 'a.out') parser:flag('-v --verbose'):count('*')
local args = parser:parse { 'foo', '-o', 'bar', '-vv' } show(args.input, args.output, args.verbose) print(parser:get_help()) show(pcall(parser.pparse, parser, {}))
-- others
local json = require('dkjson') show(json.encode({ 1, 2, 'x', { a = true } }), json.decode('{"a":[1,2,{"b":null}]}').a[2], select(2, json.decode('{"a":1}', 1)))
local basexx = require('basexx') show(basexx.to_base64('hello world'), basexx.from_base64('aGVsbG8='), basexx.to_hex('abc'), basexx.to_base32('hi'), basexx.from_base32(basexx.to_base32('foo')))
local heap = require('binaryheap').minUnique() for _, v in ipairs { 5, 3, 8, 1 } do heap:insert(v, 'p' .. v) end show(heap:pop()) show(heap:pop())
show(require('ltn12').filter ~= nil, require('markdown')('# Title\n\nSome *text* and `code`.'):gsub('\n', ' '))
local say = require('say') say:set('greet', 'Hello %s') show(say('greet', { 'world' }))
