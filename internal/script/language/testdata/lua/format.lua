-- string.format
local function f(...) local ok, s = pcall(string.format, ...) print((...), (s:gsub('%z', '\\0'))) end
for _, v in ipairs { 0, 1, -1, 42, 3.7, -3.7, 255, 65535, 1e10, 0.1, 1/3, 1e100, 1e-10, 123456.789, 2^31, -2^31, 2^53 } do
	for _, c in ipairs { '%d', '%5d', '%-5d|', '%05d', '%+d', '% d', '%.3d', '%i', '%s', '%10s', '%g', '%.3g', '%10.4g', '%e', '%.0e', '%f', '%.2f', '%10.2f', '%-10.2f|', '%+.1f', '%010.3f', '%#.0f', '%E', '%G', '%a' ~= '' and '%.10g' } do f(c, v) end
end
for _, v in ipairs { 0, 1, 42, 255, 65535, 2^31, 2^32 - 1 } do for _, c in ipairs { '%x', '%X', '%#x', '%o', '%#o', '%u', '%08x', '%-8x|', '%.4x' } do f(c, v) end end
for _, v in ipairs { '', 'x', 'hello', 'a\0b' } do for _, c in ipairs { '%s', '%10s', '%-10s|', '%.2s', '%10.3s', '%q', '%.0s' } do f(c, v) end end
f('%c%c%c', 65, 66, 67) f('%%') f('%s %s', 1, 2) f('%s') f('%d') f('%d', '5') f('%d', 'x') f('%s', nil) f('%s', true) f('%s', {} and 'tbl')
f('%5.1f|%-8s|%03d|%+d', 3.14159, 'ab', 7, 7) f('no directives') f('%', 1) f('%z', 1) f('%10', 1) f('%q', 5)
f('%g %g %g', 1/0, -1/0, 1e300) f('%f', 1/0) f('%5g|', 1/0) f('%x', 3.9) f('%s', 1e15) f('%s', 0.1) f('%d', 1e15) f('%.14g', 2^53) f('%.20f', 0.1) f('%.99f', 1/3) f('%99.99f', 1) f('%100d', 1) f('%.100d', 1)
f('%-+ #0d', 5) f('%q', 'tab\there\r\nnul\0digit\0001') f('%-5c|', 65) f('%5c|', 65) f('%5s|%5s', true, nil)
f(('%s '):rep(20), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)
