package privilege

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// What is given up cannot be had back, so each part of these tests is played by a process
// of its own, which prints what is wrong: this program, with a part's name in roleVar.
const roleVar = "PRIVILEGE_TEST_ROLE"

var roles = map[string]func() error{
	"all":           giveUpAll,
	"keep":          keepOne,
	"image":         keepTheImage,
	"hide":          hideAlone,
	"children":      keepFromChildren,
	"hand on":       handOnWhatCanBe,
	"half":          handOnHalf,
	"filtered":      filtered,
	"filtered bind": filteredBind,
	"cannot hide":   cannotHide,
}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		if err := roles[role](); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has what is to be given up")
	}
	for role := range roles {
		t.Run(role, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), roleVar+"="+role)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// threads starts some more, so that it counts that all of them give up what one does.
func threads() {
	for range 4 {
		up := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(up)
			select {}
		}()
		<-up
	}
}

// want says of which thread a line of its status is not as wanted.
func want(field, value string) error {
	paths, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(paths) < 4 {
		return fmt.Errorf("threads %v, %v", paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			name, is, _ := strings.Cut(line, ":")
			if name == field && strings.TrimLeft(strings.TrimSpace(is), "0") != strings.TrimLeft(value, "0") {
				return fmt.Errorf("%s: %s is %s, want %s", path, field, strings.TrimSpace(is), value)
			}
		}
	}
	return nil
}

func mask(rights ...Right) string {
	var bits uint64
	for _, r := range rights {
		bits |= 1 << r
	}
	return fmt.Sprintf("%x", bits)
}

// image says whether the memory of this process is not to be seen, or to be seen.
func image(visible bool) error {
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err == nil && dumpable == 1 != visible {
		err = fmt.Errorf("PR_GET_DUMPABLE says %d", dumpable)
	}
	return err
}

func giveUpAll() error {
	threads()
	var core unix.Rlimit
	return errors.Join(Renounce(false), want("CapPrm", "0"), want("CapEff", "0"), want("CapAmb", "0"), want("CapInh", "0"), want("NoNewPrivs", "1"), image(false),
		unix.Getrlimit(unix.RLIMIT_CORE, &core), same(core, unix.Rlimit{}), Renounce(false)) // a second time is no error
}

func same(got, want unix.Rlimit) error {
	if got != want {
		return fmt.Errorf("got %+v, want %+v", got, want)
	}
	return nil
}

func keepOne() error {
	threads()
	err := errors.Join(Renounce(false, Bind, cap.SETUID), want("CapPrm", mask(Bind, cap.SETUID)), want("CapEff", mask(Bind, cap.SETUID)))
	// What is gone is not had back by being kept.
	return errors.Join(err, Renounce(false, Bind), Renounce(false, Bind, cap.SETUID), want("CapPrm", mask(Bind)))
}

func keepTheImage() error {
	threads()
	return errors.Join(Renounce(true), want("CapPrm", "0"), want("NoNewPrivs", "1"), image(true))
}

// hideAlone hides the memory and keeps all else; the files of the process are root's.
func hideAlone() error {
	threads()
	before := cap.GetProc()
	err := errors.Join(image(true), Hide(), image(false), want("NoNewPrivs", "0"))
	if d, bad := before.Cf(cap.GetProc()); bad != nil || d != 0 {
		err = errors.Join(err, fmt.Errorf("capabilities changed: %v, %v", d, bad))
	}
	return err
}

// give makes rights such that they could be ambient, and some of them so.
func give(rights []Right, ambient ...Right) error {
	have := cap.GetProc()
	if err := have.SetFlag(cap.Inheritable, true, rights...); err != nil {
		return err
	}
	return errors.Join(have.SetProc(), cap.SetAmbient(true, ambient...))
}

func keepFromChildren() error {
	threads()
	all := cap.GetProc()
	if err := errors.Join(give([]Right{Bind}, Bind), want("CapAmb", mask(Bind)), KeepFromChildren(), want("CapAmb", "0")); err != nil {
		return err
	}
	if held, err := cap.GetProc().GetFlag(cap.Permitted, Bind); err != nil || !held {
		return fmt.Errorf("the process itself has lost it: %v; %v, before %v", err, cap.GetProc(), all)
	}
	return nil
}

// handOnWhatCanBe hands on what is inheritable and no more.
func handOnWhatCanBe() error {
	threads()
	return errors.Join(give([]Right{Bind, cap.CHOWN}), want("CapAmb", "0"), HandOn(), want("CapAmb", mask(Bind, cap.CHOWN)))
}

// handOnHalf fails at the second right: the first is not handed on either, to workers that
// are started later.
func handOnHalf() error {
	threads()
	refused := errors.New("refused")
	err := handOn([]Right{Bind, cap.CHOWN}, func(r Right) error {
		if r == Bind {
			return errors.Join(give([]Right{Bind}, Bind), want("CapAmb", mask(Bind)))
		}
		return refused
	})
	if !errors.Is(err, refused) {
		return fmt.Errorf("it says %v", err)
	}
	return want("CapAmb", "0")
}

// forbid has all threads be refused to change their capabilities, as by
// SystemCallFilter=~@privileged.
func forbid() error {
	return refuse([]unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CAPSET, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	})
}

// refuse has the calls of all threads go through a filter (seccomp(2)).
func refuse(program []unix.SockFilter) error {
	threads()
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&filter)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return fmt.Errorf("seccomp(2): %w", errno)
	}
	return nil
}

// cannotHide cannot keep its memory to itself, says so, and gives up all else.
func cannotHide() error {
	err := refuse([]unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_PRCTL, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16}, // the low half of its first argument
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.PR_SET_DUMPABLE, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	})
	if err != nil {
		return err
	}
	if err := Renounce(false); !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "core dumps cannot be turned off") {
		return fmt.Errorf("it says %v", err)
	}
	return errors.Join(image(true), want("CapPrm", "0"), want("CapEff", "0"), want("NoNewPrivs", "1"))
}

// filtered cannot give up what is more than the right to bind ports, and says so.
func filtered() error {
	if err := forbid(); err != nil {
		return err
	}
	if err := Renounce(false); !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "cannot be given up") {
		return fmt.Errorf("it says %v", err)
	}
	return nil
}

// filteredBind has nothing but that right, and keeps it without a word.
func filteredBind() error {
	return errors.Join(Renounce(false, Bind), forbid(), Renounce(false), want("CapPrm", mask(Bind)))
}

// Who may become another user has what that takes.
func TestToBecomeAnother(t *testing.T) {
	if got := mask(ToBecomeAnother()...); got != mask(0, 1, 2, 3, 6, 7, 10) { // capability.h
		t.Errorf("the rights are %s", got)
	}
}
