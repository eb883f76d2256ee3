-- find, match, gmatch and gsub.
local function show(...)
	local t = { n = select('#', ...), ... }
	for i = 1, t.n do t[i] = tostring(t[i]) end
	print((table.concat(t, ' ', 1, t.n):gsub('%z', '\\0')))
end
local subjects = { '', 'a', 'hello world', 'key = value', '  trim me  ', 'a,b;c', '2026-11-29T01:02:03', 'f(a(b)c)d', 'THE (quick) fox', '%d %s', 'x^y$z', 'aaa', 'abcabc', '[x]', 'foo.bar.baz', 'a\0b\0c', '\n\t ', '"quoted" text', '-12.5e3', 'äö' }
local patterns = { '', '.', '.*', '.-', '.+', '^.', '.$', '^$', '%a+', '%A+', '%d+', '%s*(.-)%s*$', '^%s*(.-)%s*$', '(%w+)%s*=%s*(%w+)', '%b()', '%f[%w]%w+', '%f[%a]%u+%f[%A]', '[^,;]+', '[%w_]+', '[a-c]+', '[^a-c]', '[]]', '[^]]', '[%]]', '[a%-z]', '[-a]', '%.', '%%', '%^', '[%^x]', '()', '()a()', '(a)(b)(c)', '(a(b(c)))', '%1', '(.)%1', '(a*)(.)%1', 'a?', 'a-b', 'a*a', '%x%x', '%p', '%c', '%l+', '%u', '%z', '%W', '(%d+)-(%d+)-(%d+)', '"(.-)"', '[+-]?%d+%.?%d*', '%s+$', '^%s+' }
for _, p in ipairs(patterns) do
	for _, s in ipairs(subjects) do
		local line = { p, s }
		for _, call in ipairs {
			function() return s:find(p) end, function() return s:match(p) end, function() return s:match(p, 3) end, function() return s:find(p, -2) end,
			function() return s:gsub(p, '<%0>') end, function() return s:gsub(p, '%1-', 2) end,
			function() local n, last = 0 for a, b in s:gmatch(p) do n = n + 1 last = tostring(a) .. '/' .. tostring(b) end return n, last end,
		} do
			local r = { pcall(call) }
			for i = 1, 5 do line[#line + 1] = tostring(r[i]):gsub('^[^ ]*:%d+: ', '') .. '' end
		end
		show(unpack(line))
	end
end
for _, p in ipairs { '(', ')', '%', '[', '[a', '[%', '%b', '%bx', '%f', '(()', 'a)', '%2', '(a)%2', '[]', '[^]', '((((((((((((((((((((((((((((((((((a' } do show(p, pcall(string.find, 'aaa', p)) end
show(('hello'):gsub('l', { l = 'L' })) show(('hello'):gsub('.', { h = 1, e = false })) show(('hello'):gsub('(h)(e)', function(a, b) return b .. a end))
show(('hello'):gsub('', '-')) show(('abc'):gsub('%w', '%%%0')) show(pcall(string.gsub, 'abc', 'a', '%2')) show(pcall(string.gsub, 'abc', 'a', '%')) show(('abc'):gsub('a', '%%'))
show(('abc def'):gsub('%w+', string.upper, 1)) show(('x y'):gsub('(%w) (%w)', '%2 %1')) show(('abc'):gsub('b', function() end)) show(pcall(string.gsub, 'abc', 'b', function() return {} end))
show((pcall(string.gsub, 'abc', 'b'))) show(('abc'):gsub('.', '', 0)) show(('abc'):gsub('.', 'x', -1)) show(('a b'):gsub(' ', 5)) show(string.gsub(1234, '2', 'x'))
for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do show(k, v) end
for w in ('one two'):gmatch('%a+') do show(w) end
for p in ('abc'):gmatch('()') do show(p) end
for m in ('aXbX'):gmatch('^%a') do show('anchor', m) end
show(pcall(string.gmatch, 'x')) show(('a.b'):find('.', 2, true)) show(('abc'):find('b', 1, false)) show(('abc'):find('%a', 10)) show(('abc'):find('', 10)) show(('a\nb'):find('\n')) show(('x'):rep(300):find(('x?'):rep(10)))
