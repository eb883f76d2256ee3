package trustanchor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"kresd/internal/authority"
	"kresd/internal/wire"
)

// someKeys is a set with a key in each state that a file may hold.
func someKeys(n int) *KeySet {
	set := &KeySet{Owner: "\x00"}
	for i, state := range []State{Valid, Missing, AddPend, Revoked} {
		flags := uint16(257)
		if state == Revoked {
			flags |= 0x80
		}
		k := Key{Type: wire.TypeDNSKEY, TTL: uint32(n), RData: dnskey(byte('a'+i), flags), State: state}
		k.Tag = tagOf(k.RData)
		if state != Valid {
			k.Timer = 1735689600 + int64(n)
		}
		set.Keys = append(set.Keys, k)
	}
	return set
}

// What is written is what is read.
func TestAKeyFileReadsBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.keys")
	l, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	set := someKeys(3600)
	set.Keys = append(set.Keys, Builtin().Keys...)
	if err := l.Write(set); err != nil {
		t.Fatal(err)
	}
	if got, err := readFile(path, false); err != nil || !got.Equal(set) || !got.Managed || got.File != path {
		text, _ := os.ReadFile(path)
		t.Errorf("%v, %+v\n%s", err, got, text)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(path + "?*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Unbound's file says in another way in which state a key is.
func TestUnboundsFileIsUnderstood(t *testing.T) {
	line := func(letter byte, rest string) string {
		return fmt.Sprintf(".\t172800\tIN\tDNSKEY\t257 3 15 %s ;{id = 1 (ksk), size = 256b} ;;%s\n", base64Of(dnskey(letter, 257)[4:]), rest)
	}
	path := file(t, "; autotrust trust anchor file\n;;id: . 1\n;;last_queried: 1735689600 ;;Wed Jan  1 00:00:00 2025\n"+
		line('a', "state=2 [  VALID  ] ;;count=0 ;;lastchange=1735000000 ;;Tue")+
		line('b', "state=1 [ ADDPEND ] ;;count=1 ;;lastchange=1735689600 ;;Wed")+line('c', "state=3 [ MISSING ] ;;count=1 ;;lastchange=1735689600 ;;Wed"))
	set, err := readFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := set.states(), "a:Valid b:AddPend@20119 c:Missing@20119"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A file that a crash cut off does not end validation, and does not stop the start:
// the root's built-in keys, or those known before, are trusted until it is written
// anew. A file of another kind is refused and never written to.
func TestADamagedKeyFileLeavesTheBuiltInKeys(t *testing.T) {
	whole := someKeys(3600).text()
	for cut := range len(whole) {
		s := New()
		l, err := s.AddFile(file(t, whole[:cut]), false)
		if err != nil || l.Set.Trusted() == 0 || s.Snapshot().Closest("\x00") == nil || !l.Set.Managed {
			t.Fatalf("cut at %d: %v, %+v", cut, err, l)
		}
		if cut < len(header) && (l.Damage == nil || l.Set.summed() != Builtin().summed()) {
			t.Fatalf("cut at %d: %v, %+v", cut, l.Damage, l.Set)
		}
		for _, k := range l.Set.Keys {
			if k.Type == wire.TypeDNSKEY && k.State.Trusted() && string(k.RData) != string(dnskey('a', 257)) && string(k.RData) != string(dnskey('b', 257)) {
				t.Fatalf("cut at %d: %x is trusted", cut, k.RData)
			}
		}
	}
	ds := strings.TrimSuffix(builtin, "\n")
	for cut := range len(ds) {
		l, err := New().AddFile(file(t, ds[:cut]), false)
		if err != nil || l.Set.Trusted() == 0 {
			t.Fatalf("cut at %d: %v, %+v", cut, err, l)
		}
	}
	rsa := authority.NewKey(".", authority.KSK, dns.RSASHA256, "r").Record().String()
	wrong := 0
	for cut := range len(rsa) {
		l, err := New().AddFile(file(t, rsa[:cut]), false)
		if err != nil || l.Set.Trusted() == 0 {
			t.Fatalf("cut at %d: %v, %+v", cut, err, l)
		}
		if l.Damage == nil && rsa[cut-1] != '=' {
			wrong++ // a modulus of 512 or 768 bits is what it could be
		}
	}
	if wrong > 2 {
		t.Errorf("%d halves of a key are trusted", wrong)
	}
	for _, text := range []string{"root:x:0:0:root:/root:/bin/bash\n", "; nothing\n", "-- a configuration\nnet = {}\n"} {
		path := file(t, text)
		if l, err := New().AddFile(path, false); err == nil {
			t.Errorf("%q: taken as %+v", text, l)
		}
	}
	if _, err := New().AddFile(file(t, whole[:50]), true); err == nil {
		t.Error("a read-only file that is cut off was taken")
	}
	s := New()
	if err := s.Add(". IN DNSKEY 257 3 15 " + base64Of(dnskey('z', 257)[4:])); err != nil {
		t.Fatal(err)
	}
	if l, err := s.AddFile(file(t, ""), false); err != nil || l.Set.states() != "z:Valid" || l.Damage == nil {
		t.Errorf("what was known does not stay: %v, %+v", err, l)
	}
}

// A digest of the wrong length and a key that cannot be one are refused.
func TestAKeyThatCannotBeOneIsRefused(t *testing.T) {
	for _, text := range []string{
		". IN DS 20326 8 2 E06D44B8", ". IN DS 20326 8 1 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
		". IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX", ". IN DNSKEY 257 3 8 AwEAAaz/", "example DS", "example DS ; Valid:", "example DNSKEY",
	} {
		if err := New().Add(text); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
	if err := New().Add(". IN DNSKEY 257 3 253 AwEAAaz/"); err != nil {
		t.Errorf("a key of an algorithm that is not known: %v", err)
	}
}

// One process, and one part of it, has the right to write; the next one gets it when
// it is given up, and nothing is left.
func TestOneWriterAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.keys")
	first, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock: %v", err)
	}
	if _, err := New().AddFile(path, false); !errors.Is(err, ErrNoFile) {
		t.Errorf("beside somebody who writes: %v", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	second, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	// Who removes the file by hand lets another writer in; the first one must not take
	// the other's lock away.
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	third, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Release(); err != nil {
		t.Error(err)
	}
	if _, err := TryLock(path); !errors.Is(err, ErrLocked) {
		t.Errorf("the lock of another was removed: %v", err)
	}
	if err := third.Release(); err != nil {
		t.Error(err)
	}
	if _, err := TryLock("/proc/nowhere/keys"); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("no directory: %v", err)
	}
}

// A symbolic link is followed: the file behind it is replaced.
func TestTheFileBehindALinkIsReplaced(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real", "root.keys"), filepath.Join(dir, "root.keys")
	if err := os.Mkdir(filepath.Dir(real), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(real, []byte(builtin), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	l, err := TryLock(link)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Write(someKeys(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := TryLock(real); !errors.Is(err, ErrLocked) {
		t.Errorf("two names of one file, two writers: %v", err)
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	if info, err = os.Stat(real); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	if got, err := readFile(link, false); err != nil || !got.Equal(someKeys(1)) {
		t.Errorf("%v, %+v", err, got)
	}
}

// Two users of one group share a key file: the umask of a resolver, which is 0077, took
// the lock and the file that is replaced from the other one.
func TestTwoUsersOfAGroupShareAFile(t *testing.T) {
	before := unix.Umask(0o077)
	defer unix.Umask(before)
	for _, c := range []struct{ dir, lock os.FileMode }{{0o770, 0o660}, {0o777, 0o666}, {0o755, 0o600}, {0o700, 0o600}} {
		dir := t.TempDir()
		path := filepath.Join(dir, "root.keys")
		if err := errors.Join(os.WriteFile(path, []byte(builtin), 0o600), os.Chmod(path, 0o664), os.Chmod(dir, c.dir)); err != nil {
			t.Fatal(err)
		}
		l, err := TryLock(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Write(someKeys(1)); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]os.FileMode{path: 0o664, path + ".lock": c.lock} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
				t.Errorf("in a directory of mode %v: %s has %v, %v; want %v", c.dir, filepath.Base(name), info.Mode(), err, want)
			}
		}
		if err := l.Release(); err != nil {
			t.Error(err)
		}
	}
}

// A key file keeps its group, which is not that of the process.
func TestAKeyFileKeepsItsGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give a file to a group that it is not in")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "root.keys")
	const keys, staff = 50, 51
	if err := errors.Join(os.WriteFile(path, []byte(builtin), 0o640), os.Chown(path, -1, keys), os.Chmod(dir, 0o770), os.Chown(dir, -1, staff)); err != nil {
		t.Fatal(err)
	}
	l, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	if err := l.Write(someKeys(1)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]uint32{path: keys, path + ".lock": staff} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Sys().(*syscall.Stat_t).Gid; got != want {
			t.Errorf("%s has group %d, want %d", filepath.Base(name), got, want)
		}
	}
}

// writerVar makes this test's binary write a key file over and over.
const writerVar = "KRESD_TEST_KEY_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerVar); path != "" {
		l, err := TryLock(path)
		for n := 0; err == nil; n++ {
			err = l.Write(someKeys(n % 2))
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// A writer that is killed at any instruction leaves the old file or the next one, and
// its lock and its leavings keep nobody from going on.
func TestAKilledWriterLeavesAWholeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.keys")
	l, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Write(someKeys(0)), l.Release()); err != nil {
		t.Fatal(err)
	}
	leavings := 0
	for i := range 200 {
		writer := exec.Command(os.Args[0])
		writer.Env = append(os.Environ(), writerVar+"="+path)
		var said strings.Builder
		writer.Stderr = &said
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(10)+4) * time.Millisecond)
		_ = writer.Process.Kill()
		_ = writer.Wait()
		if said.Len() > 0 {
			t.Fatalf("kill %d: the writer could not write: %s", i, &said)
		}
		set, err := readFile(path, false)
		if err != nil || !set.Equal(someKeys(0)) && !set.Equal(someKeys(1)) {
			t.Fatalf("kill %d: %v, %+v", i, err, set)
		}
		left, _ := filepath.Glob(path + ".lock.*")
		leavings += len(left)
		if len(left) > 1 {
			t.Fatalf("kill %d: %v are left", i, left)
		}
	}
	t.Logf("%d of 200 writers were killed with a file half done", leavings)
	if l, err = TryLock(path); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Write(someKeys(0)), l.Release()); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(path + "?*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A device as a key file was read without end, and a FIFO was waited for.
func TestADeviceIsNoKeyFile(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/dev/zero", fifo, t.TempDir()} {
		for _, readonly := range []bool{true, false} {
			if _, err := New().AddFile(path, readonly); err == nil || !strings.Contains(err.Error(), "regular file") {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}
