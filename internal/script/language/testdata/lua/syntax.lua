-- machines: luajit
-- What LuaJIT reads beyond Lua 5.1.
print('\x41\x7a\z
       joined', 0x1p4, 0x.8, 0xA.8p1, 0x1P-2, #'\0\00\000')
for i = 1, 3 do for j = 1, 3 do if j > i then goto next end io.write(i, j, ' ') ::next:: end end print()
do goto done; do local x end ::done:: print 'skipped' end
while true do do break end print 'never' end print(({ 'a', 'b' })[1], ('x'):rep(2, ','), string.format('%q', '\0'), #string.format('%5s', 'x'))
local t = setmetatable({}, { __pairs = nil }) for k in pairs(t) do end print(load('return ...', 'n', 't')(3), load('return x', 'n', 't', { x = 'env' })(), load('\27Lua') == nil, math.log(8, 2), select('#', table.unpack and table.unpack({ 1, 2 }) or 1, 2))
print(xpcall(function(...) return ... end, print, 1, 2, 3)) print(tostring(1e15), tostring(-1e15), 2^53) print(package.searchpath and package.searchpath('nope', './?.lua') == nil)
print(rawlen and rawlen({ 1, 2 }) or 2, table.pack and table.pack(1, nil, 3).n or 3) print(debug.upvalueid and 'id' or 'id', math.type == nil, utf8 == nil)
