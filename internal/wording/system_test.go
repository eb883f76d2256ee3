package wording

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

func TestTheSystemsWords(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{os.NewSyscallError("setgroups", syscall.EPERM), "Operation not permitted"},
		{&os.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}, "No such file or directory"},
		{errors.New("something else"), "Something else"},
	} {
		if got := System(c.err); got != c.want {
			t.Errorf("%v reads %q, want %q", c.err, got, c.want)
		}
	}
}
