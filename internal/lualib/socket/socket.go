// Package socket is the library socket for scripts: TCP and UDP as LuaSocket has them.
//
// What waits for the network does so outside of the machine: in a command, in the
// callback of an event and in a coroutine of worker.coroutine it holds up nobody.
//
// Of the original it lacks multicast. A connection goes on over TLS by starttls, which the
// library cqueues.socket stands on.
package socket

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"kresd/internal/clock"
	"kresd/internal/fdwatch"
	"kresd/internal/lualib/trust"
	"kresd/internal/script"
	"kresd/internal/wording"
)

// A Library is socket in one machine.
type Library struct {
	vm      *script.VM
	clock   *clock.Clock
	alarms  *clock.Alarms
	watcher *fdwatch.Watcher
	streams *script.Class
	packets *script.Class
}

// New makes the library, which has nothing before a script uses it.
func New(vm *script.VM, clk *clock.Clock, alarms *clock.Alarms, watcher *fdwatch.Watcher) *Library {
	lib := &Library{vm: vm, clock: clk, alarms: alarms, watcher: watcher}
	lib.streams, lib.packets = lib.streamClass(), lib.packetClass()
	return lib
}

// Libraries are what scripts can require of it.
func (lib *Library) Libraries() []script.Library {
	return []script.Library{
		{Name: "socket", Help: "TCP and UDP", Open: lib.open},
		{Name: "socket.core", Help: "the same as socket", Open: lib.open},
		{Name: "socket.unix", Help: "streams of the family AF_UNIX", Open: lib.openUnix},
	}
}

//go:embed socket.lua
var text string

func (lib *Library) open(c *script.Call) (any, error) {
	tcp := func(c *script.Call) error {
		return c.Return(lib.handle(&stream{opened: opened{lib: lib, fd: -1, timeouts: forever}}))
	}
	names := c.LibraryTable("socket.dns", []script.Func{
		{Name: "toip", Args: "name", Min: 1, Max: 1, Fn: toIP},
		{Name: "tohostname", Args: "address", Min: 1, Max: 1, Fn: toName},
		{Name: "gethostname", Max: 0, Fn: func(c *script.Call) error {
			name, err := os.Hostname()
			if err != nil {
				return c.Return(nil, err.Error())
			}
			return c.Return(name)
		}},
	})
	core := c.LibraryTable("socket", []script.Func{{Name: "ready", Min: 2, Max: 3, Fn: lib.ready}})
	all := c.LibraryTable("socket", []script.Func{
		{Name: "tcp", Max: 0, Fn: tcp}, {Name: "tcp4", Max: 0, Fn: tcp}, {Name: "tcp6", Max: 0, Fn: tcp},
		{Name: "udp", Max: 0, Fn: lib.newPackets}, {Name: "udp4", Max: 0, Fn: lib.newPackets}, {Name: "udp6", Max: 0, Fn: lib.newPackets},
		{Name: "gettime", Max: 0, Fn: func(c *script.Call) error { return c.Return(float64(lib.clock.Now().UnixNano()) / 1e9) }},
		{Name: "sleep", Args: "seconds", Min: 1, Max: 1, Fn: lib.sleep},
	}, script.Entry{Key: "dns", Value: names}, script.Entry{Key: "_VERSION", Value: "LuaSocket 3.0 of kresd"})
	return c.LibraryText("socket", text, all, core)
}

// handle is what scripts know as a stream.
func (lib *Library) handle(s *stream) *script.Handle {
	return &script.Handle{Class: lib.streams, Value: s}
}

// openUnix makes socket.unix: a table that is called for a stream, or has it by stream().
func (lib *Library) openUnix(c *script.Call) (any, error) {
	core := c.LibraryTable("socket.unix", []script.Func{
		{Name: "stream", Max: 0, Fn: lib.newPath}, {Name: "tcp", Max: 0, Fn: lib.newPath}, {Name: "pair", Args: "[datagrams]", Max: 1, Fn: lib.pair},
		{Name: "datagrams", Args: "[path]", Max: 1, Fn: lib.newDatagrams}, {Name: "descriptor", Args: "descriptor, keep", Min: 2, Max: 2, Fn: lib.ofDescriptor},
	})
	return c.LibraryText("socket.unix", "local unix = ... return setmetatable(unix, { __call = function() return unix.stream() end })", core)
}

func (lib *Library) sleep(c *script.Call) error {
	d := script.Seconds(c.Number(1))
	if err := c.Pause(func(wake func()) func() {
		alarm := lib.alarms.After(d, wake)
		return func() { alarm.Stop() }
	}); err != nil {
		return err
	}
	return c.Return()
}

// words are an error as scripts compare it.
func words(err error) string {
	var unknown *net.DNSError
	switch unproven := trust.Reason(err); {
	case unproven != "":
		return unproven
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, net.ErrClosed), errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET), errors.Is(err, io.EOF):
		return "closed"
	case errors.As(err, &unknown):
		return "host not found"
	}
	return wording.Reason(err).Error()
}

// failed returns an error of the network, and passes on the end of the evaluation.
func failed(c *script.Call, err error, more ...any) error {
	var over *script.Interrupt
	if errors.As(err, &over) {
		return err
	}
	return c.Return(append([]any{nil, words(err)}, more...)...)
}
