package filewatch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kresd/internal/limits"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What may change a file lies on the way to it: it, its links, and the directories of these.
func TestOnlyWhatLiesOnTheWayToAFileConcernsIt(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.MkdirAll(at("a/old"), 0o700), os.Mkdir(at("b"), 0o700), os.Symlink("old", at("a/now")), os.Symlink("../a/now/list", at("b/list"))); err != nil {
		t.Fatal(err)
	}
	write(t, at("a/old/list"), "x")
	var w watched
	defer w.close()
	if fresh, err := w.watch(wayTo([]string{at("b/list")})); !fresh || err != nil {
		t.Fatal(fresh, err)
	}
	want := map[string]bool{at("b"): true, at("a"): true, at("a/old"): true}
	for _, watching := range w.watcher.WatchList() {
		if !want[watching] {
			t.Errorf("%s is watched", watching)
		}
		delete(want, watching)
	}
	if len(want) > 0 {
		t.Errorf("not watched are %v", want)
	}
	for name, want := range map[string]bool{"b/list": true, "a/now": true, "a/old/list": true, "a/old": true, "b/data.mdb": false, "a/other": false, "a/old/lis": false, "": false} {
		if w.concerns(at(name)) != want {
			t.Errorf("%s concerns the file: %t", name, !want)
		}
	}
}

// Files beside those that are looked after may change all the time: nobody looks for that, and
// a change that counts is seen no later.
func TestOtherFilesInTheDirectoryWakeNobody(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "list")
	write(t, path, "x")
	looked := make(chan struct{}, 100)
	w := Watch{Files: func() []string { return []string{path} }, Look: func() { looked <- struct{}{} }, Blind: func(err error) { t.Error(err) }}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	began := time.Now()
	go func() { w.Run(ctx); close(ended) }()
	defer func() { end(); <-ended }()
	for range 2 { // at the beginning, and once the directory is watched
		<-looked
	}
	write(t, path+".mdb", "x")
	select {
	case <-looked:
		if time.Since(began) < limits.WatchLook { // or else it was time to look
			t.Error("another file wakes who looks after files")
		}
	case <-time.After(2 * limits.WatchQuiet):
	}
	write(t, path, "xx")
	select {
	case <-looked:
	case <-time.After(limits.WatchLook / 2):
		t.Error("a change of the file is not seen")
	}
}
