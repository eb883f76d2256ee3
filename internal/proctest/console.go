package proctest

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// consoleWait is how long a command may take: map() waits for siblings 2 s each.
const consoleWait = 15 * time.Second

// A Console is a client of a worker's control socket.
type Console struct {
	conn net.Conn
}

// Dial connects to a control socket and reads its first prompt.
func Dial(path string) (*Console, error) {
	conn, err := net.DialTimeout("unix", path, consoleWait)
	if err != nil {
		return nil, err
	}
	c := &Console{conn: conn}
	if _, err := c.read(); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the connection.
func (c *Console) Close() { c.conn.Close() }

// Send writes bytes without waiting for anything.
func (c *Console) Send(text string) error {
	_, err := c.conn.Write([]byte(text))
	return err
}

// Do sends a command and returns what came before the next prompt, exactly: a
// value ends with its own newline.
func (c *Console) Do(command string) (string, error) {
	if err := c.Send(command + "\n"); err != nil {
		return "", err
	}
	return c.read()
}

// read reads up to a prompt, "> " at the start of a line, with nothing after it.
func (c *Console) read() (string, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(consoleWait)); err != nil {
		return "", err
	}
	var got []byte
	buf := make([]byte, 65536)
	for {
		n, err := c.conn.Read(buf)
		got = append(got, buf[:n]...)
		if text, ok := bytes.CutSuffix(got, []byte("\n> ")); ok {
			return string(text), nil
		}
		if string(got) == "> " {
			return "", nil
		}
		if err != nil {
			return "", fmt.Errorf("console: %w after %q", err, got)
		}
	}
}

// Eval runs one command on a control socket and returns the text of its value.
func Eval(t testing.TB, socket, command string) string {
	t.Helper()
	text, err := eval(socket, command)
	if err != nil {
		t.Fatalf("%s: %s: %v", socket, command, err)
	}
	return text
}

func eval(socket, command string) (string, error) {
	c, err := Dial(socket)
	if err != nil {
		return "", err
	}
	defer c.Close()
	text, err := c.Do(command)
	return strings.TrimSuffix(text, "\n"), err
}
