package worker

import (
	"os"
	"syscall"
	"testing"
)

func TestTheSystemsWordOnUser(t *testing.T) {
	if got := capitalised(os.NewSyscallError("setgroups", syscall.EPERM)); got != "Operation not permitted" {
		t.Errorf("EPERM reads %q", got)
	}
}
