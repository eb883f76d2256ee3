package cqueues

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/clock"
	"kresd/internal/fdwatch"
	"kresd/internal/script"
	"kresd/internal/script/command"
)

// output is what scripts print and what the machine reports.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// world is a machine with the library; start(fn) is worker.coroutine.
type world struct {
	t       *testing.T
	vm      *command.Interpreter
	lib     *Library
	watcher *fdwatch.Watcher
	out     output
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, watcher: fdwatch.New(nil)}
	var err error
	if w.vm, err = command.New(script.Options{Stdout: &w.out, Stderr: &w.out}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.watcher.Close)
	t.Cleanup(w.vm.Close)
	w.lib = New(Host{VM: w.vm.VM, Alarms: clock.NewAlarms(clock.Real()), Watcher: w.watcher, Clock: clock.Real()})
	if err := w.vm.Do(context.Background(), func(c *script.Call) error {
		w.vm.AddLibraries(w.lib.Libraries()...)
		w.vm.Register(script.Func{Name: "start", Min: 1, Max: 1, Fn: func(c *script.Call) error { return w.lib.Background().Start(c, 1) }})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	w.run("cqueues, condition, promise = require('cqueues'), require('cqueues.condition'), require('cqueues.promise')")
	return w
}

// run is a file, which must not fail.
func (w *world) run(text string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.vm.RunText(ctx, "test", text); err != nil {
		w.t.Fatalf("%v", err)
	}
}

func (w *world) eval(command string) string {
	out, failed := w.vm.Eval(context.Background(), command)
	if failed {
		return "ERROR " + out
	}
	return out
}

func (w *world) expect(command, want string) {
	w.t.Helper()
	if got := w.eval(command); got != want {
		w.t.Errorf("%s\n got %q\nwant %q", command, got, want)
	}
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: nothing of it in a minute; printed: %s", what, w.out.String())
		}
	}
}

func (w *world) printed(want string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%q", want), func() bool { return w.out.String() == want })
}

func TestAControllerRunsItsCoroutinesInTurns(t *testing.T) {
	w := newWorld(t)
	w.run(`local cq, order = cqueues.new(), ''
		local function turn(name, pause)
			for i = 1, 3 do order = order .. name .. i; cqueues.sleep(pause) end
			return 'dropped'
		end
		assert(cq:wrap(turn, 'a', 0) == cq)
		cq:wrap(function() turn('b', 0) end)
		cq:attach(coroutine.create(function() order = order .. 'c'; coroutine.yield(); order = order .. 'd' end))
		assert(cq:count() == 3 and not cq:empty() and cq:timeout() == 0)
		assert(cq:loop())
		assert(cq:empty() and cq:count() == 0 and cq:timeout() == nil)
		assert(order:match('^a1b1c') and order:match('b3') and order:match('a3') and order:match('d'), order)
		assert(cq:loop() and cq:step())`)
}

func TestStepAndLoopKeepToTheirTime(t *testing.T) {
	w := newWorld(t)
	w.run(`local cq, from = cqueues.new(), cqueues.monotime()
		cq:wrap(function() cqueues.sleep(3600) end)
		assert(cq:step(0) and cq:count() == 1)
		local left = cq:timeout()
		assert(left > 3500 and left <= 3600, left)
		assert(cq:step(0.01)) assert(cq:loop(0.01))
		local took = cqueues.monotime() - from
		assert(took >= 0.02 and took < 60, took)
		cq:close()
		assert(cq:empty() and cq:loop())`)
}

func TestErrorsOfCoroutinesComeOutOfStep(t *testing.T) {
	w := newWorld(t)
	w.run(`local cq, ran = cqueues.new(), 0
		local co
		cq:wrap(function() co = coroutine.running() error({ code = 7 }) end)
		cq:wrap(function() ran = ran + 1 error('text') end)
		cq:wrap(function() ran = ran + 1 end)
		local ok, why, number, thread = cq:loop()
		assert(ok == false and why.code == 7 and number == nil and thread == co)
		local list = {}
		for why in cq:errors() do list[#list + 1] = why end
		assert(#list == 1 and list[1]:match('^test:%d+: text$'), list[1])
		assert(cq:empty() and ran == 2)`)
}

func TestRunningTellsTheController(t *testing.T) {
	w := newWorld(t)
	w.run(`local outer, inner = cqueues.new(), cqueues.new()
		assert(cqueues.running() == nil)
		inner:wrap(function() local q, direct = cqueues.running() assert(q == inner and direct)
			coroutine.wrap(function() local q, direct = cqueues.running() assert(q == inner and not direct) end)() end)
		outer:wrap(function() assert(cqueues.running() == outer) assert(inner:loop()) assert(cqueues.running() == outer) end)
		assert(outer:loop())
		assert(cqueues.type(outer) == 'controller' and cqueues.type({}) == nil)`)
}

func TestConditions(t *testing.T) {
	w := newWorld(t)
	w.run(`local cq, log = cqueues.new(), ''
		for _, lifo in ipairs { false, true } do
			local cond = condition.new(lifo)
			for i = 1, 3 do cq:wrap(function() assert(cond:wait()) log = log .. i end) end
			cq:wrap(function()
				assert(cond:signal(1) == 1) cqueues.sleep(0)
				assert(cond:signal() == 2 and cond:signal() == 0)
			end)
			assert(cq:loop())
			log = log .. ';'
		end
		assert(log == '123;312;' or log == '123;321;', log)
		local cond, other = condition.new(), condition.new()
		cq:wrap(function()
			local ok, which = cond:wait(0.01)
			assert(ok == false and which == 0.01)
			assert(cqueues.poll(cond, 0.01) == 0.01)
			local ok, which = cond:wait(other, 5)
			assert(ok == false and which == other)
			assert(cqueues.poll(other, cond) == cond)
		end)
		cq:wrap(function() cqueues.sleep(0.1) other:signal() cqueues.sleep(0.05) cond:signal() end)
		assert(cq:loop())
		assert(condition.type(cond) == 'condition' and condition.type(1) == nil)`)
}

func TestPromises(t *testing.T) {
	w := newWorld(t)
	w.run(`local cq = cqueues.new()
		cq:wrap(function()
			local p = promise.new(function(a, b) cqueues.sleep(0.01) return a + b, nil end, 1, 2)
			assert(p:status() == 'pending' and p:get(0) == nil and p:wait(0.0001) == nil)
			assert(p:wait() == p and p:status() == 'fulfilled')
			assert(p:get() == 3 and select('#', p:get()) == 2)
			local q = promise.new(function() error({ 'x' }) end)
			local ok, why = pcall(q.get, q)
			assert(not ok and why[1] == 'x' and q:status() == 'rejected')
			assert(not pcall(q.set, q, true))
			local r = promise.new()
			cqueues.running():wrap(function() r:set(true, 'value') end)
			assert(cqueues.poll(r, 5) == r and r:get() == 'value')
			assert(promise.type(r) == 'promise' and promise.type(cq) == nil)
		end)
		assert(cq:loop())`)
	// Outside of any controller, that of the worker keeps it.
	w.run("p = promise.new(function() cqueues.sleep(0.01) return 'kept' end)")
	w.expect("return p:get()", "kept")
}

// What the worker steps holds up no command, ends by its error alone, and shows it.
func TestTheWorkersController(t *testing.T) {
	w := newWorld(t)
	w.run(`start(function() for i = 1, 3 do print('executing', i) cqueues.sleep(0.001) end end)
		start(function() cqueues.sleep(3600) end)`)
	w.printed("executing\t1\nexecuting\t2\nexecuting\t3\n")
	w.expect("1 + 1", "2\n")
	w.run("local function inner() cqueues.sleep(0) error('broken') end start(function()\n inner() end) start(function() cqueues.sleep(0.05) print('others go on') end)")
	w.eventually("the other coroutine", func() bool { return strings.Contains(w.out.String(), "others go on\n") })
	got := w.out.String()
	if !strings.Contains(got, "error: worker.background: test:1: broken\nstack traceback:\n") || !strings.Contains(got, "test:2: in ") {
		t.Errorf("the report is %q", got)
	}
	if err := w.vm.Do(context.Background(), func(c *script.Call) error {
		w.vm.SetGlobal("bg", w.lib.Background().Handle())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	w.expect("return tostring(bg:wrap(function() print('wrapped') end) == bg) .. bg:count()", "true2")
	w.eventually("what was wrapped", func() bool { return strings.Contains(w.out.String(), "wrapped\n") })
}

func TestDescriptorsArePolled(t *testing.T) {
	w := newWorld(t)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	w.run(fmt.Sprintf(`start(function()
			local r, wr = { pollfd = %d, events = 'r' }, { pollfd = function() return %d end, events = function() return 'w' end }
			print(cqueues.poll(wr) == wr, cqueues.poll(r, 0.001) == 0.001)
			print(cqueues.poll({ timeout = 0.001 }, 60).timeout)
			print(cqueues.poll(r) == r)
		end)
		print(pcall(cqueues.poll, { pollfd = 1000000 }))`, p[0], p[1]))
	w.printed("false\tdescriptor 1000000 is not open\ntrue\ttrue\n0.001\n")
	_, _ = unix.Write(p[1], []byte("x"))
	w.printed("false\tdescriptor 1000000 is not open\ntrue\ttrue\n0.001\ntrue\n")
	w.run(fmt.Sprintf("start(function() print(cqueues.poll({ pollfd = %d, events = 'r' }, 60)) end) start(function() cqueues.sleep(0.01) cqueues.cancel(%d) end)", p[0], p[0]))
}

// Other loops can have a controller's descriptor: it can be read while there is
// something to do.
func TestAControllerCanBePolled(t *testing.T) {
	w := newWorld(t)
	w.run(`cq = cqueues.new() fd = cq:pollfd() assert(fd == cq:pollfd() and cq:events() == 'r')
		cond = condition.new()
		cq:wrap(function() cond:wait() print('woken') end) cq:step(0)
		start(function() while not cq:empty() do assert(cqueues.poll(cq) == cq) cq:step(0) end print('empty') end)`)
	fd := 0
	fmt.Sscan(w.eval("return fd"), &fd)
	readable := func() bool {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n == 1
	}
	if readable() {
		t.Error("it can be read while nothing can go on")
	}
	w.run("cond:signal()")
	w.printed("woken\nempty\n")
	w.run("cq:wrap(function() end)")
	if !readable() {
		t.Error("it cannot be read while a coroutine can go on")
	}
	w.run("cq:loop()")
	if readable() {
		t.Error("it can be read after all has ended")
	}
}

// The manual's example, in another directory.
func TestFilesAreWatched(t *testing.T) {
	w, dir := newWorld(t), t.TempDir()
	hosts := filepath.Join(dir, "hosts")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("hosts", "one")
	w.run(fmt.Sprintf(`worker = { coroutine = start }
local notify = require('cqueues.notify')
local watcher = notify.opendir('%s')
watcher:add('hosts')

-- Watch changes to /etc/hosts
worker.coroutine(function ()
  for flags, name in watcher:changes() do
    for flag in notify.flags(flags) do
      print(name, notify[flag])
    end
  end
end)`, dir))
	write("other", "not watched")
	write("hosts", "two")
	w.eventually("a change", func() bool { return strings.HasPrefix(w.out.String(), "hosts\tMODIFY\n") })
	if err := os.Remove(hosts); err != nil {
		t.Fatal(err)
	}
	w.eventually("the removal", func() bool { return strings.Contains(w.out.String(), "hosts\tDELETE\n") })
	write("new", "x")
	if err := os.Rename(filepath.Join(dir, "new"), hosts); err != nil {
		t.Fatal(err)
	}
	w.eventually("the file that came in its place", func() bool { return strings.Contains(w.out.String(), "hosts\tCREATE\n") })
	if strings.Contains(w.out.String(), "other") || strings.Contains(w.out.String(), "new") {
		t.Errorf("it told of other files: %s", w.out.String())
	}
	w.run(fmt.Sprintf(`local notify = require('cqueues.notify')
		assert(notify.ALL == notify.CREATE + notify.DELETE + notify.ATTRIB + notify.MODIFY + notify.REVOKE and notify.MODIFY == 8)
		local n = notify.opendir('%s', 0)
		assert(n:get(0.01) == nil and notify.type(n) == 'file notifier' and not pcall(n.add, n, 'a/b'))
		assert(not pcall(notify.opendir, '/nonexistent'))
		local list = {} for f in notify.flags(notify.CREATE, notify.DELETE) do list[#list + 1] = notify[f] end
		assert(table.concat(list, ' ') == 'CREATE DELETE')`, dir))
}

func TestSignals(t *testing.T) {
	w := newWorld(t)
	w.run(`local signal = require('cqueues.signal')
		signal.block(signal.SIGUSR2)
		local l = signal.listen(signal.SIGUSR2)
		assert(l:wait(0.01) == nil and signal.type(l) == 'signal listener')
		start(function() print(signal[l:wait()]) end)
		start(function() cqueues.sleep(0.01) signal.raise(signal.SIGUSR2) end)
		local ok, why = pcall(signal.listen, signal.SIGTERM)
		assert(not ok and why:match('SIGTERM belongs to the resolver'), why)`)
	w.printed("SIGUSR2\n")
}

func TestAuxlibAndErrno(t *testing.T) {
	w := newWorld(t)
	w.run(`local aux, errno = require('cqueues.auxlib'), require('cqueues.errno')
		assert(errno[errno.EAGAIN] == 'EAGAIN' and errno.strerror(errno.EPERM) == 'operation not permitted')
		assert(errno.ETIMEDOUT == 110 and errno.EPIPE == 32)
		local v, why, number = aux.fileresult(false, nil, errno.EPERM)
		assert(v == false and why == 'operation not permitted' and number == errno.EPERM)
		local ok, why = pcall(aux.assert, nil, errno.EPIPE)
		assert(not ok and why:match('broken pipe'), why)
		assert(aux.assert(1, 2) == 1)
		local cq = cqueues.new()
		cq:wrap(function() for i in aux.wrap(function() for i = 1, 2 do cqueues.sleep(0) coroutine.yield(i) end end) do end end)
		assert(cq:loop())`)
}

// Nothing is left of coroutines that ended, of ten thousand that slept, and of a
// controller that scripts have forgotten with some that wait.
func TestNothingIsLeft(t *testing.T) {
	w := newWorld(t)
	runtime.GC()
	before := runtime.NumGoroutine()
	w.run("n = 0 for i = 1, 10000 do start(function() cqueues.sleep(i % 100 / 1000) n = n + 1 end) end")
	w.eventually("ten thousand that sleep", func() bool { return w.eval("return n") == "10000" })
	w.run("for i = 1, 50 do local cq = cqueues.new() cq:pollfd() for j = 1, 10 do cq:wrap(function() cqueues.sleep(3600) end) end cq:step(0) end")
	w.eventually("the end of all goroutines", func() bool {
		w.run("local t = {} for i = 1, 200 do t[i] = i end print(select('#', unpack(t)))") // where the last one lay on the machine's stack
		runtime.GC()
		return runtime.NumGoroutine() <= before
	})
	w.eventually("the end of all that was noted about them", func() bool {
		n := 0
		if err := w.vm.Do(context.Background(), func(*script.Call) error {
			n = len(w.lib.owners) + len(w.lib.polled) + w.lib.Alarms.Len()
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return n == 0
	})
}
