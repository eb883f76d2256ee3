package language_test

import (
	"os/exec"
	"strings"
	"testing"

	"kresd/internal/script/scripttest"
)

// agreed are expressions that give the same text here and in LuaJIT.
const agreed = `
tostring(1e15), 1e14, 123456789012, 2^53, 0.1, -0.5, 1e100, 1/3, 100, 1e-5
tostring(1/0), tostring(-1/0)
-5 % 3, 5 % -3, 5.5 % 2, (-6) % 3
math.huge, -math.huge, math.log10(1000), math.fmod(-5, 3), math.max(1, 5, 3), math.floor(-1.5)
unpack({1, 2, nil, 4}, 1, 4)
unpack({1, 2, 3}, 2), unpack({}, 1, 0)
table.getn({1, 2, 3}), table.maxn({1, 2, [10] = 3}), #table.concat({1, 2.5, 'x'}, ', ')
table.concat({}, 'x'), table.concat({1}, 'x'), table.concat({1, 2, 3}, '-', 2, 3), table.concat({1, 2, 3}, '', 3, 2)
select('#'), select('#', nil, nil), select(2, 'a', 'b', 'c'), select(-1, 'a', 'b'), select(3, 'a', 'b')
pcall(select, 0)
string.rep('ab', 3), string.rep('x', 0), string.rep('x', -1), ('x'):rep(2.5)
string.reverse('abc\0d'), string.upper('aé1'), string.lower('AÉ1'), #string.reverse('é')
string.byte('abc', 2), string.byte('abc', -1), string.char(0, 255, 65), ('abc'):sub(2, -2), ('abc'):len()
string.format('%5.2s|%-5s|%05d|%x|%g|%e|%i|%u|%c|%%', 'abc', 'x', 42, 255, 0.1, 1.5, 3, 4, 65)
string.format('%d %d %5d %-5d| %+d %X %#x %o', 3.7, -3.7, 7, 7, 7, 255, 255, 8)
string.format('%g %g %g %g %g', 1e20, 1e-10, 123456789, 100000, 1000000)
string.format('%.3f %10.2f %-10.2f| %.0f %5.1f', 1/3, 1.005, 2.5, 3.5, -0.04)
string.format('%s %s %s', nil, true, 12), string.format('%10s|%-10s|%.2s', 'x', 'y', 'xyz')
string.format('%f %f %e', 1/0, -1/0, 1/0)
string.format('%q', 'a"b\\c\nd\r\0' .. '1')
pcall(string.format, '%d', 'x')
string.find('abc', 'b'), string.find('abc', 'b', -1), string.find('abc', '', 10), string.find('a.c', '.', 2, true)
string.find('key = value', '^(%w+)%s*=%s*(%w+)$'), string.match('2026-11-23', '(%d+)-(%d+)-(%d+)')
string.match('hello', '()ll()'), string.match('hello', 'x'), string.match('abc', '%a', 2)
string.gsub('hello world', 'o', '0', 1), string.gsub('abc', '%w', '%0%0'), string.gsub('abc', '', '-')
string.gsub('$name is $age', '%$(%w+)', {name = 'x', age = 5}), string.gsub('abc', '.', function(c) if c == 'b' then return false end return c:upper() end)
(pcall(string.gsub, 'x', 'x', true))
pcall(string.gsub, 'x', 'x', function() return {} end)
pcall(string.find, 'x', '[')
pcall(string.find, 'x', '%')
(function() local t = {} for k, v in string.gmatch('a=1, b=2', '(%w+)=(%w+)') do t[#t + 1] = k .. v end return table.concat(t, ' ') end)()
(function() local t = {} for w in ('one two'):gmatch('%a+') do t[#t + 1] = w end return unpack(t) end)()
bit.band(0xff, 0x0f), bit.bor(1, 2, 4), bit.bxor(5, 1), bit.bnot(0), bit.lshift(1, 31), bit.rshift(-1, 28), bit.arshift(-8, 1)
bit.tobit(0xffffffff), bit.tobit(2^32 + 5), bit.rol(0x12345678, 12), bit.ror(0x12345678, 12), bit.bswap(0x12345678), bit.tohex(255), bit.tohex(-1, -4), bit.tohex(1, 2)
os.date('!%Y-%m-%d %H:%M:%S %j %a %A %b %B %p %y %U %W %w %%', 86400 * 200.5), os.date('!%c', 0), os.date('!%x %X %D %I', 3600)
os.date('!*t', 1e9).yday, os.date('!*t', 1e9).wday, os.date('!*t', 1e9).isdst, os.time({year = 2026, month = 11, day = 23, hour = 0}) - os.time({year = 2026, month = 11, day = 22, hour = 0})
os.difftime(5, 3)
pcall(error), pcall(error, nil), pcall(error, 'x', 0), select('#', pcall(error))
pcall(error, 42)
pcall(assert, false, 'm'), pcall(assert, 1, 2)
pcall(assert, nil)
xpcall(function() return 1, 2 end, print)
xpcall(function() error('e', 0) end, function(m) return m .. '!' end)
loadstring('return 1 + 1')(), loadstring('return ...')(5), load(function() return nil end) ~= nil
(function() local n = 0 return load(function() n = n + 1 return ({'return ', '4', '2'})[n] end)() end)()
(function() local f = loadstring('return x') setfenv(f, {x = 'mine'}) return f(), getfenv(f).x, x end)()
(function() local function f() return y end local function g() return y end setfenv(f, {y = 1}) return f(), g() end)()
getfenv(1) == _G, getfenv(print) == _G
tonumber('0x10'), tonumber('  12  '), tonumber('z', 36), tonumber('1e3'), tonumber('x'), tonumber('10', 2), tonumber('')
'10' + 5, '0x10' * 2, 10 .. 20, #'abc', not nil
(function() local t = {5, 2, 8, 1} table.sort(t, function(a, b) return a > b end) return table.concat(t, ' ') end)()
(function() local t = {1, 2, 3} table.insert(t, 2, 'x') return table.remove(t), table.remove(t, 1), #t, t[1] end)()
(function() for i = 10, 1, -3 do if i < 5 then goto done end end ::done:: return 'ok' end)()
(function(...) return select('#', ...), ... end)(nil, 1, nil)
"\x41\065\z
  b"
type(nil), type(print), type({}), type('x'), type(2), type(io.stdout)
table.foreach({a = 1}, function(k, v) return k .. v end), table.foreachi({5, 6}, function(i, v) if i == 2 then return v end end)
next({}), next({7}), rawequal('a', 'a'), rawget({x = 1}, 'x'), rawset({}, 1, 2)[1]
`

func TestLibrariesAgreeWithLuaJIT(t *testing.T) { agree(t, "luajit", agreed) }

// agree compares what the expressions give here, a line each, with what they give in
// another machine.
func agree(t *testing.T, machine, expressions string) {
	t.Helper()
	path, err := exec.LookPath(machine)
	if err != nil {
		t.Fatalf("%s is missing, with which libraries are compared: apt-get install %s", machine, machine)
	}
	vm, _ := scripttest.New(t)
	for e := range strings.SplitSeq(strings.ReplaceAll(strings.TrimSpace(expressions), "\\z\n", "\\z "), "\n") {
		// Positions differ, since the chunks have other names.
		body := `local r, n = (function(...) return {...}, select('#', ...) end)(` + e + `)
			for i = 1, n do r[i] = tostring(r[i]):gsub('^%b[]:%d+: ', ''):gsub('^%(command line%):%d+: ', ''):gsub("to '[^']*'", 'to F'):gsub('; usage.*', '') end
			return table.concat(r, '|')`
		want, err := exec.Command(path, "-e", "io.write((function() "+body+" end)())").CombinedOutput()
		if err != nil {
			t.Errorf("%s: %s: %v %s", machine, e, err, want)
			continue
		}
		if got := scripttest.Eval(vm, body); got != string(want) {
			t.Errorf("%s: %s\n got %q\nwant %q", machine, e, got, want)
		}
	}
}
