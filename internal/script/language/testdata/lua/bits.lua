-- machines: luajit
-- The library bit.
local bit = require('bit')
local values = { 0, 1, -1, 2, 255, 256, 65535, 65536, 2^31 - 1, 2^31, 2^32 - 1, 2^32, -2^31, 0.5, 1.5, 2.5, -0.5, -1.5, 12345678, 0xdeadbeef, 1e9 }
for _, a in ipairs(values) do
	print(a, bit.tobit(a), bit.bnot(a), bit.bswap(a), bit.tohex(a), bit.tohex(a, 4), bit.tohex(a, -8), bit.tohex(a, 0))
	for _, b in ipairs(values) do print(bit.band(a, b), bit.bor(a, b), bit.bxor(a, b), bit.lshift(a, b % 40), bit.rshift(a, b % 40), bit.arshift(a, b % 40), bit.rol(a, b % 40), bit.ror(a, b % 40)) end
end
print(bit.band(1), bit.bor(1, 2, 4, 8), bit.bxor(1, 1, 1), bit.band('255', 15), (pcall(bit.band)), (pcall(bit.band, 'x')), (pcall(bit.lshift, 1)))
