-- os.date and os.time, in UTC.
for _, at in ipairs { 0, 1, 86399, 951782400, 951868799, 1000000000, 1078012800, 1096588800, 1230768000, 1264118400, 1293839999, 1356998399, 1425168000, 1483228799, 1546300800, 1577836800, 1582934400, 1609459199, 1672531200, 1798761599, 2147483647, 4102444800, -1, -86400 } do
	for c in ('aAbBcdDeFgGhHIjmMnprRSstTuUVwWxXyYzCZ%'):gmatch('.') do io.write(c, '=', os.date('!%' .. c, at):gsub('GMT', 'UTC') .. '', ' ') end
	local t = os.date('!*t', at) print(t.year, t.month, t.day, t.hour, t.min, t.sec, t.wday, t.yday, t.isdst)
end
print(os.date('!%Y-%m-%dT%H:%M:%SZ', 1e9), os.date('!%%', 0), os.date('!', 0), os.date('!x', 0), #os.date(), os.date('%Y') == os.date('*t').year .. '', type(os.time()))
for _, t in ipairs { { year = 2026, month = 11, day = 29, hour = 12 }, { year = 2026, month = 11, day = 29 }, { year = 2026, month = 14, day = -3, hour = 25, min = 61, sec = 61 }, { year = 1970, month = 1, day = 1, hour = 0 }, { year = 2000, month = 2, day = 30 }, { year = '2001', month = '9', day = '9', hour = '1', min = '46', sec = '40' }, { year = 2038, month = 1, day = 19, hour = 3, min = 14, sec = 8 } } do print(os.time(t)) end
print(pcall(os.time, {})) print(pcall(os.time, { year = 2000 })) print(pcall(os.time, { year = 2000, month = 1 })) print((pcall(os.time, 5))) print(pcall(os.date, {}))
local t = { year = 2026, month = 1, day = 1, hour = 0, min = 0, sec = 0 } for m = 1, 24 do t.month = m io.write(os.time(t), ' ') end print() local d = os.date('*t', os.time { year = 2024, month = 2, day = 29, hour = 5, min = 6, sec = 7 }) print(d.year, d.month, d.day, d.hour, d.min, d.sec, d.wday, d.yday, d.isdst)
