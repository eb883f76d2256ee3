package lualib

import (
	"bytes"
	"context"
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
	assert(not pcall(nobody.starttls, nobody) and socket.type(nobody) == 'socket' and socket.type(1) == nil)
	assert(not pcall(socket.connect, { path = '/tmp/x' }))
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
