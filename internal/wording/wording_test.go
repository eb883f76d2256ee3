package wording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// What the standard library puts before the system's word is left out, and the error
// stays what it was.
func TestReasonIsTheSystemsWord(t *testing.T) {
	dir := t.TempDir()
	_, opened := os.Open(filepath.Join(dir, "absent"))
	_, read := os.ReadFile(dir)
	linked := os.Link(filepath.Join(dir, "absent"), filepath.Join(dir, "other"))
	_, dialed := net.Dial("unix", filepath.Join(dir, "absent"))
	other := errors.New("another error")
	for _, tt := range []struct {
		err  error
		want string
		is   error
	}{
		{opened, "no such file or directory", fs.ErrNotExist},
		{read, "is a directory", nil},
		{linked, "no such file or directory", fs.ErrNotExist},
		{dialed, "no such file or directory", fs.ErrNotExist},
		{io.ErrUnexpectedEOF, "it ends too early", io.ErrUnexpectedEOF},
		{fmt.Errorf("asked: %w", context.DeadlineExceeded), "it took too long", context.DeadlineExceeded},
		{context.Canceled, "interrupted", context.Canceled},
		{other, "another error", other},
	} {
		got := Reason(tt.err)
		if got.Error() != tt.want || tt.is != nil && !errors.Is(got, tt.is) {
			t.Errorf("%q: got %q, want %q that is still %v", tt.err, got, tt.want, tt.is)
		}
	}
	if got := Reason(nil); got != nil {
		t.Errorf("no error became %v", got)
	}
}

// A mistake in a zone file is named by line and word, in words that do not name the
// library.
func TestMistakesInZoneFiles(t *testing.T) {
	for text, want := range map[string]string{
		"x":                           "f.zone:2: 'x' is no TTL, class or type",
		"x 5":                         "f.zone:2: the line ends too early",
		"a. 5 IN A x":                 "f.zone:2: 'x' is wrong in data of type A",
		"a. 5 IN A 192.0.2.1 5":       "f.zone:2: '5' is too much behind the data",
		"a. 5 IN MX x y":              "f.zone:2: 'x' is wrong in data of type MX",
		". IN DS 1":                   "f.zone:2: data of type DS end too early",
		"a. 5 IN SOA a. b. 1 2 3 4\n": "f.zone:2: data of type SOA end too early",
		"a. 5 IN NOSUCH 1":            "f.zone:2: 'NOSUCH' is no type",
		"a. 5 XX A 192.0.2.1":         "f.zone:2: a class or a type expected, not 'XX'",
		"a..b 5 IN A 192.0.2.1":       "f.zone:2: 'a..b' is no name",
		"$INCLUDE /etc/passwd":        "f.zone:2: $INCLUDE is not allowed",
		"$GENERATE 1-x a A 1":         "f.zone:2: '1-x': bad stop in $GENERATE range",
		"a. 5 IN A \"192.0.2.1\" x":   "f.zone:2: '\"' is wrong in data of type A",
	} {
		zp := dns.NewZoneParser(strings.NewReader("; a file\n"+text+"\n"), ".", "f.zone")
		for _, ok := zp.Next(); ok; _, ok = zp.Next() {
		}
		if err := zp.Err(); err == nil || Record("f.zone", err).Error() != want {
			t.Errorf("%s: got %v, want %q", text, err, want)
		} else if got, want := Record("", err).Error(), strings.TrimPrefix(want, "f.zone:2: "); got != want {
			t.Errorf("%s: without a file got %q, want %q", text, got, want)
		}
	}
	if got := Record("f.zone", errors.New("another error")); got.Error() != "f.zone: another error" {
		t.Errorf("got %q", got)
	}
}
