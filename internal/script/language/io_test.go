package language_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kresd/internal/limits"
	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/scripttest"
)

// ioScripts give the same values here and in Lua 5.1. Each runs in a directory of its
// own, D, in which put(name, text) makes a file and get(name) shows one.
var ioScripts = map[string]string{
	"all of a file":                 `put('f', 'a\nb\0c\r\n\255') local f = io.open(D..'f') return f:read('*a'), f:read('*a'), f:read('*l'), f:read(0)`,
	"all of an empty file":          `put('f', '') local f = io.open(D..'f') return f:read('*a'), f:read('*l'), f:read(1)`,
	"lines":                         `put('f', 'one\n\nthree\nlast') local t = {} for l in io.lines(D..'f') do t[#t+1] = '<'..l..'>' end return table.concat(t)`,
	"lines with a final newline":    `put('f', 'one\ntwo\n') local t = {} for l in io.lines(D..'f') do t[#t+1] = '<'..l..'>' end return table.concat(t)`,
	"lines of an open file":         `put('f', '1\n2\n3\n') local f = io.open(D..'f') f:read() local t = {} for l in f:lines() do t[#t+1] = l end return table.concat(t, ','), io.type(f)`,
	"lines of a closed file":        `put('f', '1\n2\n') local f = io.open(D..'f') local n = f:lines() n() f:close() return pcall(n)`,
	"lines after the end":           `put('f', '1\n') local n = io.lines(D..'f') return n(), n(), pcall(n)`,
	"lines of no file":              `return pcall(io.lines, D..'none')`,
	"long lines":                    `put('f', ('x'):rep(100000)..'\n'..('y'):rep(4096)..'\nz') local f = io.open(D..'f') return #f:read(), #f:read('*l'), f:read(), f:read()`,
	"numbers of octets":             `put('f', 'abcdefgh') local f = io.open(D..'f') return f:read(3), f:read(0), f:read(2, 1), f:read(100), f:read(0), f:read(5)`,
	"several formats":               `put('f', '12 0x1F -3.5e2rest of it\nnext\nall the\nrest') local f = io.open(D..'f') return f:read('*n', '*n', '*n', '*l', '*l', 3, '*a', '*a', '*l')`,
	"nil ends the formats":          `put('f', 'a\n') local f = io.open(D..'f') return select('#', f:read('*l', '*l', '*l')), f:read('*l')`,
	"numbers":                       `put('f', ' 1\t2.5\n.5 5. +7 -0 1e3 1E-2 0x10 0xA.8p1 inf -INF infinity 1e 9 10') local f, t = io.open(D..'f'), {} for i = 1, 18 do t[#t+1] = tostring(f:read('*n')) end return table.concat(t, ' ')`,
	"a number that is none":         `put('f', 'x1') local f = io.open(D..'f') return f:read('*n'), f:read('*a')`,
	"half a number":                 `put('f', '-x') local f = io.open(D..'f') return f:read('*n'), f:read('*a')`,
	"half a word":                   `put('f', 'nay') local f = io.open(D..'f') return f:read('*n'), f:read('*a')`,
	"a number then letters":         `put('f', '12abc') local f = io.open(D..'f') return f:read('*n'), f:read('*a')`,
	"no number at the end":          `put('f', '  ') local f = io.open(D..'f') return f:read('*n'), f:read('*n', '*a')`,
	"a sign alone":                  `put('f', '- 1') local f = io.open(D..'f') return f:read('*n'), f:read('*a')`,
	"two points":                    `put('f', '1.2.3') local f = io.open(D..'f') return f:read('*n', '*n', '*n')`,
	"wrong formats":                 `put('f', 'abc\n') local f = io.open(D..'f') return pcall(f.read, f, 'l'), pcall(f.read, f, '*x'), pcall(f.read, f, {}), pcall(f.read, f, '')`,
	"a wrong second format":         `put('f', 'abc\nd') local f = io.open(D..'f') return select(2, pcall(f.read, f, '*l', 'q')), f:read('*l')`,
	"wrong arguments of methods":    `put('f', 'abc\n') local f = io.open(D..'f', 'r+') local function e(fn) return select(2, pcall(fn)) end return e(function() return f:read('l') end), e(function() f:write('a', {}) end), e(function() f:seek('no') end), e(function() f:setvbuf() end)`,
	"wrong format of io.read":       `put('f', 'abc\n') local old = io.input() io.input(D..'f') local _, e = pcall(io.read, '*q') io.input(old) return e`,
	"no file":                       `return io.open(D..'none')`,
	"no directory":                  `return io.open(D..'none/f', 'w')`,
	"no right mode":                 `return io.open(D..'f', 'z')`,
	"no mode":                       `return io.open(D..'f', '')`,
	"a directory":                   `local f = io.open(D) return f ~= nil, f:read('*a')`,
	"a directory cannot be written": `return io.open(D, 'w')`,
	"write":                         `local f = io.open(D..'f', 'w') local r = f:write('a', 1, 2.5, '\0', 1e100, '') return r, f:close(), get('f')`,
	"write to what is read":         `put('f', 'x') return io.open(D..'f'):write('y')`,
	"read what is written":          `return io.open(D..'f', 'w'):read()`,
	"write a table":                 `local f = io.open(D..'f', 'w') return select(2, pcall(f.write, f, 'a', {}))`,
	"write nothing":                 `local f = io.open(D..'f', 'w') return f:write(), f:close(), get('f')`,
	"append":                        `put('f', 'a') local f = io.open(D..'f', 'a') f:write('b') f:close() f = io.open(D..'f', 'ab') f:write('c') f:close() return get('f')`,
	"r+":                            `put('f', 'abcdef') local f = io.open(D..'f', 'r+') f:read(2) f:seek('cur', 0) f:write('X') f:seek('cur', 0) local rest = f:read('*a') f:close() return rest, get('f')`,
	"r+ of no file":                 `return io.open(D..'f', 'r+b')`,
	"w+":                            `put('f', 'old') local f = io.open(D..'f', 'w+') f:write('new') f:seek('set') return f:read('*a'), f:seek()`,
	"a+":                            `put('f', 'old') local f = io.open(D..'f', 'a+') f:write('new') f:seek('set', 1) return f:read('*a')`,
	"seek":                          `put('f', '0123456789') local f = io.open(D..'f') return f:seek(), f:seek('set', 4), f:read(1), f:seek('cur', -2), f:read(2), f:seek('end', -1), f:read('*a'), f:seek('end'), f:seek('cur')`,
	"seek before the start":         `put('f', 'abc') return io.open(D..'f'):seek('set', -1)`,
	"seek wrongly":                  `put('f', 'abc') local f = io.open(D..'f') return select(2, pcall(f.seek, f, 'no')), select(2, pcall(f.seek, f, 'set', 'x')), select(2, pcall(f.seek, f, {}))`,
	"setvbuf":                       `local f = io.open(D..'f', 'w') return f:setvbuf('no'), f:setvbuf('full', 1024), f:setvbuf('line'), select(2, pcall(f.setvbuf, f)), select(2, pcall(f.setvbuf, f, 'x'))`,
	"flush":                         `local f = io.open(D..'f', 'w') f:write('x') return f:flush(), get('f')`,
	"close":                         `local f = io.open(D..'f', 'w') return f:close(), io.type(f), tostring(f), select(2, pcall(f.close, f)), select(2, pcall(f.read, f)), select(2, pcall(f.write, f, 'x')), select(2, pcall(f.lines, f))`,
	"close by io":                   `local f = io.open(D..'f', 'w') return io.close(f), select(2, pcall(io.close, f))`,
	"standard files stay open":      `return io.stdin:close(), io.stdout:close(), io.type(io.stderr)`,
	"type":                          `return io.type(io.stdin), io.type({}), io.type(nil), io.type('x'), (select(2, pcall(io.type)))`,
	"the class of files":            `return tostring(io.stdout):gsub('0x%x+', 'P'), type(getmetatable(io.stdout).__index.read), io.stdout.nothing, type(io.stdout)`,
	"not a file":                    `return select(2, pcall(io.stdout.read, 5)), select(2, pcall(io.close, 'x')), select(2, pcall(io.stdout.write))`,
	"default input":                 `put('f', 'l1\nl2\n7 rest') local old = io.input() local f = io.input(D..'f') local a, b, c, d = io.read(), io.read('*l', '*n'), io.read('*a'), io.input() == f io.close(f) local e = select(2, pcall(io.read)) io.input(old) return a, b, c, d, e`,
	"default input of no file":      `return select(2, pcall(io.input, D..'none')), select(2, pcall(io.input, {})), io.input() == io.stdin`,
	"lines of the default input":    `put('f', '1\n2\n') local old = io.input() io.input(D..'f') local t = {} for l in io.lines() do t[#t+1] = l end local open = io.type(io.input()) io.input(old) return table.concat(t), open`,
	"default output":                `local old = io.output() local f = io.output(D..'f') local r = io.write('a', 1) local s = io.output() == f local u = io.close() local e = select(2, pcall(io.write, 'x')) io.output(old) return r, s, u, e, get('f')`,
	"a file as default output":      `local old, f = io.output(), io.open(D..'f', 'w') io.output(f) io.write('x') io.flush() io.output(old) f:close() return get('f')`,
	"tmpfile":                       `local f = io.tmpfile() f:write('abc') f:seek('set', 1) return f:read('*a'), f:close(), io.type(f)`,
	"tmpname":                       `local n = os.tmpname() local f = io.open(n) return type(n), io.type(f), f:close(), os.remove(n), (io.open(n))`,
	"remove and rename":             `put('f', 'x') return os.rename(D..'f', D..'g'), get('g'), os.remove(D..'g'), (function() local a, b, c = os.remove(D..'g') return a..'' end == nil), select(2, os.remove(D..'g')), select(3, os.remove(D..'g')), select(2, os.rename(D..'g', D..'h'))`,
	"popen reads":                   `local p = io.popen('printf "a\\nb\\n"; exit 3') return p:read(), p:read('*a'), p:read(), p:close()`,
	"popen writes":                  `local p = io.popen('cat > '..D..'f', 'w') p:write('abc', 1) return p:close(), get('f')`,
	"popen lines":                   `local t = {} for l in io.popen('seq 3'):lines() do t[#t+1] = l end return table.concat(t)`,
	"popen wrongly":                 `return io.popen('true', 'x')`,
	"execute":                       `return os.execute(), os.execute('true'), os.execute('exit 3'), os.execute('kill -9 $$'), os.execute('echo x > '..D..'f'), get('f')`,
	"what needs an argument":        `return pcall(io.open)`,
}

const ioSetup = `
local function put(name, text) local f = assert(io.open(D..name, 'w')) f:write(text) f:close() end
local function get(name) local f = assert(io.open(D..name)) local text = f:read('*a') f:close() return text end
local r = {pcall(function() BODY end)}
local n = 0 for i in pairs(r) do if i > n then n = i end end
for i = 1, n do r[i] = tostring(r[i]):gsub('^%b[]:%d+: ', ''):gsub('^%(command line%):%d+: ', ''):gsub("to 'io%.", "to '"):gsub("to '%?'", "to F"):gsub("to '[^']*'", 'to F'):gsub('; usage.*', '') end
return table.concat(r, '|')`

func TestFilesAreReadAndWrittenAsInLua51(t *testing.T) {
	path, err := exec.LookPath("lua5.1")
	if err != nil {
		t.Fatal("lua5.1 is missing, with which the library is compared: apt-get install lua5.1")
	}
	vm, _ := scripttest.New(t)
	dir := filepath.Join(t.TempDir(), "d") + "/"
	for name, body := range ioScripts {
		text := "D = '" + dir + "' " + strings.Replace(ioSetup, "BODY", body, 1)
		fresh := func() {
			if err := errorsOf(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
				t.Fatal(err)
			}
		}
		fresh()
		want, err := exec.Command(path, "-e", "io.write((function() "+text+" end)())").CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v %s", name, err, want)
		}
		fresh()
		if got := scripttest.Eval(vm, text); got != string(want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, want)
		}
	}
}

func errorsOf(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestEndlessFilesAreBounded(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"io.open('/dev/zero'):read('*a')", "ERROR …"},
		[2]string{"io.open('/dev/zero'):read()", "ERROR …"},
		[2]string{"io.open('/dev/zero'):read(1e18)", "ERROR …"},
		[2]string{"#io.open('/dev/zero'):read(1000)", "1000\n"},
		[2]string{"io.open('/dev/zero'):read('*n')", "nil\n"},
		[2]string{"io.open('/dev/null'):read('*a')", "\n"},
		[2]string{"io.open('/dev/full', 'w'):write('x')", "nil\n"},
		[2]string{"select(2, io.open('/dev/full', 'w'):write('x'))", "No space left on device\n"},
	)
}

// A FIFO without anybody at its other end holds up neither the opener nor the reader
// for long, and what comes into one is read.
func TestFIFOIsWaitedForAndNotForEver(t *testing.T) {
	vm, _ := scripttest.New(t)
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	scripttest.Expect(t, vm,
		[2]string{"select(2, io.open('" + path + "', 'w'))", path + ": No such device or address\n"},
		[2]string{"f = io.open('" + path + "')", ""},
	)
	start := time.Now()
	scripttest.Expect(t, vm, [2]string{"select(2, f:read())", "nothing happened in the time that a script may wait\n"})
	if d := time.Since(start); d > limits.LuaPipeTime+5*time.Second {
		t.Errorf("it took %v", d)
	}
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString("later\nrest"); err != nil {
		t.Fatal(err)
	}
	scripttest.Expect(t, vm, [2]string{"f:read()", "later\n"})
	w.Close()
	scripttest.Expect(t, vm, [2]string{"f:read('*a')", "rest\n"}, [2]string{"f:read()", "nil\n"})
}

func TestWhatIsWrittenToTheStandardOutputIsPrinted(t *testing.T) {
	vm, out := scripttest.New(t)
	scripttest.Expect(t, vm,
		[2]string{"io.write('a', 1, '\\n')", "true\n"},
		[2]string{"io.stdout:write('b')", "true\n"},
		[2]string{"io.stderr:write('c')", "true\n"},
		[2]string{"io.read()", "nil\n"},
	)
	if out.String() != "a1\nbc" {
		t.Errorf("the output is %q", out.String())
	}
}

// A command in the background does not hold up the one that started it.
func TestCommandInTheBackgroundIsNotWaitedFor(t *testing.T) {
	vm, _ := scripttest.New(t)
	start := time.Now()
	scripttest.Expect(t, vm, [2]string{"os.execute('sleep 20 >/dev/null 2>&1 &')", "0\n"})
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestExitEndsWithItsStatus(t *testing.T) {
	var got []int
	vm, err := command.New(script.Options{Exit: func(status int) { got = append(got, status) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	scripttest.Expect(t, vm,
		[2]string{"os.exit()", ""},
		[2]string{"x = 1 pcall(os.exit, 3) x = 2", ""},
		[2]string{"x", "1\n"},
		[2]string{"os.exit(false)", ""},
		[2]string{"os.exit(true)", ""},
		[2]string{"os.exit(-1)", ""},
		[2]string{"os.exit({})", "ERROR …"},
	)
	if want := []int{0, 3, 1, 0, 255}; !slices.Equal(got, want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
	plain, _ := scripttest.New(t)
	scripttest.Expect(t, plain, [2]string{"os.exit()", "ERROR …"})
}

// Code is read from files only that have an end and wait for nobody.
func TestCodeOfEndlessFilesIsRefused(t *testing.T) {
	vm, _ := scripttest.New(t)
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo.lua"), 0o600); err != nil {
		t.Fatal(err)
	}
	scripttest.Expect(t, vm,
		[2]string{"dofile('" + dir + "/fifo.lua')", "ERROR cannot open " + dir + "/fifo.lua: not a regular file"},
		[2]string{"select(2, loadfile('" + dir + "/fifo.lua'))", "cannot open " + dir + "/fifo.lua: not a regular file\n"},
		[2]string{"package.path = '" + dir + "/?.lua' require('fifo')", "ERROR …"},
		[2]string{"dofile('/dev/zero')", "ERROR cannot open /dev/zero: too large to be code"},
		[2]string{"dofile('/dev/null')", "nil\n"},
	)
}

// flushing counts how often it had to be carried out what was written.
type flushing struct {
	bytes.Buffer
	flushed int
}

func (f *flushing) Flush(time.Duration) bool { f.flushed++; return true }

// What a command writes comes after what the script has written before.
func TestCommandsWriteAfterTheirScript(t *testing.T) {
	var out flushing
	vm, err := command.New(script.Options{Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	scripttest.Expect(t, vm, [2]string{"print('first') os.execute('true')", ""}, [2]string{"io.popen('true'):close()", "true\n"})
	if out.flushed != 2 {
		t.Errorf("flushed %d times, want 2", out.flushed)
	}
}

// When an evaluation is given up, so are the commands that it waits for.
func TestCommandsOfAnEvaluationThatEndsAreEnded(t *testing.T) {
	vm, _ := scripttest.New(t)
	for _, call := range []string{"os.execute(%s)", "io.popen(%s):read()", "io.popen(%s, 'w'):close()"} {
		pid := filepath.Join(t.TempDir(), "pid")
		ctx, cancel := context.WithCancel(context.Background())
		started := func() int {
			text, _ := os.ReadFile(pid)
			n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			return n
		}
		result := make(chan bool, 1)
		go func() {
			_, isErr := vm.Eval(ctx, fmt.Sprintf(call, "'echo $$ > "+pid+"; sleep 1000'"))
			result <- isErr
		}()
		scripttest.Eventually(t, call+" starts", func() bool { return started() > 0 })
		vm.MapEval(context.Background(), "1") // is served when the command is waited for
		cancel()
		if !<-result {
			t.Errorf("%s: no error", call)
		}
		scripttest.Eventually(t, call+" ends", func() bool { return syscall.Kill(started(), 0) != nil })
	}
}
