package lualib

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/script"
)

// The streams of cqueues, one side against the other.
func TestStreamsOfCqueues(t *testing.T) {
	var out bytes.Buffer
	vm, _ := machine(t, script.Options{Stdout: &out, Stderr: &out})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := vm.RunText(ctx, "test", `
local cqueues, socket, errno = require('cqueues'), require('cqueues.socket'), require('cqueues.errno')
local cq, served = cqueues.new(), 0
local srv = socket.listen('127.0.0.1', 0)
assert(srv:listen() == srv)
local family, ip, port = srv:localname()
assert(family == socket.AF_INET and ip == '127.0.0.1' and port > 0)

cq:wrap(function()
	for con in srv:clients(1) do
		cq:wrap(function()
			for ln in con:lines('*L') do con:write(ln) end
			con:shutdown('w')
			served = served + 1
		end)
	end
end)

cq:wrap(function()
	local con = socket.connect('127.0.0.1', port)
	assert(con:connect(5) == con)
	con:write('one\n', 2, '\n')
	assert(con:read() == 'one' and con:read('*l') == '2')
	con:write('kept') assert(select(2, con:pending()) == 4)
	con:write(' back\n') assert(select(2, con:pending()) == 0)
	assert(con:read(4, 1, '*L') == 'kept')
	con:unget('pushed\n') assert(con:read() == 'pushed')
	con:setmode('b', 'b')
	con:write('raw\r\n') con:read('*L')
	con:settimeout(0.01)
	local got, why repeat got, why = con:read() until got == nil
	assert(why == errno.ETIMEDOUT and con:error('r') == errno.ETIMEDOUT and con:clearerr('r') == errno.ETIMEDOUT and con:error('r') == nil)
	con:settimeout(nil)
	con:setmode('t', 't')
	con:setvbuf('full') con:write('a: b\nc: d\n e\n\nbody') con:flush() con:shutdown('w')
	assert(con:read('*h') == 'a: b') assert(con:read('*h') == 'c: d e') assert(con:read('*h') == nil)
	assert(con:read('*l') == '' and con:read('*a') == 'body' and con:read() == nil and con:eof('r') == true)
	con:close()

	local nobody = socket.connect { host = '127.0.0.1', port = 1 }
	local ok, why = pcall(nobody.read, nobody)
	assert(not ok and why:match('connection refused'), why)
	nobody:onerror(function(self, operation, number) return number end)
	assert(select(2, nobody:connect()) == errno.ECONNREFUSED)
	assert(select(2, nobody:starttls()) == errno.ECONNREFUSED and socket.type(nobody) == 'socket' and socket.type(1) == nil)
	ok, why = pcall(socket.interpose, 1)
	assert(not ok and why:match('interpose is not in this version of cqueues.socket; '))
end)

cq:wrap(function() -- others have their turn meanwhile
	local n = 0
	while served == 0 do cqueues.sleep(0.001) n = n + 1 end
	print(n > 1)
end)
assert(cq:loop())
srv:close()
`); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "true\n" {
		t.Errorf("printed %q", got)
	}
}

// A runner is a machine that runs files.
type runner interface {
	RunText(ctx context.Context, name, text string) error
}

// runScript is a file, which must not fail.
func runScript(t *testing.T, vm runner, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := vm.RunText(ctx, "test", text); err != nil {
		t.Fatal(err)
	}
}

// Streams of the family AF_UNIX: a server at a path with its permissions, where a socket of a
// process that has ended gives way, and any other file does not; and a pair.
func TestStreamsOfPaths(t *testing.T) {
	var out bytes.Buffer
	vm, _ := machine(t, script.Options{Stdout: &out, Stderr: &out})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "left"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	runScript(t, vm, "dir = '"+dir+"'"+`
local cqueues, socket, errno = require('cqueues'), require('cqueues.socket'), require('cqueues.errno')
local cq = cqueues.new()
for name, mode in pairs { first = 'rw-rw----', left = '660', third = tonumber('660', 8) } do
	local path = dir .. '/' .. name
	local srv = assert(socket.listen { path = path, mode = mode }:listen())
	assert(require('lfs').attributes(path, 'permissions') == 'rw-rw----')
	cq:wrap(function()
		local con = srv:accept()
		assert(select(2, con:localname()) == path)
		con:write('hello ', con:read(), '\n')
		con:close()
		srv:close()
		assert(io.open(path) == nil) -- it is gone with its server
	end)
	cq:wrap(function()
		local con = socket.connect { path = path }
		con:write(name, '\n')
		local family, peer = con:peername()
		assert(family == socket.AF_UNIX and peer == path)
		assert(con:read() == 'hello ' .. name)
		con:close()
	end)
end
cq:wrap(function()
	local a, b = socket.pair()
	a:write('over there\n') assert(b:read() == 'over there')
	a:close() assert(b:read() == nil and b:eof('r'))
	local nobody = socket.connect { path = dir .. '/nobody' }
	nobody:onerror(function(_, _, number) return number end)
	assert(select(2, nobody:connect()) == errno.ENOENT)
	local taken = socket.listen { path = dir .. '/file' }
	taken:onerror(function(_, _, number) return number end)
	assert(select(2, taken:listen()) == errno.EADDRINUSE)
	assert(not pcall(socket.listen, { path = dir .. '/x', mode = 'rwz' }))
end)
assert(cq:loop())
assert(io.open(dir .. '/file'):read('*a') == 'kept')

local unix = require('socket.unix')
local srv = unix()
assert(srv:bind(dir .. '/plain') and srv:listen())
local con = unix.stream()
assert(con:connect(dir .. '/plain') and con:send('one\ntwo'))
local peer = srv:accept()
assert(peer:receive() == 'one' and con:shutdown('send') and peer:receive('*a') == 'two')
peer:close() con:close() srv:close()
`)
}

// A path for datagrams kept the usual permissions, whatever was asked, and the socket of a
// process that had ended kept others from it.
func TestAPathOfDatagramsIsTakenLikeOneOfStreams(t *testing.T) {
	vm, _ := machine(t, script.Options{})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]int{"left": unix.SOCK_DGRAM, "stream": unix.SOCK_STREAM} {
		fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, name)}), unix.Close(fd)); err != nil {
			t.Fatal(err)
		}
	}
	runScript(t, vm, "dir = '"+dir+"'"+`
local socket, errno = require('cqueues.socket'), require('cqueues.errno')
local function listen(name, kind)
	local s = socket.listen { path = dir .. '/' .. name, mode = 'rw-rw----', type = kind }
	s:onerror(function(_, _, number) return number end)
	return s, s:listen()
end
local all = {}
for _, name in ipairs { 'new', 'left', 'stream' } do
	local s, ok, why = listen(name, socket.SOCK_DGRAM)
	assert(ok == s, name .. ': ' .. tostring(why))
	assert(require('lfs').attributes(dir .. '/' .. name, 'permissions') == 'rw-rw----', name)
	all[#all + 1] = s
end
for _, name in ipairs { 'new', 'file' } do -- what lives, and what is no socket
	for _, kind in ipairs { socket.SOCK_DGRAM, socket.SOCK_STREAM } do
		local _, ok, why = listen(name, kind)
		assert(ok == nil and why == errno.EADDRINUSE, name)
	end
end
local from = socket.connect { path = dir .. '/left', type = socket.SOCK_DGRAM }
from:setmode('b', 'bn') all[2]:setmode('b', 'bn')
assert(from:write('one') and all[2]:read(-65536) == 'one')
for _, s in ipairs(all) do s:close() end
assert(io.open(dir .. '/file'):read('*a') == 'kept')
`)
}

// Datagrams keep their bounds, over UDP, at a path and in a pair.
func TestDatagramsOfCqueues(t *testing.T) {
	vm, _ := machine(t, script.Options{})
	runScript(t, vm, "dir = '"+t.TempDir()+"'"+`
local cqueues, socket, errno = require('cqueues'), require('cqueues.socket'), require('cqueues.errno')
local cq = cqueues.new()
socket.setmode('b', 'bn')
local udp = assert(socket.listen { host = '127.0.0.1', port = 0, type = socket.SOCK_DGRAM }:listen())
local at = assert(socket.listen { path = dir .. '/grams', type = socket.SOCK_DGRAM }:listen())
local _, ip, port = udp:localname()
local a, b = socket.pair(socket.SOCK_DGRAM)
local long = ('x'):rep(30000)
local ends = {
	{ udp, socket.connect { host = ip, port = port, type = socket.SOCK_DGRAM } },
	{ at, socket.connect { path = dir .. '/grams', type = socket.SOCK_DGRAM } },
	{ a, b },
}
local done = 0
for _, pair in ipairs(ends) do
	local to, from = unpack(pair)
	cq:wrap(function()
		assert(to:read(-65536) == 'one')
		assert(to:read(-65536) == 'two words')
		assert(to:read(-65536) == long)
		to:settimeout(0.01)
		assert(select(2, to:read(-1)) == errno.ETIMEDOUT)
		done = done + 1
	end)
	cq:wrap(function()
		assert(from:write('one') and from:write('two words'))
		assert(from:send(long .. 'cut', 1, -4) == #long) from:flush()
	end)
end
assert(cq:loop())
assert(done == 3 and select(2, udp:recv(-1)) == errno.EAGAIN) -- nothing more has come
udp:onerror(function(_, _, number) return number end)
assert(select(2, udp:write('to nobody')) and udp:eof('r') == false)
assert(not pcall(socket.connect, { host = ip, port = port, type = 5 }))
for _, pair in ipairs(ends) do pair[1]:close() pair[2]:close() end
socket.setmode('t-', 'tl')
`+"")
}

// recv and send neither wait nor raise errors, and say how far they came.
func TestStreamsThatDoNotWait(t *testing.T) {
	vm, _ := machine(t, script.Options{})
	runScript(t, vm, `
local socket, errno = require('cqueues.socket'), require('cqueues.errno')
local a, b = socket.pair()
assert(select('#', b:recv('*l')) <= 2 and select(2, b:recv('*l')) == errno.EAGAIN and b:error('r') == nil)
assert(a:send('no line yet') == 11 and select(2, a:pending()) == 11)
assert(select(2, b:recv('*l')) == errno.EAGAIN)
assert(a:send('xx!\nyy', 3, 4) == 2) a:flush() assert(select(2, a:pending()) == 0)
local function now(...) -- on a machine that is busy the time is over before it looks
	for i = 1, 1000 do
		local value, why = b:recv(...)
		if why ~= errno.EAGAIN then return value, why end
	end
end
assert(now('*L', 'b') == 'no line yet!\r\n' and b:setmode() == 't-')
assert(a:send('raw\n', 1, -1, 'bn') == 4) a:flush() assert(now(-10) == 'raw\n')
local sent = 0
a:setmode('b', 'bn')
for i = 1, 100 do -- until the system takes no more
	local n, why = a:send(('x'):rep(65536))
	sent = sent + n
	if why then assert(why == errno.EAGAIN) break end
end
local waiting = select(2, a:pending())
assert(waiting > 0 and waiting <= sent and a:error('w') == nil)
local got = 0
b:setmode('b')
repeat
	local data = b:recv(-65536)
	got = got + (data and #data or 0)
	if not data then assert(a:send('') == 0) end
until got == sent
assert(select(1, a:pending()) == 0 and select(2, a:pending()) == 0 and b:pending() == 0)
b:unget('back') assert(b:pending() == 4 and not b:eof('r'))
b:recv(-4) a:close()
local data, why = now('*l')
assert(data == nil and why == nil and b:eof('r') == true)
local n, broken
for i = 1, 1000 do
	n, broken = b:send('to nobody\n')
	if broken == errno.EPIPE then break end
end
assert(n == 0 and broken == errno.EPIPE and b:eof('w') == true)
`)
}

// A wrong format of recv left the stream without time to wait, and in the mode of that call.
func TestAWrongFormatOfRecvLeavesTheStreamAsItWas(t *testing.T) {
	vm, _ := machine(t, script.Options{})
	runScript(t, vm, `
local a, b = require('cqueues.socket').pair()
b:settimeout(20)
for _, wrong in ipairs { '*n', {}, true } do
	local ok, why = pcall(function() b:recv(wrong, 'b') end)
	assert(not ok)
	if wrong == '*n' then assert(why:match('^test:%d+: the format %*n is not in this version; '), why) end
	assert(b:setmode() == 't-' and b.seconds == 20)
end
local ok, why = pcall(function() b:read('*n') end)
assert(not ok and why:match('^test:%d+: the format %*n is not in this version; '), why)
a:write('text\n')
assert(b:read('*L') == 'text\n')
`)
}

// A socket is made of a descriptor, which it takes or copies. Those of the resolver are
// refused, and what is no socket.
func TestStreamsOfDescriptors(t *testing.T) {
	vm, _ := machine(t, script.Options{})
	inherited, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0) // as what a script was started with
	if err != nil {
		t.Fatal(err)
	}
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	listening, err := server.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer listening.Close()
	passed, err := unix.Dup(int(listening.Fd())) // without FD_CLOEXEC
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	runScript(t, vm, fmt.Sprintf(`
local socket = require('cqueues.socket')
local one, other = assert(socket.fdopen(%d)), assert(socket.dup { fd = %d })
assert(one:write('over there\n') and other:read() == 'over there')
local second = assert(other:dup())
assert(one:write('again\n') and second:read() == 'again')
other:close()
assert(one:write('still\n') and second:read() == 'still')
assert(select(2, socket.fdopen(second:pollfd())):match('belongs to another socket, of which dup%%(%%) makes a copy'))
assert(socket.dup(second):write('back\n') and one:read() == 'back')
local srv = assert(socket.fdopen(%d))
local family, ip, port = srv:localname()
assert(family == socket.AF_INET and ip == '127.0.0.1')
local con = socket.connect(ip, port)
assert(con:connect())
local peer = assert(srv:accept())
con:write('hello\n') assert(peer:read() == 'hello')
assert(select(2, socket.dup(%d)):match('belongs to the resolver'))
assert(select(2, socket.dup(1e6)):match('is not open'))
assert(not pcall(socket.dup, 'x') and not pcall(socket.fdopen, {}))
for _, s in ipairs { one, second, srv, con, peer } do s:close() end
`, inherited[0], inherited[1], passed, int(listening.Fd())))
	if err := unix.Close(inherited[1]); err != nil {
		t.Errorf("dup took the descriptor: %v", err)
	}
	if err := unix.Close(inherited[0]); err == nil {
		t.Error("fdopen left the descriptor")
	}
	pipe := make([]int, 2)
	if err := unix.Pipe(pipe); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	runScript(t, vm, fmt.Sprintf("assert(select(2, require('cqueues.socket').dup(%d)):match('it is no socket; '))", pipe[0]))
}

// What new streams begin with can be said beforehand, and modes that are none are refused.
func TestModesOfStreams(t *testing.T) {
	vm, _ := machine(t, script.Options{})
	runScript(t, vm, `
local socket, errno = require('cqueues.socket'), require('cqueues.errno')
local before, out = socket.setmode('b', 'bn')
assert(before == 't-' and out == 'tl')
local a, b = socket.pair()
assert(a:setmode('t', 't') == 'b-')
socket.setmode(before, out)
assert(socket.pair():setmode() == 't-')
socket.settimeout(0.01)
local c = socket.pair()
socket.settimeout(nil)
assert(select(2, c:read()) == errno.ETIMEDOUT)
local number
socket.onerror(function(_, _, n) number = n return n end)
local d = socket.connect { path = '/nonexistent/path' }
socket.onerror(nil)
assert(d:read() == nil and number == errno.ENOENT)
assert(not pcall(a.setmode, a, 'z'))
assert(not pcall(a.read, a, '*n'))
a:setmode('b', 'b') a:write('x\r\n') a:flush() b:setmode('b')
assert(b:read('*L') == 'x\r\n')
`)
}

// A stream goes on over TLS, and the server has to prove who it is: by an authority that is
// trusted, for the name that was meant. What was received in the clear before counts for nothing.
func TestStreamsOverTLS(t *testing.T) {
	vm, _ := machine(t, script.Options{})
	cert, key := certificateFor(t, "server.example")
	runScript(t, vm, "cert, key = '"+cert+"', '"+key+"'"+`
local cqueues, socket, errno = require('cqueues'), require('cqueues.socket'), require('cqueues.errno')
local function try(settings, fn)
	local cq, srv = cqueues.new(), socket.listen('127.0.0.1', 0)
	local _, _, port = srv:localname()
	local quiet = function(_, _, number) return number end
	cq:wrap(function()
		local con = srv:accept()
		con:onerror(quiet)
		if settings.talks then con:write('talks first\n') end
		if con:starttls { certificate = cert, key = key } then
			for ln in con:lines() do con:write(ln:upper(), '\n') end
		end
		con:close()
		srv:close()
	end)
	local result
	cq:wrap(function()
		local con = socket.connect { host = '127.0.0.1', port = port, sendname = settings.sendname }
		con:onerror(quiet)
		result = { fn(con) }
		con:close()
	end)
	assert(cq:loop())
	return unpack(result)
end
local trusted = { cafile = cert, servername = 'server.example' }

assert(try({}, function(con)
	assert(con:checktls() == nil and con:starttls(trusted) == con and con:checktls())
	con:write('hello\n') assert(con:read() == 'HELLO')
	con:write(('y'):rep(100000), '\n') assert(con:read() == ('Y'):rep(100000))
	con:write('a\nb\nc\n')
	assert(con:read() == 'A')
	assert((con:pending()) > 0 or cqueues.poll(con, 5) ~= 5)
	assert(con:read() == 'B' and con:read() == 'C')
	return con:shutdown('w') and con:read() == nil
end))
assert(try({ sendname = 'server.example' }, function(con) return con:starttls({ cafile = cert }, 5) and true end))
assert(try({}, function(con) return con:starttls { verify = 'none' } and true end))
for _, wrong in ipairs { { cafile = cert }, { servername = 'server.example' }, { cafile = cert, servername = 'other.example' }, { cafile = '/nonexistent' } } do
	local ok, number, why = try({}, function(con)
		local ok, number = con:starttls(wrong)
		return ok, number, con.why, con:read() -- nothing goes on in the clear
	end)
	assert(ok == nil and number and (why:find('certificate verify failed') or why:find('/nonexistent')), why)
end
local ok, _, why = try({ talks = true }, function(con) con:fill(1) local ok, number = con:starttls(trusted) return ok, number, con.why end)
assert(ok == nil and why == 'data were received before the handshake', why)
assert(not pcall(function() socket.pair():starttls(io.stdout) end))
`)
}

// certificateFor makes a certificate that signs itself, and its key, in files.
func certificateFor(t *testing.T, name string) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(file, kind string, octets []byte) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: octets}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret)
}
