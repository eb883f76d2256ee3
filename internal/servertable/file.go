package servertable

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/wording"
)

// Name is the file's name in its directory.
const Name = "servers.tab"

const (
	magic    = "kresd servers\x00\x00\x00"
	version  = 3
	pageSize = 4096 // the header has a page to itself
)

// header is what begins the file. It is written before the file has its name and
// not changed later, but for the epoch behind it.
type header struct {
	Magic   [16]byte
	Version uint32
	Slots   uint32
	Slot    uint32 // octets of one
	_       uint32
	Seed    [2]uint64
	Boot    [16]byte // which start of the machine the times belong to
	Sum     uint64   // over all before
}

// epochAt is where the epoch is, in words from the start of the file.
const epochAt = 16

func newHeader(boot [16]byte) header {
	h := header{Version: version, Slots: limits.ServersKept, Slot: slotWords * 8, Boot: boot}
	copy(h.Magic[:], magic)
	var seed [16]byte
	rand.Read(seed[:])
	h.Seed = [2]uint64{binary.NativeEndian.Uint64(seed[:8]), binary.NativeEndian.Uint64(seed[8:])}
	h.Sum = h.sum()
	return h
}

// octets is the header as it stands in the file. A struct of fixed size has no errors.
func (h *header) octets() []byte {
	b, _ := binary.Append(nil, binary.NativeEndian, h)
	return b
}

func (h *header) sum() uint64 {
	sum := uint64(version)
	b := h.octets()
	for b = b[:len(b)-8]; len(b) > 0; b = b[8:] {
		sum = mix(sum, binary.NativeEndian.Uint64(b))
	}
	return sum
}

var errOldBoot = errors.New("it is from before the machine was started")

// check says why a file with this header cannot be used.
func (h *header) check(boot [16]byte) error {
	switch {
	case string(h.Magic[:]) != magic:
		return errors.New("it is something else")
	case h.Version != version || h.Slots != limits.ServersKept || h.Slot != slotWords*8:
		return errors.New("it was made by another version")
	case h.Sum != h.sum():
		return errors.New("it is damaged")
	case h.Boot != boot:
		return errOldBoot
	}
	return nil
}

const fileSize = pageSize + limits.ServersKept*slotWords*8 + leaseBytes

// bootID names this start of the machine.
func bootID() (id [16]byte, err error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id, err
	}
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("boot_id is %q", text)
	}
	return [16]byte(b), nil
}

// openFile opens the table in dir, or makes one. Processes that do so go one
// after the other, so that all get the same.
func openFile(dir string, boot [16]byte, warn func(string)) (*os.File, header, error) {
	unlock, err := lock(dir)
	if err != nil {
		return nil, header{}, err
	}
	defer unlock()
	path := filepath.Join(dir, Name)
	f, h, err := existing(path, boot)
	if err == nil {
		return f, h, nil
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errOldBoot) {
		warn(fmt.Sprintf("%s is replaced by an empty one: %v", Name, err))
	}
	return create(path, boot)
}

// lock keeps other processes from opening or making the file until unlock. The lock is
// on the directory and dies with its process. A process that is frozen while it has
// the lock keeps others for limits.ServersGate only.
func lock(dir string) (unlock func(), err error) {
	d, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(limits.ServersGate); ; time.Sleep(2 * time.Millisecond) {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK && err != unix.EINTR || time.Now().After(end) {
			return func() { d.Close() }, nil
		}
	}
}

// existing opens a file that can be used as it is.
func existing(path string, boot [16]byte) (f *os.File, h header, err error) {
	f, err = os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, h, reason(err)
	}
	if err = usable(f); err == nil {
		if err = binary.Read(io.NewSectionReader(f, 0, pageSize), binary.NativeEndian, &h); err == nil {
			err = h.check(boot)
		}
	}
	if err != nil {
		f.Close()
		return nil, h, err
	}
	return f, h, nil
}

// usable looks at what kind of file it is. A short one would end whoever touches
// what is not there.
func usable(f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return errors.New("it is not a regular file")
	case st.Mode&0o022 != 0:
		return errors.New("others may write to it")
	case st.Nlink > 1:
		return errors.New("it has a second name")
	case st.Size != fileSize:
		return fmt.Errorf("it has %d octets instead of %d", st.Size, fileSize)
	}
	return nil
}

// create makes an empty table. Its room on the disk is taken at once: a page that
// finds none later would kill whoever touches it.
func create(path string, boot [16]byte) (f *os.File, h header, err error) {
	h = newHeader(boot)
	temp := path + ".new"
	os.Remove(temp) // what cannot be removed keeps the next line from making the file
	f, err = os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, h, reason(err)
	}
	if err = reason(fill(f, &h)); err == nil {
		err = reason(os.Rename(temp, path))
	}
	if err != nil {
		f.Close()
		os.Remove(temp)
		return nil, h, err
	}
	return f, h, nil
}

func fill(f *os.File, h *header) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, fileSize)
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
		_, err = f.Write(make([]byte, fileSize))
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt(h.octets(), 0)
	return err
}

// reason is the system's word about a file that stands in the way.
func reason(err error) error {
	switch {
	case errors.Is(err, syscall.ELOOP):
		return errors.New("it is a symbolic link")
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.EEXIST):
		return errors.New("it is a directory")
	}
	return wording.Reason(err)
}
