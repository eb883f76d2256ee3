package language

import (
	"bufio"
	"os"
	"os/exec"
	"syscall"
	"time"

	"kresd/internal/limits"
	"kresd/internal/script"
)

// A child is a command of the shell that a script has started.
type child struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// startCommand runs a command beside the machine. It writes where this process does, after
// what scripts have written, and reads nothing unless in is given.
func startCommand(vm *script.VM, command string, in, out *os.File) (*child, error) {
	flush(vm)
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if in != nil {
		cmd.Stdin = in
	}
	if out != nil {
		cmd.Stdout = out
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that all of it can be ended
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, ended: make(chan struct{})}
	vm.Options().Goroutines.Go("command of a script", func() {
		defer close(c.ended)
		_ = cmd.Wait() // its status is in cmd.ProcessState
	})
	return c, nil
}

// flush waits, for a while, until what scripts have written is out.
func flush(vm *script.VM) {
	for _, w := range []any{vm.Options().Stdout, vm.Options().Stderr} {
		if f, ok := w.(interface{ Flush(time.Duration) bool }); ok {
			f.Flush(limits.ConsoleWrite)
		}
	}
}

// status is what C's system returns.
func (c *child) status() int {
	if ws, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		return int(ws)
	}
	return -1
}

// kill ends the command and what it has started.
func (c *child) kill() {
	select {
	case <-c.ended:
	default:
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// openCommand is popen: a stream to read what a command writes, or to write what it
// reads.
func openCommand(vm *script.VM, command, mode string) (*stream, error) {
	if mode != "r" && mode != "w" {
		return nil, syscall.EINVAL
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	mine, its, in, out := r, w, (*os.File)(nil), w
	if mode == "w" {
		mine, its, in, out = w, r, r, nil
	}
	c, err := startCommand(vm, command, in, out)
	its.Close()
	if err != nil {
		mine.Close()
		return nil, err
	}
	s := &stream{file: mine, slow: true, child: c}
	if mode == "r" {
		s.in = bufio.NewReader(mine)
	} else {
		s.out = mine
	}
	return s, nil
}

// awaitChild waits for the end of a command, which comes at the latest with the end
// of the time that it has.
func awaitChild(c *script.Call, child *child) error {
	timer := time.AfterFunc(limits.LuaCommandTime, child.kill)
	defer timer.Stop()
	err := c.Wait(child.ended)
	if err != nil {
		child.kill()
	}
	return err
}
