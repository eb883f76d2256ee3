-- The library string, but for patterns and format.
local function show(...)
	local t = { n = select('#', ...), ... }
	for i = 1, t.n do t[i] = tostring(t[i]) end
	print((table.concat(t, ' ', 1, t.n):gsub('[%z\1-\31\127-\255]', function(c) return ('\\%d'):format(c:byte()) end)))
end
show(('abc'):byte(), ('abc'):byte(-1), ('abc'):byte(10), ('abc'):byte(0), ('abc'):byte(1, -1))
show(('\0\1\255'):byte(1, 3))
show(select('#', ('abc'):byte(3, 1)), select('#', (''):byte()))
show(string.char(), string.char(104, 105), string.char(0, 255):len())
show(('hello'):sub(2), ('hello'):sub(2, 3), ('hello'):sub(-3), ('hello'):sub(-3, -2), ('hello'):sub(0), ('hello'):sub(10), ('hello'):sub(3, 2), ('hello'):sub(-100, 100), ('hello'):sub(1.9, 3.2))
show(('abc'):rep(3), ('abc'):rep(0), ('abc'):rep(-5), (''):rep(100), ('x'):rep('3'))
show(('Hello'):upper(), ('Hello'):lower(), ('\228\196'):upper() == '\228\196', ('Hello'):len(), ('a\0b'):len())
show(('abc'):reverse(), (''):reverse(), ('a\0b'):reverse())
show(('abc' < 'abd'), 'a' < 'B', '' < 'a', 'a' < 'a\0', 'Z' < 'a', '10' < '9', 'a\0b' < 'a\0c')
show('a' .. 1, 1 .. '', 1.5 .. '|', 1e300 * 1e10 .. '', 2^63 .. '', 1e15 .. '', 1e14 .. '', 123456789012345 .. '')
show('10' + 1, '0x10' + 0, ' 5 ' * 2, '1e1' - 0, -'2', '3' ^ '2', 10 % '3')
show(tostring(nil), tostring(true), tostring(12), tostring('x'), tostring(-0.5))
show(#'\n\t\\\'\"\065\10', '\a\b\f\v\r', '\
')
show([[long
string]], [==[with ]] inside]==], [[
first newline goes]], #[[

x]])
show(#("%q"):format('a\nb\0c"\\'), ("%q"):format('a"b'))
show(("a,b,,c"):find(',', 1, true), ("a.b"):find('.', 1, true), ("abc"):find('', 4), ("abc"):find('', 5), ('abc'):find('c', -1), ('a+b'):find('+', 1, true))
show(('x'):rep(3) == 'xxx', 'abc' == 'ab' .. 'c', rawequal('ab', 'a' .. 'b'))
local s = 'method'
show(s:upper(), #s, s.len == string.len, s.nothing == nil)
show(tostring(1/0), tostring(-1/0), 1e100, 1e-100, 0.1, 1/3, 100000000000000, 1e16, 2^31, 2^32, 2^53, 123.456, -1e-7)
show(tonumber('10', 2), tonumber('ff', 16), tonumber('FF', 16), tonumber('zz', 36), tonumber('8', 8), tonumber('7', 8), tonumber('-ff', 16), tonumber('1.5', 10), tonumber('', 10), tonumber(' 11 ', 2))
show(tonumber('0x'), tonumber('0xg'), tonumber('1 2'), tonumber('1e'), tonumber('.5'), tonumber('5.'), tonumber('.'), tonumber('-5'), tonumber('- 5'), tonumber('+5'), tonumber('0x1F'), tonumber('-0x10'), tonumber('1e+2'), tonumber('1E-2'), tonumber('\n5\t'), tonumber('5\0'), tonumber('1_000'))
show(tonumber(5), tonumber({}), tonumber(nil), tonumber(true), tonumber('nil'))
for _, v in ipairs { 0, 1, -1, 0.5, 1e10, 1e14, 1e15, 1e20, 2^24, 1/3, 3.14159265358979, 5e-324, 1.7976931348623157e308, 99999999999999, 999999999999999, 0.1 + 0.2 } do show(v, -v, v * 2, v / 3) end
