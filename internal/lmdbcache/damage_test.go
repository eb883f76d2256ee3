package lmdbcache

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sampleFile makes a data file with some history: entries small and large, and pages
// that were freed.
func sampleFile(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, Options{MaxSize: 1 << 20, Schema: 7})
	for i := range 1500 {
		s.Put(fmt.Appendf(nil, "key%04d", i), make([]byte, 100+i%50))
		if i%300 == 0 {
			s.Put(fmt.Appendf(nil, "large%04d", i), make([]byte, 9000))
			flush(t, s)
		}
	}
	for i := range 400 {
		s.Delete(fmt.Appendf(nil, "key%04d", i))
	}
	wantSound(t, s)
	b, err := os.ReadFile(filepath.Join(dir, dataName))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// usedBytes cuts a data file after its last page in use.
func usedBytes(t *testing.T, b []byte) []byte {
	m0, err0 := parseMeta(b)
	m1, err1 := parseMeta(b[m0.pageSize:])
	m, err2 := newerOf(m0, m1)
	if err0 != nil || err1 != nil || err2 != nil {
		t.Fatal(err0, err1, err2)
	}
	return b[:(m.lastPage+1)*uint64(m.pageSize)]
}

func TestDamagedFiles(t *testing.T) {
	good := usedBytes(t, sampleFile(t))
	rnd := rand.New(rand.NewPCG(3, 4))
	with := func(change func(b []byte) []byte) []byte { return change(append([]byte(nil), good...)) }
	files := map[string][]byte{
		"empty":       {},
		"one byte":    {0},
		"text":        []byte("this is no database, it is a text"),
		"zeros":       make([]byte, 1<<20),
		"good":        good,
		"half a page": good[:2048],
		"metas only":  good[:8192],
		"half":        good[:len(good)/2/4096*4096],
		"last page":   good[:len(good)-4096],
		"other version": with(func(b []byte) []byte {
			b[pageHeader+4], b[4096+pageHeader+4] = 2, 2
			return b
		}),
		"enormous map": with(func(b []byte) []byte {
			for i := range 8 {
				b[pageHeader+16+i], b[4096+pageHeader+16+i] = 0x7f, 0x7f
			}
			return b
		}),
		"no free list": with(func(b []byte) []byte {
			for i := range 8 {
				b[pageHeader+64+i], b[4096+pageHeader+64+i] = 0xff, 0xff
			}
			return b
		}),
	}
	files["garbage"] = make([]byte, 300000)
	for i := range files["garbage"] {
		files["garbage"][i] = byte(rnd.Uint32())
	}
	flips := 60
	if testing.Short() {
		flips = 10
	}
	for n := range flips {
		files[fmt.Sprintf("bit in meta %d", n)] = with(func(b []byte) []byte {
			b[rnd.IntN(2)*4096+rnd.IntN(pageHeader+metaSize)] ^= 1 << rnd.IntN(8)
			return b
		})
		files[fmt.Sprintf("bits anywhere %d", n)] = with(func(b []byte) []byte {
			for range 1 + rnd.IntN(30) {
				b[8192+rnd.IntN(len(b)-8192)] ^= 1 << rnd.IntN(8)
			}
			return b
		})
		files[fmt.Sprintf("page headers %d", n)] = with(func(b []byte) []byte {
			b[8192+rnd.IntN(len(b)/4096-2)*4096+rnd.IntN(24)] = byte(rnd.Uint32())
			return b
		})
		files[fmt.Sprintf("garbage pages %d", n)] = with(func(b []byte) []byte {
			for range 1 + rnd.IntN(5) {
				p := b[8192+rnd.IntN(len(b)/4096-2)*4096:][:4096]
				for i := range p {
					p[i] = byte(rnd.Uint32())
				}
			}
			return b
		})
	}
	serveAll(t, files, nil)
}

func TestForeignLockFiles(t *testing.T) {
	good := usedBytes(t, sampleFile(t))
	locks := map[string][]byte{
		"empty": {}, "short": []byte("lock"), "garbage": []byte(strings.Repeat("\xa5garbage", 30000)), "zeros": make([]byte, 8192),
	}
	files := map[string][]byte{}
	for name := range locks {
		files[name] = good
	}
	serveAll(t, files, locks)
}

// serveAll has another process use a directory for each of the files. It must
// serve each within two seconds (measured with some patience for slow machines)
// and never die.
func serveAll(t *testing.T, data, locks map[string][]byte) {
	base := t.TempDir()
	var dirs []string
	for name := range data {
		dir := filepath.Join(base, strings.ReplaceAll(name, " ", "-"))
		dirs = append(dirs, dir)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, dataName), data[name], 0o600); err != nil {
			t.Fatal(err)
		}
		if lock, ok := locks[name]; ok {
			if err := os.WriteFile(filepath.Join(dir, lockName), lock, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for len(dirs) > 0 { // one process for all, as long as it lives
		began := time.Now()
		out, err := runHelperProcess("serve", dirs...)
		served := strings.Count(out, "served ")
		if took := time.Since(began); took > time.Duration(len(dirs))*2*time.Second {
			t.Errorf("%d files took %v", len(dirs), took)
		}
		if strings.Contains(out, "warn: good") || locks != nil && strings.Contains(out, "warn:") {
			t.Errorf("a good file was not accepted: %s", out)
		}
		for _, dir := range dirs[:served] {
			if err := Check(dir); err != nil {
				t.Errorf("%s, afterwards: %v", filepath.Base(dir), err)
			}
		}
		if err == nil && served == len(dirs) {
			return
		}
		t.Errorf("%s: %v\n%.2000s", filepath.Base(dirs[served]), err, out)
		dirs = dirs[served+1:]
	}
}

func runHelperProcess(role string, args ...string) (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), helperEnv+"="+role)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestOnlyTheLatestBadFilesAreKept(t *testing.T) {
	dir := t.TempDir()
	for i := range 5 {
		open(t, dir, Options{}).Close()
		name, err := Quarantine(dir, time.Unix(int64(1700000000+i), 0))
		if err != nil || name == "" {
			t.Fatalf("Quarantine = %q, %v", name, err)
		}
	}
	left, _ := filepath.Glob(dir + "/data.mdb" + badMark + "*")
	if len(left) != keepBad || filepath.Base(left[1]) != "data.mdb.bad-1700000004" {
		t.Errorf("kept: %q", left)
	}
	if name, err := Quarantine(dir, time.Now()); name != "" || err != nil {
		t.Errorf("Quarantine of nothing = %q, %v", name, err)
	}
}

func TestPutAsideSince(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[a-b]*") // not a pattern
	if PutAsideSince(dir, time.Time{}) {
		t.Error("a file was put aside in a directory that is not there")
	}
	open(t, dir, Options{}).Close()
	if PutAsideSince(dir, time.Time{}) {
		t.Error("nothing was put aside yet")
	}
	at := time.Unix(1700000000, 5e8)
	if _, err := Quarantine(dir, at); err != nil {
		t.Fatal(err)
	}
	if !PutAsideSince(dir, at) || !PutAsideSince(dir, at.Add(-time.Hour)) || PutAsideSince(dir, at.Add(time.Second)) {
		t.Error("the time at which a file was put aside is not known")
	}
}

func TestCheckMain(t *testing.T) {
	good := usedBytes(t, sampleFile(t))
	dir := t.TempDir()
	if out, err := runHelperProcess("check", dir); err != nil {
		t.Errorf("empty directory: %v %s", err, out)
	}
	os.WriteFile(filepath.Join(dir, dataName), good, 0o600)
	if out, err := runHelperProcess("check", dir); err != nil {
		t.Errorf("good file: %v %s", err, out)
	}
	s := open(t, dir, Options{MaxSize: 1 << 20, Schema: 7})
	if out, err := runHelperProcess("check", dir); err != nil {
		t.Errorf("good file in use: %v %s", err, out)
	}
	s.Close()
	for i := 3 * 4096; i < len(good); i += 64 {
		good[i] ^= 0x55
	}
	os.WriteFile(filepath.Join(dir, dataName), good, 0o600)
	if out, err := runHelperProcess("check", dir); err == nil {
		t.Errorf("bad file passed: %s", out)
	}
}

// TestFileCutOffUnderReaders: a fault while reading is a miss, and the owner is
// told. (LMDB's own code may still meet it and end the process; see Check.)
func TestFileCutOffUnderReaders(t *testing.T) {
	dir := t.TempDir()
	lost := make(chan string, 1)
	s := open(t, dir, Options{OnLost: func(why string) { lost <- why }})
	for i := range 2000 {
		s.Put(fmt.Appendf(nil, "key%04d", i), make([]byte, 1000))
	}
	flush(t, s)
	r := reader(t, s)
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, dataName), 8192); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Get([]byte("key1234")); ok {
		t.Error("found an entry that is gone")
	}
	r.End()
	soon(t, "the loss is told", lost)
	if st := s.Stats(); st.Damaged == 0 {
		t.Error("not counted")
	}
}

// Reading may begin on a file that was cut off a moment ago: that fault ended the
// process.
func TestBeginOnAFileThatWasCutOff(t *testing.T) {
	dir := t.TempDir()
	lost := make(chan string, 1)
	s := open(t, dir, Options{OnLost: func(why string) { lost <- why }})
	r := reader(t, s)
	if err := os.Truncate(filepath.Join(dir, dataName), 0); err != nil {
		t.Fatal(err)
	}
	if err := r.Begin(); !errors.Is(err, ErrBusy) {
		t.Errorf("Begin: %v", err)
	}
	if _, ok := r.Get([]byte("k")); ok {
		t.Error("found something")
	}
	s.Put([]byte("k"), []byte("v"))
	s.Usage()
	soon(t, "the loss is told", lost)
}

// LMDB is not let near a file that was cut off or whose meta pages are garbage: it
// would end the process.
func TestWriterLooksBeforeLMDBDoes(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"cut off": func(path string) error { return os.Truncate(path, 8192) },
		"garbage": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte(strings.Repeat("\xa5garbage", 1024)), 0)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			lost := make(chan string, 1)
			s := open(t, dir, Options{OnLost: func(why string) { lost <- why }})
			for i := range 1000 {
				s.Put(fmt.Appendf(nil, "k%04d", i), make([]byte, 100))
			}
			flush(t, s)
			if err := damage(filepath.Join(dir, dataName)); err != nil {
				t.Fatal(err)
			}
			s.Put([]byte("k"), []byte("v"))
			flush(t, s)
			t.Log(soon(t, "the loss is told", lost))
			s.Close()
			s = open(t, dir, Options{Warn: func(line string) { t.Log(line) }})
			s.Put([]byte("k"), []byte("v"))
			flush(t, s)
			wantGet(t, s, "k", "v")
		})
	}
}
