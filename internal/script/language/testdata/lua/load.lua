-- Loading text: load, loadstring, loadfile, dofile, require, module and environments.
local function show(...)
	local t = { n = select('#', ...), ... }
	for i = 1, t.n do t[i] = tostring(t[i]):gsub('/tmp/lua_%w+', 'NAME') .. '' end
	print(table.concat(t, ' ', 1, t.n))
end
show(loadstring('return 1, 2')()) show(loadstring('local a, b = ... return b, a')(1, 2)) show(loadstring('')()) show(loadstring('x ='), nil)
show(loadstring('error("here")', '=name') and pcall(loadstring('error("here")', '=name'))) show(pcall(loadstring('error("here")', '@file.lua'))) show(pcall(loadstring('error("here")', 'return text'))) show(pcall(loadstring('error("here")')))
show(pcall(loadstring('\n\nerror("line 3")', '=n')))
local parts = { 'return ', '1 ', '+ 2' } local i = 0 show(load(function() i = i + 1 return parts[i] end)()) show(load(function() return nil end) ~= nil) show((load(function() error('reader', 0) end)))
show(load(function() i = i + 1 return i < 10 and 'x' or nil end, '=r') ~= nil)
local name = os.tmpname() local f = io.open(name, 'w') f:write('#!/usr/bin/lua\nlocal a = ... return a or "none", ...') f:close()
show(loadfile(name)()) show(loadfile(name)(5)) show(dofile(name)) show((loadfile('/nonexistent'))) show((pcall(dofile, '/nonexistent')))
f = io.open(name, 'w') f:write('x = = 1') f:close() show(loadfile(name) == nil) show((pcall(dofile, name)))
f = io.open(name, 'w') f:write('error({ code = 5 })') f:close() local ok, e = pcall(dofile, name) show(ok, e.code)
f = io.open(name, 'w') f:write('return { name = ..., value = 42 }') f:close()
package.path = name:match('^(.*)/') .. '/?' local mod = name:match('[^/]*$')
local m = require(mod) show(m.value, m == require(mod), package.loaded[mod] == m, m.name == mod) package.loaded[mod] = nil show(require(mod) == m)
package.preload['pre.loaded'] = function(...) return { given = (...) } end show(require('pre.loaded').given, require('pre.loaded') == package.loaded['pre.loaded'])
package.preload.nothing = function() end show(require('nothing'), package.loaded.nothing) package.preload.sets = function(n) package.loaded[n] = 'set' end show(require('sets')) package.preload.fails = function() error('inside', 0) end show((pcall(require, 'fails')))
local ok, why = pcall(require, 'no.such.module') show(ok, why:find("module 'no.such.module' not found", 1, true) ~= nil)
show(require('string') == string, require('table') == table, require('_G') == _G, require('math') == math, require('os') == os, require('io') == io, require('debug') == debug, require('coroutine') == coroutine, require('package') == package)
show(type(package.path), type(package.cpath), type(package.loaders), type(package.preload), type(package.loaded), type(package.config))
show(os.remove(name))
-- environments of chunks
local env = { print = print } local c = loadstring('v = 5 return v') setfenv(c, env) show(c(), env.v, v) show(getfenv(c) == env, getfenv(show) == _G)
local function sandboxed(code, env) local f = loadstring(code) setfenv(f, env) return pcall(f) end show(sandboxed('return x', { x = 'in' })) show((sandboxed('return os.time()', {})))
module_like = setmetatable({}, { __index = _G }) setfenv(1, module_like) function exported() return 'e' end setfenv(1, _G) show(module_like.exported(), exported) module_like = nil
-- module()
package.preload['old.style'] = function(...) module(..., package.seeall) function hello() return 'hello from ' .. _NAME .. ' in ' .. _PACKAGE end value = tostring(_M ~= nil) end
local old = require('old.style') show(old.hello(), old.value, old == require('old.style')) show(type(_G.old) == 'table' and _G.old.style == old) _G.old = nil
-- syntax of all kinds
show(loadstring [==[ return [[a]b]] ]==]()) show(loadstring('return --[[c]] 1 --[==[ d ]] ]==] + 2 -- end')()) show(loadstring('do local a <const> = 1 end') == nil) show(loadstring('return 1;')(), loadstring('return;') ~= nil)
show(loadstring('local t = {1, 2; 3, x = 4, [5] = 6, } return #t, t.x, t[5]')()) show(loadstring("return 'a\\\nb' == 'a\\nb', \"it's\", 'say \"x\"'")()) show(loadstring('return ({...})[2], (...)')('a', 'b'))
show(loadstring('if nil then elseif false then else return "else" end')()) show(loadstring('while true do if true then break end end return "out"')()) show(loadstring('local function f(...) return ... end return f(f(1, 2), f(3, 4))')()) show(loadstring('return f"x"', '=s') ~= nil, loadstring('return f{1}.x["y"]:z "w"') ~= nil, loadstring('a.b["c"].d = 1') ~= nil, loadstring('a.b:c().d = 1') ~= nil)
show(loadstring('return 5 == 5.0, 0xA == 10, 1e1 == 10, .5 == 0.5, 3 == 3.')()) show(loadstring('return not 1 == 2, not (1 == 2), -2 ^ 2, 2 ^ -1, 1 .. 2 == "12", #"ab" .. "c"')())
