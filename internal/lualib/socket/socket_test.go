package socket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"kresd/internal/clock"
	"kresd/internal/fdwatch"
	"kresd/internal/script"
	"kresd/internal/script/command"
)

// machine is one with the library, and what it prints.
func machine(t *testing.T) (*command.Interpreter, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	vm, err := command.New(script.Options{Stdout: &out, Stderr: &out})
	if err != nil {
		t.Fatal(err)
	}
	watcher := fdwatch.New(nil)
	t.Cleanup(watcher.Close)
	t.Cleanup(vm.Close)
	if err := vm.Do(context.Background(), func(*script.Call) error {
		vm.AddLibraries(New(vm.VM, clock.Real(), clock.NewAlarms(clock.Real()), watcher).Libraries()...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	run(t, vm, "socket = require('socket')")
	return vm, &out
}

// run is a file, which must not fail.
func run(t *testing.T, vm *command.Interpreter, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := vm.RunText(ctx, "test", text); err != nil {
		t.Fatal(err)
	}
}

// server answers each connection by serve and returns its port.
func server(t *testing.T, serve func(net.Conn)) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { l.Close() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { c.Close() }) // before wg waits
			wg.Go(func() { defer stop(); defer c.Close(); serve(c) })
		}
	})
	return l.Addr().(*net.TCPAddr).Port
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

func TestAClientSendsAndReceives(t *testing.T) {
	vm, _ := machine(t)
	port := server(t, echo)
	run(t, vm, fmt.Sprintf(`local s = assert(socket.connect('127.0.0.1', %d))
		assert(s:send('one\r\ntwo\nrest of it') == 20 - 1 + 0 or true)
		assert(s:receive() == 'one') assert(s:receive('*l', '> ') == '> two')
		assert(s:receive(4) == 'rest') assert(s:receive(0) == '')
		assert(s:send('abcdef', 2, 3) == 3)
		assert(s:receive(8) == ' of itbc')
		local ip, p = s:getpeername() assert(ip == '127.0.0.1' and p == %d)
		local ip, p, family = s:getsockname() assert(ip == '127.0.0.1' and p > 0 and family == 'inet')
		assert(s:getfd() > 2 and tostring(s):match('^tcp: '))
		s:settimeout(0.01)
		local data, why, partial = s:receive() assert(data == nil and why == 'timeout' and partial == '')
		s:send('half') socket.sleep(0.1)
		local data, why, partial = s:receive('*l', 'x') assert(data == nil and why == 'timeout' and partial == 'xhalf', partial)
		s:settimeout(0)
		local data, why = s:receive() assert(data == nil and why == 'timeout')
		s:settimeout()
		s:send('to the end') s:shutdown('send')
		assert(s:receive('*a') == 'to the end')
		local data, why = s:receive() assert(data == nil and why == 'closed')
		assert(s:close() == 1) s:close()
		local n, why = s:send('x') assert(n == nil and why == 'closed')
		assert(s:getfd() == -1 and s:getpeername() == nil)`, port, port))
}

func TestFailuresOfConnections(t *testing.T) {
	vm, _ := machine(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	run(t, vm, fmt.Sprintf(`local s, why = socket.connect('127.0.0.1', %d) assert(s == nil and why == 'connection refused', why)
		local get = socket.protect(function() local try = socket.newtry(function() finalized = true end) return try(socket.connect('127.0.0.1', %d)) end)
		local s, why = get() assert(s == nil and why == 'connection refused' and finalized)
		local ok, why = pcall(socket.protect(function() error('other') end)) assert(not ok and why:match('other'))
		assert(socket.protect(function() return 1, 2 end)() == 1 and socket.skip(1, 'a', 'b') == 'b')
		assert(not pcall(s and s.receive or socket.tcp().receive, socket.tcp(), '*x'))
		local data, why = socket.tcp():receive() assert(data == nil and why == 'closed')`, port, port))
}

func TestAServerAccepts(t *testing.T) {
	vm, _ := machine(t)
	run(t, vm, `local srv = assert(socket.bind('127.0.0.1', 0))
		local ip, port = srv:getsockname()
		srv:settimeout(0.01)
		local c, why = srv:accept() assert(c == nil and why == 'timeout')
		local client = assert(socket.connect('127.0.0.1', port))
		srv:settimeout(10)
		local c = assert(srv:accept())
		client:send('hello\n') assert(c:receive() == 'hello')
		c:send('a\nb\n')
		local r, w, why = socket.select({ client }, { client }, 5)
		assert(w[1] == client and w[client] == 1 and why == nil)
		assert(client:receive() == 'a' and client:dirty())
		local r = socket.select({ srv, client }, nil, 5) assert(r[1] == client and r[client] == 1, 'what is buffered is ready')
		assert(client:receive() == 'b')
		local r, w, why = socket.select({ client, srv }, {}, 0.01) assert(#r == 0 and #w == 0 and why == 'timeout')
		c:close() srv:close()
		local r = socket.select({ client }, nil, 5) assert(r[1] == client)`)
}

func TestDatagrams(t *testing.T) {
	vm, _ := machine(t)
	run(t, vm, `local a, b = socket.udp(), socket.udp()
		assert(a:setsockname('127.0.0.1', 0) == 1 and b:setsockname('127.0.0.1', 0) == 1)
		local ip, port = a:getsockname()
		local n, why = b:send('x') assert(n == nil and why == 'destination address required')
		assert(b:sendto('first', '127.0.0.1', port) == 1)
		local data, from, fromport = a:receivefrom()
		local _, bport = b:getsockname()
		assert(data == 'first' and from == '127.0.0.1' and fromport == bport)
		assert(b:setpeername('127.0.0.1', port) == 1 and b:getpeername() == '127.0.0.1')
		assert(b:send('') == 1 and a:receive() == '')
		assert(b:send('long one') == 1 and a:receive(4) == 'long')
		a:settimeout(0) local data, why = a:receive() assert(data == nil and why == 'timeout')
		assert(b:setpeername('*') == 1 and b:getpeername() == nil)
		a:close() local data, why = a:receive() assert(data == nil and why == 'closed')
		assert(math.abs(socket.gettime() - os.time()) < 5)`)
}

// A command that waits for the network holds up no other one, and ends when it is given
// up.
func TestWaitingHoldsUpNobody(t *testing.T) {
	vm, _ := machine(t)
	release := make(chan struct{})
	port := server(t, func(c net.Conn) { <-release; _, _ = c.Write([]byte("late\n")) })
	first := make(chan string, 1)
	go func() {
		out, _ := vm.Eval(context.Background(), fmt.Sprintf("s = assert(socket.connect('127.0.0.1', %d)) begun = true return s:receive()", port))
		first <- out
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if out, _ := vm.Eval(context.Background(), "return tostring(begun)"); out == "true" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no connection in a minute")
		}
	}
	if out, _ := vm.Eval(context.Background(), "return select(2, s:receive())"); out != "another coroutine receives" {
		t.Errorf("a second reader is told %q", out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if out, failed := vm.Eval(ctx, fmt.Sprintf("return socket.connect('127.0.0.1', %d):receive()", port)); !failed {
		t.Errorf("what was given up shows %q", out)
	}
	close(release)
	if got := <-first; got != "late" {
		t.Errorf("it received %q", got)
	}
}

// A script without end cannot fill the memory by one receive.
func TestReceivingIsBounded(t *testing.T) {
	vm, _ := machine(t)
	port := server(t, func(c net.Conn) {
		for data := []byte(strings.Repeat("x", 1<<20)); ; {
			if _, err := c.Write(data); err != nil {
				return
			}
		}
	})
	run(t, vm, fmt.Sprintf(`local s = assert(socket.connect('127.0.0.1', %d))
		local data, why, partial = s:receive('*a')
		assert(data == nil and why:match('^more than %%d+ octets$') and #partial > 1000000, why)
		assert(not pcall(s.receive, s, 1e9))
		s:close()`, port))
}

// Sockets that scripts have forgotten are closed, and leave no goroutine.
func TestForgottenSocketsAreClosed(t *testing.T) {
	vm, _ := machine(t)
	closed := make(chan struct{}, 100)
	port := server(t, func(c net.Conn) { echo(c); closed <- struct{}{} })
	run(t, vm, fmt.Sprintf("for i = 1, 20 do local s = assert(socket.connect('127.0.0.1', %d)) s:send('x') s:receive(1) end", port))
	for deadline, n := time.Now().Add(time.Minute), 0; n < 19; { // the last may lie on the machine's stack
		runtime.GC()
		select {
		case <-closed:
			n++
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of 19 are closed", n)
		}
	}
}

func TestNamesAreLookedUp(t *testing.T) {
	vm, _ := machine(t)
	run(t, vm, `local ip, all = socket.dns.toip('localhost')
		assert(ip == '127.0.0.1' or ip == '::1') assert(all.name == 'localhost' and all.ip[1] == ip)
		assert(type(socket.dns.gethostname()) == 'string')
		local ip, why = socket.dns.toip('no such name') assert(ip == nil and type(why) == 'string')`)
}
