package lmdbcache

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFullDisk runs in a mount namespace with a small file system of its own.
func TestFullDisk(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, t.TempDir())
	cmd.Env = append(os.Environ(), helperEnv+"=disk")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "full and alive") {
		t.Errorf("%v (the test needs root or user namespaces for a file system of its own)", err)
	}
}

// fillDisk fills a file system under a cache whose map is larger than it.
func fillDisk(dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m,mode=0700"); err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	warned := 0
	s, err := Open(dir, Options{MaxSize: 64 << 20, Warn: func(l string) { warned++; fmt.Println("warn:", l) }})
	if err != nil {
		return err
	}
	fill := func(from, to int) {
		for i := from; i < to; i++ {
			s.Put(fmt.Appendf(nil, "key%06d", i), make([]byte, 1000))
			if i%50 == 0 {
				s.Flush(context.Background())
			}
		}
		s.Flush(context.Background())
	}
	fill(0, 1000)
	if err := fillRest(filepath.Join(dir, "other")); err != nil {
		return err
	}
	fill(1000, 4000)
	for i := range 1000 {
		if val, ok := get(s, fmt.Sprintf("key%06d", i)); !ok || len(val) != 1000 {
			return fmt.Errorf("entry %d lost: %d bytes, %v", i, len(val), ok)
		}
	}
	st := s.Stats()
	fmt.Printf("%+v\n", st)
	if st.WriteErrors == 0 || st.PauseDrops == 0 || warned != 1 {
		return fmt.Errorf("%d failed writes, %d dropped, %d warnings", st.WriteErrors, st.PauseDrops, warned)
	}
	if err := os.Remove(filepath.Join(dir, "other")); err != nil {
		return err
	}
	s.health.recovered()
	s.Put([]byte("after"), []byte("1"))
	s.Flush(context.Background())
	if _, ok := get(s, "after"); !ok {
		return fmt.Errorf("nothing is written although there is room again")
	}
	if err := s.Close(); err != nil {
		return err
	}
	if err := Check(dir); err != nil {
		return err
	}
	fmt.Println("full and alive")
	return nil
}

// fillRest writes a file until the file system is full.
func fillRest(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 4096); ; {
		if _, err := f.Write(block); err != nil {
			return nil
		}
	}
}
