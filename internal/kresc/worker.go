package kresc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"kresd/internal/console"
	"kresd/internal/ipc"
	"kresd/internal/limits"
	"kresd/internal/safe"
	"kresd/internal/wording"
)

// A worker is a connection to one.
type worker struct {
	console.Identity
	Group int // the process that started it, or itself

	path   string
	conn   net.Conn
	frames chan []byte // what comes; closed when the connection has ended
	gone   atomic.Bool // the connection has ended
}

// errStale says that a worker has died and left its socket behind.
var errStale = errors.New("its worker is dead, the socket was left behind")

// open connects to the worker of a socket.
func open(path string) (*worker, error) {
	conn, err := dial(path)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("'%s' is skipped: %w", path, errStale)
	case err != nil:
		return nil, inaccessible(path, err)
	}
	w := &worker{path: path, conn: conn, frames: make(chan []byte)}
	r := bufio.NewReader(conn)
	if err := w.welcome(r); err != nil {
		conn.Close()
		return nil, fmt.Errorf("'%s' is skipped: %w", path, err)
	}
	w.Group = groupOf(w.PID)
	safe.Go("frames", nil, func() { w.read(r) })
	return w, nil
}

// welcome asks for frames.
func (w *worker) welcome(r *bufio.Reader) error {
	if err := w.conn.SetDeadline(time.Now().Add(limits.ClientWelcome)); err != nil {
		return err
	}
	if _, err := w.conn.Write([]byte(console.FramesGreeting + "\n")); err != nil {
		return wording.Reason(err)
	}
	line, err := r.ReadString('\n')
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("its worker has not answered within %v", limits.ClientWelcome)
	}
	_, who, ok := strings.Cut(line, console.FramesWelcome)
	if reason, refused := strings.CutPrefix(line, "error: "); refused {
		return errors.New(strings.TrimSpace(reason))
	}
	if err != nil || !ok || json.Unmarshal([]byte(who), &w.Identity) != nil {
		return errors.New("what listens there does not speak with kresc; it may be another version of kresd")
	}
	return w.conn.SetDeadline(time.Time{})
}

func (w *worker) read(r *bufio.Reader) {
	defer close(w.frames)
	for {
		f, err := ipc.ReadFrame(r, console.FrameMax)
		if err != nil || len(f) == 0 {
			w.gone.Store(true)
			return
		}
		w.frames <- f
	}
}

func (w *worker) close() {
	w.gone.Store(true)
	w.conn.Close()
}

// name is what messages call a worker.
func (w *worker) name() string { return fmt.Sprintf("worker %d (process %d)", w.Worker, w.PID) }

// groupOf finds the group of a worker: its supervisor is the process that started it.
// Where that is no kresd, the worker is alone.
func groupOf(pid int) int {
	stat := processStat(pid)
	if len(stat) == 0 {
		return pid
	}
	parent, err := strconv.Atoi(stat[1])
	if err != nil {
		return pid
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", parent))
	if err != nil || !strings.HasPrefix(string(comm), "kresd") {
		return pid
	}
	return parent
}

// processStat has the fields of /proc/PID/stat behind the name, which is in parentheses and
// may hold anything: the state, the parent, and what proc(5) lists as fields 5 and
// up. It is empty where they cannot be read.
func processStat(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 {
		return nil
	}
	return fields
}

// openAll connects to all workers at once, so that several which do not answer are waited
// for no longer than one. It returns those that answer, in the order of groups and numbers,
// and the errors of the others, in the order of their texts. A worker that has ended since
// it was found is no error.
func openAll(paths []string) (workers []*worker, troubles []error) {
	type outcome struct {
		w   *worker
		err error
	}
	outcomes := make(chan outcome)
	for _, path := range paths {
		safe.Go("open", nil, func() {
			w, err := open(path)
			outcomes <- outcome{w, err}
		})
	}
	for range paths {
		o := <-outcomes
		switch {
		case o.err == nil:
			workers = append(workers, o.w)
		case !errors.Is(o.err, os.ErrNotExist): // it ended since it was found
			troubles = append(troubles, o.err)
		}
	}
	slices.SortFunc(troubles, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return sorted(workers), troubles
}

// errLost says that a worker ended or fell silent before it answered.
var errLost = errors.New("lost")

// request sends a request and returns the frame that ends its answer. Output that comes
// before that frame goes to printed. When ctx ends the worker is told to end the command, whose
// answer then says so. An error is that of a worker that is lost, whose connection is
// closed then.
func (w *worker) request(ctx context.Context, kind byte, text string, printed func(string)) ([]byte, error) {
	if err := w.send(kind, text); err != nil {
		return nil, w.lost("it has ended")
	}
	interrupt, limit := ctx.Done(), time.NewTimer(limits.ClientAnswer)
	defer limit.Stop()
	for {
		select {
		case f, ok := <-w.frames:
			switch {
			case !ok:
				return nil, w.lost("it ended before it answered")
			case f[0] != console.RespPrinted:
				return f, nil
			}
			printed(string(f[1:]))
		case <-interrupt:
			interrupt = nil
			limit.Reset(limits.ClientObeyed)
			if err := w.send(console.ReqInterrupt, ""); err != nil {
				return nil, w.lost("it has ended")
			}
		case <-limit.C:
			return nil, w.lost("it does not answer")
		}
	}
}

// inform is request for what runs no command and takes no time.
func (w *worker) inform(kind byte, text string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limits.ClientWelcome)
	defer cancel()
	return w.request(ctx, kind, text, func(string) {})
}

func (w *worker) send(kind byte, text string) error {
	if err := w.conn.SetWriteDeadline(time.Now().Add(limits.ClientWelcome)); err != nil {
		return err
	}
	return ipc.WriteFrame(w.conn, append([]byte{kind}, text...), console.FrameMax)
}

func (w *worker) lost(why string) error {
	w.close()
	return fmt.Errorf("%s is %w: %s", w.name(), errLost, why)
}
