-- Numbers and the library math.
local function show(...)
	local t = { n = select('#', ...), ... }
	for i = 1, t.n do t[i] = tostring(t[i]) end
	print(table.concat(t, ' ', 1, t.n))
end
show(0x10, 0xff, 0XA, 1e3, 1E-3, .5, 5., 3.0, 1e+2, 0xfffffffff)
show(math.floor(1.5), math.floor(-1.5), math.ceil(1.2), math.ceil(-1.2), math.abs(-3), math.sqrt(16), math.pi, math.huge, -math.huge)
show(math.max(1, 3, 2), math.min(1, 3, 2), math.max(5), math.fmod(7, 3), math.fmod(-7, 3), math.mod and math.mod(7, 3), math.pow(2, 10), math.exp(0), math.log(1), math.log10(100), math.sin(0), math.cos(0), math.tan(0), math.asin(0), math.acos(1), math.atan(0), math.atan2(1, 1), math.sinh(0), math.cosh(0), math.tanh(0), math.deg(math.pi), math.rad(180))
show(math.modf(3.7)) show(math.modf(-3.7)) show(math.modf(5)) show(math.modf(1/0)) show(math.frexp(8)) show(math.frexp(0.1)) show(math.frexp(0)) show(math.ldexp(0.5, 4))
show(math.exp(1), math.log(10), math.sin(1), math.sqrt(2), math.atan2(-1, -1), math.pow(2, 0.5), 10 ^ 20)
show(7 % 3, -7 % 3, 7 % -3, -7 % -3, 7.5 % 2, -7.5 % 2, 5 % math.huge, 0 % 5, 1e15 % 7, 5.3 % 0.1 < 0.1)
show(1/0, -1/0, 1/0 > 1e308, 0/0 ~= 0/0, 1/0 == math.huge, -0 == 0, 1/(-0) == 1/0)
show(2^53 == 2^53 + 1, 2^53, 2^63, 2^64, 1e15, 1e16, 123456789012345678, 0.1 + 0.2 == 0.3, 1e308 * 10)
show(1e15 + 0.5, 100 / 3, 1 / 3 * 3, 1e-7, 123e-7, 5 / 2, 6 / 2, 2 ^ 31, 2 ^ 32 - 1, -2 ^ 31)
math.randomseed(42) local r1, r2 = math.random(), math.random(10) math.randomseed(42) show(math.random() == r1, math.random(10) == r2, r1 >= 0 and r1 < 1, r2 >= 1 and r2 <= 10)
for i = 1, 200 do local a, b = math.random(3), math.random(-2, 2) assert(a >= 1 and a <= 3 and a % 1 == 0 and b >= -2 and b <= 2 and b % 1 == 0) end
for _, v in ipairs { 1.5, 2.5, -1.5, -0.5, 1e15 + 0.5, 0.1, 1e300 } do show(math.floor(v), math.ceil(v), v - v % 1, math.abs(v)) end
show(pcall(math.random, 0), pcall(math.random, 1, 2, 3))
for i = 1, 3 do io.write(i, ' ', i / 2, ' ', i * 1e14, ' ', -i, '\n') end
for i = 1e15, 1e15 + 2 do io.write(i, ' ') end print() for i = 1, 2, 0.25 do io.write(i, ' ') end print()
show(('5' + 0), '5' * '2', '0x1p4' and 1, 10 == '10', '10' .. '', 1 < 2, '1' < '2', tostring(3) == '3', 3 .. '' == '3', -'-3', '  7  ' + 0)
show(pcall(function() return 'abc' + 1 end), pcall(function() return {} + 1 end)) show(1 .. '', 1.0 .. '', 1e2 .. '', 0x10 .. '', .1 .. '')
