package inforce

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kresd/internal/limits"
	"kresd/internal/memfile"
)

func TestWhatIsKeptIsReadAgain(t *testing.T) {
	c := &Configuration{
		Files: []string{"config", "/etc/\xff.conf", "config"},
		Code:  map[string]string{"config": "x = '\xfe\x00'\n", "/etc/\xff.conf": "", "a.lua": strings.Repeat("-", 1<<20)},
		Data:  map[string]string{"/etc/hosts": "::1 localhost\n", "\xfd": "\x00\xfe"},
	}
	f, err := c.Keep()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 2 { // whoever has read it before has moved nobody's position
		got, err := Read(f)
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Fatalf("read: %v, %v", got, err)
		}
	}
	if at, err := f.Seek(0, io.SeekCurrent); err != nil || at == 0 {
		t.Errorf("the position is %d, %v: it was moved", at, err)
	}
	if text, ok := c.Datum("/etc/hosts"); !ok || text != "::1 localhost\n" {
		t.Error("a file of data has no text")
	}
	if _, ok := c.Text("/etc/hosts"); ok {
		t.Error("a file of data is code")
	}
	if _, ok := (*Configuration)(nil).Datum("/etc/hosts"); ok {
		t.Error("no configuration has data")
	}
	if text, ok := c.Text("a.lua"); !ok || len(text) != 1<<20 {
		t.Error("a file of code has no text")
	}
	if _, ok := c.Text("b.lua"); ok {
		t.Error("a file that was not loaded has a text")
	}
	if _, ok := (*Configuration)(nil).Text("config"); ok {
		t.Error("no configuration has a text")
	}
}

// Whoever has the descriptor cannot change what others run.
func TestNobodyChangesWhatIsKept(t *testing.T) {
	f, err := (&Configuration{Files: []string{"config"}, Code: map[string]string{"config": "a = 1"}}).Keep()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 0); err == nil {
		t.Error("it was written to")
	}
	if err := f.Truncate(0); err == nil {
		t.Error("it was cut")
	}
	if err := Sound(int(f.Fd())); err != nil {
		t.Error(err)
	}
}

// sealed is memory with a text that nobody can change.
func sealed(t *testing.T, text string) *os.File {
	t.Helper()
	f, err := memfile.New("text")
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Programs that know nothing of data keep code alone, and read no more of others either. Data
// in a form of another version's are no data.
func TestCodeWithoutDataIsReadAsEver(t *testing.T) {
	const code = `{"files":["Y29uZmln"],"code":[["Y29uZmln","YSA9IDE="]]}`
	want := &Configuration{Files: []string{"config"}, Code: map[string]string{"config": "a = 1"}}
	for what, text := range map[string]string{
		"by a program that knows no data": code,
		"by this one":                     code + "\n",
		"with data in another form":       code + "\n" + `{"data":["L2V0Yy9ob3N0cw=="]}`,
		"with something behind":           code + "\nof another version",
	} {
		f := sealed(t, text)
		for name, read := range map[string]func(*os.File) (*Configuration, error){"Read": Read, "ReadCode": ReadCode} {
			if got, err := read(f); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("kept %s, %s: %v, %v", what, name, got, err)
			}
		}
	}
	f, err := want.Keep()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
	if err != nil || string(text) != code+"\n" {
		t.Errorf("kept is %s, %v; want %s", text, err, code)
	}
}

// Data may be many times as long as the code, and a supervisor has no use for them.
func TestCodeIsReadWithoutItsData(t *testing.T) {
	c := &Configuration{Files: []string{"config"}, Code: map[string]string{"config": "a = 1"}, Data: map[string]string{"list": strings.Repeat("x", 1<<20)}}
	f, err := c.Keep()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, behind, err := read(f)
	if err != nil || got.Files[0] != "config" || got.Data != nil {
		t.Fatalf("read: %v, %v", got, err)
	}
	if n, err := io.Copy(io.Discard, behind.Buffered()); err != nil || n > 1<<12 {
		t.Errorf("%d octets of data were read, %v", n, err)
	}
}

func TestAnythingElseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(`{"files":[],"code":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Read(f); err == nil || Sound(int(f.Fd())) == nil {
		t.Error("a file that others may change is taken")
	}
	r, w, _ := os.Pipe()
	defer r.Close()
	defer w.Close()
	if Sound(int(r.Fd())) == nil {
		t.Error("a pipe is taken")
	}
}

func TestALongConfigurationIsNotKept(t *testing.T) {
	c := &Configuration{Code: map[string]string{"a": strings.Repeat("x", limits.KeptConfiguration)}}
	if f, err := c.Keep(); err == nil || !strings.Contains(err.Error(), "is the most that is kept") {
		f.Close()
		t.Errorf("kept: %v", err)
	}
}
