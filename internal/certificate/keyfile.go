package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/wording"
)

// KeyFile is where the key of ephemeral certificates is kept, in the run
// directory.
const KeyFile = "ephemeral_key.pem"

// HandOver makes the user that the group runs as from now on the owner of the key's file.
// It leaves a file alone that belongs to another user or has a second name: everybody who
// may write to the directory can put such a file there.
func HandOver(uid int) {
	f, err := os.OpenFile(KeyFile, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil { // it need not be there
		return
	}
	defer f.Close()
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 1 && int(st.Uid) == os.Geteuid() {
		_ = f.Chown(uid, -1) // on failure: a process that cannot read the file makes another
	}
}

// sharedKey is the key that the processes of a run directory have in common. The process
// that needs it first makes it; a file that belongs to one of users is trusted like the
// process's own. exposed says why the key that was there is not used any more; "": it is
// used, or there was none.
func sharedKey(users ...int) (key crypto.Signer, exposed string, err error) {
	for range limits.CertificateKeyTries {
		f, err := openKey()
		if err != nil {
			return nil, exposed, err
		}
		key, why, err := useKey(f, users)
		f.Close()
		if why != "" {
			exposed = why
		}
		if key != nil || err != nil {
			return key, exposed, err
		}
	}
	return nil, exposed, errors.New("somebody replaces it all the time")
}

// openKey opens the key's file, or makes it, and has it alone until it is closed.
func openKey() (*os.File, error) {
	f, err := os.OpenFile(KeyFile, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, unix.ELOOP) {
		return nil, errors.New("it is a symbolic link, and a key lies there itself or not at all")
	}
	if err != nil {
		return nil, wording.Reason(err)
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// useKey gives the key in a file that this process has alone, nil where another file
// has come into its place. One that was exposed gives way.
func useKey(f *os.File, users []int) (key crypto.Signer, exposed string, err error) {
	if same, err := inPlace(f); err != nil || !same {
		return nil, "", err
	}
	exposed, err = exposure(f, users)
	switch {
	case err != nil:
	case exposed != "":
		err = wording.Reason(os.Remove(KeyFile))
	default:
		key, err = keyIn(f)
	}
	return key, exposed, err
}

// inPlace tells whether an open file still is the one of the key: who had the lock
// before may have replaced it.
func inPlace(f *os.File) (bool, error) {
	here, err := f.Stat()
	if err != nil {
		return false, wording.Reason(err)
	}
	there, err := os.Lstat(KeyFile)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(here, there), wording.Reason(err)
}

// lock waits until this process has the file alone, for limits.CertificateLock at most,
// since a process may be frozen while it has the lock. The system ends a lock with its
// holder.
func lock(f *os.File) error {
	for end := time.Now().Add(limits.CertificateLock); ; time.Sleep(limits.CertificateLockLook) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return err
		case time.Now().After(end):
			return errors.New("another process has it and does not go on")
		}
	}
}

// exposure says how others than this process's user could have learnt a key in the
// file, or put it there; "" if they could not. A file that was open to others is
// given up whole: who has it open reads what is written into it later, too.
func exposure(f *os.File, users []int) (why string, err error) {
	st, dir := unix.Stat_t{}, unix.Stat_t{}
	err = unix.Fstat(int(f.Fd()), &st)
	if err == nil {
		err = unix.Stat(".", &dir)
	}
	switch mode := st.Mode; {
	case err != nil:
		return "", wording.Reason(err)
	case mode&unix.S_IFMT != unix.S_IFREG:
		return "", errors.New("it is no regular file")
	case mode&0o077 != 0:
		return fmt.Sprintf("users other than its owner could open it (mode %04o)", mode&0o7777), nil
	case !slices.Contains(slices.Concat(users, []int{0, os.Geteuid(), int(dir.Uid)}), int(st.Uid)):
		return fmt.Sprintf("it belonged to user %d, who is neither kresd's user nor that of the directory", st.Uid), nil
	}
	return "", nil
}

// keyIn is the key in the file. One that holds none is filled anew.
func keyIn(f *os.File) (crypto.Signer, error) {
	text, err := io.ReadAll(io.LimitReader(f, limits.CertificateFile))
	if err != nil {
		return nil, wording.Reason(err)
	}
	if key := signerIn(text); key != nil {
		return key, nil
	}
	key, text, err := newKey()
	if err == nil {
		err = errors.Join(f.Truncate(0), rewrite(f, text))
	}
	return key, wording.Reason(err)
}

func rewrite(f *os.File, text []byte) error {
	_, err := f.WriteAt(text, 0)
	return errors.Join(err, f.Sync())
}

// signerIn is the private key in a text, or nil.
func signerIn(text []byte) crypto.Signer {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return key
		}
		key, _ := x509.ParsePKCS8PrivateKey(block.Bytes)
		if signer, ok := key.(crypto.Signer); ok {
			return signer
		}
	}
	return nil
}

// newKey is a key, and the text of its file.
func newKey() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}
