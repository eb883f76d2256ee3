package querylog

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/wording"
)

// A sink takes lines. write returns how many of a batch it took.
type sink interface {
	write(b *batch) (lines int, err error)
	close()
}

// A kind is where lines go.
type kind uint8

const (
	nowhere kind = iota
	file
	socket
	journal
)

// open makes the sink that is wanted.
func (o *options) open() (sink, error) {
	switch o.kind {
	case file:
		f, err := openFile(o.path)
		if err != nil {
			return nil, err
		}
		return f, nil
	case journal:
		return &datagrams{path: o.path, frame: forJournal}, nil
	}
	return &datagrams{path: o.path, frame: func(line []byte) []byte { return line }}, nil
}

// logFile is a file that lines are added to, by several workers at once.
type logFile struct {
	path   string
	f      *os.File
	id     fileID
	looked time.Time // at which file has the path
	torn   bool      // the disk was full in the middle of a line, which has no end
}

// fileID tells files apart.
type fileID struct{ dev, ino uint64 }

func openFile(path string) (*logFile, error) {
	l := &logFile{path: path}
	if err := l.reopen(); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *logFile) reopen() error {
	l.close()
	l.torn = false
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o640)
	if err != nil {
		return fmt.Errorf("file '%s': %w", l.path, wording.Reason(err))
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		f.Close()
		return fmt.Errorf("file '%s' is no regular file; use socket or journal for what is none", l.path)
	}
	l.f, l.id = f, fileID{st.Dev, st.Ino}
	return nil
}

// write implements sink. A file that was renamed or removed is left to whoever did that:
// within a second a new one is begun. All of a batch is one write, so that lines of
// several workers do not mix.
func (l *logFile) write(b *batch) (int, error) {
	if now := time.Now(); now.Sub(l.looked) >= time.Second || l.f == nil {
		l.looked = now
		var st unix.Stat_t
		if err := unix.Stat(l.path, &st); l.f == nil || err != nil || l.id != (fileID{st.Dev, st.Ino}) {
			if err := l.reopen(); err != nil {
				return 0, err
			}
		}
	}
	if l.torn {
		if _, err := l.f.WriteString("\n"); err != nil {
			return 0, fmt.Errorf("file '%s': %w", l.path, wording.Reason(err))
		}
		l.torn = false
	}
	n, err := l.f.Write(b.text)
	if err == nil {
		return len(b.ends), nil
	}
	lines := 0
	for lines < len(b.ends) && b.ends[lines] <= n {
		lines++
	}
	l.torn = n > 0 && b.text[n-1] != '\n'
	return lines, fmt.Errorf("file '%s': %w", l.path, wording.Reason(err))
}

// close implements sink.
func (l *logFile) close() {
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
}

// datagrams are lines to a UNIX socket, each a datagram of its own.
type datagrams struct {
	path  string
	frame func(line []byte) []byte
	conn  *net.UnixConn
	stuck bool // the receiver did not take the last line
}

// write implements sink. A receiver that was started again has another socket. One that
// takes nothing for limits.QueryLogStall loses the rest of the batch, and then whatever
// it does not take at once, until it does. A line that is too long for the receiver's
// socket is lost alone.
func (d *datagrams) write(b *batch) (lines int, err error) {
	wait := limits.QueryLogStall
	if d.stuck {
		wait = time.Millisecond // in the past nothing would be tried
	}
	by, start := time.Now().Add(wait), 0
	for _, end := range b.ends {
		failed := d.send(d.frame(b.text[start:end-1]), by)
		d.stuck = os.IsTimeout(failed)
		start = end
		if failed == nil {
			lines++
			continue
		}
		err = fmt.Errorf("socket '%s': %w", d.path, wording.Reason(failed))
		if !errors.Is(failed, unix.EMSGSIZE) {
			return lines, err
		}
	}
	return lines, err
}

func (d *datagrams) send(line []byte, by time.Time) error {
	if d.conn != nil {
		_ = d.conn.SetWriteDeadline(by)
		if _, err := d.conn.Write(line); err == nil || os.IsTimeout(err) || errors.Is(err, unix.EMSGSIZE) {
			return err
		}
		d.close()
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: d.path, Net: "unixgram"})
	if err != nil {
		return err
	}
	d.conn = conn
	_ = conn.SetWriteDeadline(by)
	_, err = conn.Write(line)
	return err
}

// close implements sink.
func (d *datagrams) close() {
	if d.conn != nil {
		d.conn.Close()
		d.conn = nil
	}
}

// journalSocket takes entries in the journal's native protocol.
const journalSocket = "/run/systemd/journal/socket"

// forJournal is an entry of the journal: a field a line. A line of ours has no newline
// within.
func forJournal(line []byte) []byte {
	return fmt.Appendf(nil, "PRIORITY=6\nSYSLOG_IDENTIFIER=kresd-querylog\nMESSAGE=%s\n", line)
}
