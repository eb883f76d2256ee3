package certificate

import (
	"crypto"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// equal tells whether two keys are the same.
func equal(a, b crypto.Signer) bool {
	return a.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(b.Public())
}

// A key that others could read, or put there, is replaced by a new one in a new file,
// and the operator is told; whoever has the old file open learns nothing.
func TestAKeyThatOthersCouldReadIsReplaced(t *testing.T) {
	for name, tc := range map[string]struct {
		expose func() error
		says   string
	}{
		"of the group": {func() error { return os.Chmod(KeyFile, 0o640) }, "users other than its owner could open it (mode 0640)"},
		"of all":       {func() error { return os.Chmod(KeyFile, 0o604) }, "users other than its owner could open it (mode 0604)"},
		"to write":     {func() error { return os.Chmod(KeyFile, 0o620) }, "users other than its owner could open it (mode 0620)"},
		"of another": {func() error { return os.Chown(KeyFile, 12345, -1) },
			"it belonged to user 12345, who is neither kresd's user nor that of the directory"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			before, _, err := sharedKey()
			if err != nil {
				t.Fatal(err)
			}
			if err := tc.expose(); err != nil {
				t.Skip("only root may: ", err)
			}
			thief, err := os.Open(KeyFile)
			if err != nil {
				t.Fatal(err)
			}
			defer thief.Close()
			shown := h.leaf(t)
			if told := h.told(); !strings.Contains(told, "the key in 'ephemeral_key.pem' is not used any more: "+tc.says+"; a new one is made") {
				t.Errorf("told %q", told)
			}
			after, exposed, err := sharedKey()
			if err != nil || exposed != "" || equal(before, after) {
				t.Fatalf("the old key is in use: %v, exposed %q", err, exposed)
			}
			if !after.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(shown.PublicKey) {
				t.Error("clients are shown another key than the one in the file")
			}
			if text, err := io.ReadAll(thief); err != nil || !equal(signerIn(text), before) {
				t.Errorf("who had the file open reads another key than the old one (%v)", err)
			}
			if info, err := os.Stat(KeyFile); err != nil || info.Mode() != 0o600 {
				t.Errorf("the new file: %v, %v", info, err)
			}
		})
	}
}

// Who owns the directory can put any key there, and is trusted with this one: kresd
// that begins as root meets the key that it gave to its user.
func TestTheKeyOfTheDirectorysOwnerIsKept(t *testing.T) {
	newHost(t)
	before, _, err := sharedKey()
	if err != nil {
		t.Fatal(err)
	}
	if os.Chown(".", 12345, -1) != nil {
		t.Skip("only root may give a directory away")
	}
	HandOver(12345)
	if after, exposed, err := sharedKey(); err != nil || exposed != "" || !equal(before, after) {
		t.Errorf("not kept: %v, %q", err, exposed)
	}
}

// Who begins as root in a directory of root's, and becomes a user then, finds the key that
// it gave to this user the time before, and keeps its pin.
func TestTheKeyOfTheUserToComeIsKept(t *testing.T) {
	h := newHost(t)
	before, _, err := sharedKey()
	if err != nil {
		t.Fatal(err)
	}
	if HandOver(12345); os.Geteuid() != 0 {
		t.Skip("only root may give a file away")
	}
	h.Expect(12345)
	if shown := h.leaf(t); !before.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(shown.PublicKey) || strings.Contains(h.told(), "not used any more") {
		t.Errorf("not kept: %s", h.told())
	}
}

// A file that the user of the directory has linked to the key's name was given to that
// user, whatever it was.
func TestAFileWithAnotherNameIsNotHandedOver(t *testing.T) {
	newHost(t)
	if os.Geteuid() != 0 {
		t.Skip("only root may give a file away")
	}
	const precious = "precious"
	if err := errors.Join(os.WriteFile(precious, nil, 0o600), os.Link(precious, KeyFile)); err != nil {
		t.Fatal(err)
	}
	HandOver(12345)
	var st unix.Stat_t
	if err := unix.Stat(precious, &st); err != nil || st.Uid != 0 {
		t.Errorf("it belongs to user %d, %v", st.Uid, err)
	}
}

// All processes of a run directory have one key, whoever makes it, at the same
// time too.
func TestTheKeyIsShared(t *testing.T) {
	newHost(t)
	pins := make(chan string, 8)
	for range cap(pins) {
		go func() {
			k, _, err := sharedKey()
			if err != nil {
				pins <- err.Error()
				return
			}
			made, err := selfSigned(k, "a", start)
			if err != nil {
				pins <- err.Error()
				return
			}
			pins <- Pin(made.Leaf)
		}()
	}
	first := <-pins
	for range cap(pins) - 1 {
		if pin := <-pins; pin != first {
			t.Errorf("pins %s and %s", first, pin)
		}
	}
}

func TestDamagedKeyFiles(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "garbage": "garbage", "cut off": "-----BEGIN PRIVATE KEY-----\nMIGH"} {
		newHost(t)
		if err := os.WriteFile(KeyFile, []byte(strings.Repeat(" ", 2000)+text), 0o600); err != nil {
			t.Fatal(err)
		}
		first, _, err := sharedKey()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again, _, err := sharedKey()
		if err != nil || !again.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(first.Public()) {
			t.Errorf("%s: the key that was made in its place is not kept (%v)", name, err)
		}
	}
}

// Without a place for the key clients are served all the same, and the operator
// is told.
func TestWithoutAPlaceForTheKey(t *testing.T) {
	for name, prepare := range map[string]func() error{
		"a directory": func() error { return os.Mkdir(KeyFile, 0o700) },
		"a link":      func() error { return os.Symlink("elsewhere", KeyFile) },
		"a pipe":      func() error { return unix.Mkfifo(KeyFile, 0o600) },
	} {
		h := newHost(t)
		if err := prepare(); err != nil {
			t.Fatal(err)
		}
		h.leaf(t)
		if told := h.told(); !strings.Contains(told, "the key of the ephemeral certificate cannot be kept in 'ephemeral_key.pem'") || strings.Contains(told, "()") {
			t.Errorf("%s: told %q", name, told)
		}
	}
}

// Who is frozen with the lock is not waited for.
func TestAKeyThatSomebodyHolds(t *testing.T) {
	h := newHost(t)
	f, err := os.OpenFile(KeyFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	h.leaf(t)
	if told := h.told(); !strings.Contains(told, "another process has it and does not go on") {
		t.Errorf("told %q", told)
	}
}
