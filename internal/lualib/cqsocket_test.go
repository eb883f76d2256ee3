package lualib

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

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
	for _, name in ipairs { 'fdopen', 'dup', 'interpose' } do
		ok, why = pcall(socket[name], 1)
		assert(not ok and why:match(name .. ' is not in this version of cqueues.socket; '))
	end
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
