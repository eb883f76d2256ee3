package language

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/script"
	"kresd/internal/wording"
)

// A stream is an open file, pipe or standard stream as scripts hold it. Reads are
// buffered, writes are not: what was written is there for others at once.
type stream struct {
	file     *os.File // nil: there is nothing to seek or to close
	in       *bufio.Reader
	out      io.Writer
	standard bool // cannot be closed
	closed   bool
	slow     bool   // a read or a write may have to wait for somebody else
	child    *child // the command at the other end of a pipe
}

// openFile opens a file as C's fopen does, but waits for nobody at the other end of a FIFO.
func openFile(name, mode string) (*os.File, error) {
	flags, ok := openFlags(mode)
	if !ok {
		return nil, syscall.EINVAL
	}
	return os.OpenFile(name, flags|unix.O_NONBLOCK, 0o666)
}

// openFlags are those of a mode of fopen: r, w or a, with a + for both directions.
// What else stands there, such as b, has no meaning on Linux.
func openFlags(mode string) (flags int, ok bool) {
	if mode == "" {
		return 0, false
	}
	flags, ok = map[byte]int{
		'r': os.O_RDONLY,
		'w': os.O_WRONLY | os.O_CREATE | os.O_TRUNC,
		'a': os.O_WRONLY | os.O_CREATE | os.O_APPEND,
	}[mode[0]]
	if strings.Contains(mode, "+") {
		flags = flags&^os.O_WRONLY | os.O_RDWR
	}
	return flags, ok
}

func newStream(f *os.File) *stream {
	s := &stream{file: f, in: bufio.NewReader(newFollower(f)), out: f}
	if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		s.slow = f.SetDeadline(time.Time{}) == nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 || isTerminal(f)
	}
	return s
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// A follower reads a file. A FIFO that nobody has written to yet is at its end to the
// kernel; here its reader waits for a writer.
type follower struct {
	file *os.File
	fifo bool // and nothing came yet
}

func newFollower(f *os.File) *follower {
	info, err := f.Stat()
	return &follower{file: f, fifo: err == nil && info.Mode()&os.ModeNamedPipe != 0}
}

func (s *follower) Read(p []byte) (int, error) {
	for {
		n, err := s.file.Read(p)
		s.fifo = s.fifo && n == 0
		if err != io.EOF || !s.fifo {
			return n, err
		}
		time.Sleep(10 * time.Millisecond) // the kernel does not tell of a first writer
	}
}

// write writes where the script has read to.
func (s *stream) write(text string) error {
	if s.out == nil {
		return syscall.EBADF
	}
	if err := s.forget(); err != nil {
		return err
	}
	_, err := io.WriteString(s.out, text)
	return err
}

// forget drops what was read ahead, so that the file's own position is the script's.
func (s *stream) forget() error {
	if s.in == nil || s.file == nil || s.in.Buffered() == 0 || s.slow {
		return nil
	}
	_, err := s.file.Seek(-int64(s.in.Buffered()), io.SeekCurrent)
	s.in.Reset(newFollower(s.file))
	return err
}

func (s *stream) seek(offset int64, whence int) (int64, error) {
	if s.file == nil {
		return 0, syscall.ESPIPE
	}
	if err := s.forget(); err != nil {
		return 0, err
	}
	return s.file.Seek(offset, whence)
}

// close closes the file. The command behind a pipe is the caller's to wait for.
func (s *stream) close() error {
	s.closed, s.in, s.out = true, nil, nil
	return s.file.Close()
}

// giveUp ends a read or a write that waits on another goroutine, until done. One
// that cannot be ended keeps what it was given, and the stream is of no use then.
func (s *stream) giveUp(done <-chan struct{}) {
	if s.file != nil && s.file.SetDeadline(time.Unix(1, 0)) == nil {
		<-done
		_ = s.file.SetDeadline(time.Time{})
		return
	}
	s.in, s.out = nil, nil
}

// errTime is the reason when nothing came from the other side.
var errTime = errors.New("nothing happened in the time that a script may wait")

// reason is an error of the system in the words and by the number of C's library.
func reason(err error) (text string, number int) {
	var e syscall.Errno
	if !errors.As(err, &e) {
		if errors.Is(err, os.ErrClosed) {
			e = syscall.EBADF
		} else {
			return err.Error(), int(syscall.EIO)
		}
	}
	return wording.System(e), int(e)
}

// outside does what may have to wait for somebody else. The machine serves what
// cannot wait meanwhile. fn touches no Lua value.
func outside(c *script.Call, s *stream, fn func() error) error {
	if !s.slow {
		return fn()
	}
	limit := limits.LuaPipeTime
	if s.child != nil {
		limit = limits.LuaCommandTime
	}
	var (
		once        sync.Once
		done, early = make(chan struct{}), make(chan struct{})
		end         = func() { once.Do(func() { close(early) }) }
		err         error
	)
	timer := time.AfterFunc(limit, end)
	defer timer.Stop()
	c.VM().Options().Goroutines.Go("file of a script", func() {
		defer end()
		defer close(done)
		err = fn()
	})
	interrupt := c.Wait(early)
	select {
	case <-done:
	default:
		s.giveUp(done)
		if s.child != nil {
			s.child.kill()
		}
		err = errTime
	}
	if interrupt != nil {
		return interrupt
	}
	return err
}
