package memfile

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// Memory that could be executed is refused where the system wants it so (sysctl
// vm.memfd_noexec=2).
func TestNobodyCanExecuteIt(t *testing.T) {
	if fd, err := create("probe", unix.MFD_NOEXEC_SEAL); errors.Is(err, unix.EINVAL) {
		t.Skip("this kernel, before Linux 6.3, has no memory that cannot be executed")
	} else if err == nil {
		unix.Close(fd)
	}
	f, err := New("text")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Mode().Perm()&0o111 != 0 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if f.Chmod(0o700) == nil {
		t.Error("it can be made executable")
	}
}

func TestItIsClosedByOtherProgramsAndCanBeSealed(t *testing.T) {
	f, err := New("text")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("its flags are %d, %v", flags, err)
	}
	if _, err := f.WriteString("text"); err != nil {
		t.Error(err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SEAL); err != nil {
		t.Error(err)
	}
	if _, err := f.WriteString("more"); err == nil {
		t.Error("what is sealed was written to")
	}
}
