package worker

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kresd/internal/inforce"
	"kresd/internal/ipc"
	"kresd/internal/systemd"
)

// onceRan is what a process runs that takes the place of another, in whose files of data
// stood what data says; nil: that runs the files.
func onceRan(group bool, data map[string]string) (r *ran, warned *[]string) {
	o := &Options{}
	if data != nil {
		o.InForce = &inforce.Configuration{Data: data}
	}
	if group {
		o.Link = &ipc.Link{}
	}
	warned = new([]string)
	return newRan(o, func(line string) { *warned = append(*warned, line) }), warned
}

// sound takes a text that begins with "good".
func sound(got *string) func(io.Reader, error) error {
	return func(f io.Reader, err error) error {
		if err != nil {
			return err
		}
		text, err := io.ReadAll(f)
		if err == nil && !strings.HasPrefix(string(text), "good") {
			err = errors.New("it is not good")
		}
		if err == nil {
			*got = string(text)
		}
		return err
	}
}

// What is read again at a reload only is, for who takes a dead worker's place, what the
// others have. What changes meanwhile is what the file says now. A text that cannot be used
// keeps neither away, nor a process alone.
func TestABrokenFileOfDataIsReplacedByWhatItSaid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	for _, c := range []struct {
		what, now              string
		group, changes, direct string // what is read
		warnings               int    // of those that are not in a group's inForce
	}{
		{"it is changed", "good and new", "good and old", "good and new", "good and new", 0},
		{"it is broken", "no", "good and old", "good and old", "good and old", 1},
		{"it is gone", "", "good and old", "good and old", "good and old", 1},
	} {
		os.Remove(file)
		if c.now != "" {
			if err := os.WriteFile(file, []byte(c.now), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, group := range []bool{true, false} {
			r, warned := onceRan(group, map[string]string{file: "good and old"})
			var first, second string
			if err := errors.Join(r.inForce(file, sound(&first)), r.latest(file, sound(&second))); err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			want, warnings := c.group, c.warnings
			if !group {
				want, warnings = c.direct, 2*c.warnings
			}
			if first != want || second != c.changes || len(*warned) != warnings {
				t.Errorf("%s, in a group %t: read %q and %q, warned %q", c.what, group, first, second, *warned)
			}
			if len(r.data) != 0 {
				t.Errorf("%s, in a group %t: kept is %q, which came from those who would be given it", c.what, group, r.data)
			}
			r.started()
			if err := r.latest(file, sound(&first)); (err == nil) != strings.HasPrefix(c.now, "good") {
				t.Errorf("%s, after the start: %v", c.what, err)
			}
		}
	}
}

// What neither the file says nor it has said is an error, that of the file as it is.
func TestAFileOfDataThatNeverWasIsAnError(t *testing.T) {
	r, warned := onceRan(true, map[string]string{"/no/other": "no"})
	for _, path := range []string{"/no/file", "/no/other"} {
		var got string
		if err := r.inForce(path, sound(&got)); !errors.Is(err, os.ErrNotExist) || len(*warned) != 0 {
			t.Errorf("%s: %v, warned %q", path, err, *warned)
		}
	}
}

// What a script reads is kept as well, for a process that cannot open it. Where it can, its
// own file is read, and from its beginning.
func TestWhatAScriptHasReadIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(file, []byte("good"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(r *ran) (string, error) {
		f, err := os.Open(file)
		if f, err = r.opened(file, f, err); err != nil {
			return "", err
		}
		defer f.Close()
		text, err := io.ReadAll(f)
		return string(text), err
	}
	first, _ := onceRan(true, nil)
	if got, err := open(first); got != "good" || err != nil || first.data[file] != "good" {
		t.Fatalf("read %q, %v; kept %q", got, err, first.data)
	}
	os.Remove(file)
	if _, err := open(first); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("who runs the files: %v", err)
	}
	second, warned := onceRan(true, first.data)
	if got, err := open(second); got != "good" || err != nil || len(*warned) != 1 {
		t.Errorf("who takes its place reads %q, %v, warns %q", got, err, *warned)
	}
}

// A path may be longer than a name of memory (memfd_create(2)).
func TestWhatAScriptHasReadHasALongPath(t *testing.T) {
	path := "/no/" + strings.Repeat("long/", 100) + "list"
	r, _ := onceRan(true, map[string]string{path: "good"})
	f, err := r.opened(path, nil, os.ErrNotExist)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if text, err := io.ReadAll(f); string(text) != "good" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
}

// Where nobody takes the data, or once the start is over, what a script opens is read by
// the script alone, and what is read again not copied. A script that looks at the first
// line of a long list each second had all of it read.
func TestDataAreNotReadInVain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(file, []byte("good"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", "/no/manager")
	given := &inforce.Configuration{}
	for _, c := range []struct {
		what    string
		o       Options
		started bool
		noted   bool
	}{
		{"a worker that runs the files", Options{Link: &ipc.Link{}}, false, true},
		{"a service", Options{Notify: systemd.NewNotifier()}, false, true},
		{"a worker that was given what is in force", Options{Link: &ipc.Link{}, InForce: given}, false, false},
		{"a service that was given what was in force", Options{Notify: systemd.NewNotifier(), InForce: given}, false, false},
		{"a process that nobody manages", Options{}, false, false},
		{"a worker that has started", Options{Link: &ipc.Link{}}, true, false},
		{"a service that has started", Options{Notify: systemd.NewNotifier()}, true, false},
	} {
		r := newRan(&c.o, func(line string) { t.Errorf("%s: warned %q", c.what, line) })
		if c.started {
			r.started()
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		allocs := testing.AllocsPerRun(100, func() { r.noteFile(file, f) })
		if read := allocs > 0; read != c.noted || r.data[file] == "good" != c.noted {
			t.Errorf("%s: %v allocations to note what a script has opened; kept is %q", c.what, allocs, r.data)
		}
		err = r.latest(file, func(f io.Reader, err error) error {
			if _, direct := f.(*os.File); direct == c.noted {
				t.Errorf("%s: a file is read from %T", c.what, f)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// Data are kept as far as there is room; what is too much is read from its file.
func TestDataAreKeptAsFarAsThereIsRoom(t *testing.T) {
	r, _ := onceRan(true, nil)
	r.room = 20
	file := filepath.Join(t.TempDir(), "file")
	for _, c := range []struct {
		path, text string
		kept       bool
	}{
		{"a", "123456789", true},
		{"b", "1234567890", false},
		{"a", "1", true}, // and so there is room again
		{"b", "1234567890", true},
		{"c", "1234567", false},
	} {
		r.noteData(c.path, c.text)
		if text, ok := r.data[c.path]; ok != c.kept || ok && text != c.text {
			t.Errorf("%s with %d octets: kept %t", c.path, len(c.text), ok)
		}
	}
	if err := os.WriteFile(file, []byte("good, and long"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got string
	if err := r.inForce(file, sound(&got)); err != nil || got != "good, and long" {
		t.Errorf("what has no room is read as %q, %v", got, err)
	}
	if _, ok := r.data[file]; ok {
		t.Error("what has no room is kept")
	}
}
