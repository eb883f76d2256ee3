package doh

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"kresd/internal/limits"
)

var query = []byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01")

// room is for any body.
func room() []byte { return make([]byte, limits.HTTPBody+1) }

func none() ([]byte, *Refusal) { return room(), nil }

func TestBodiesGrowAsTheyCome(t *testing.T) {
	for _, size := range []int{12, limits.HTTPFirstRead - 1, limits.HTTPFirstRead, limits.HTTPFirstRead + 1, limits.HTTPSmallBody - 1, limits.HTTPSmallBody, limits.HTTPSmallBody + 1, limits.HTTPBody} {
		msg := append(bytes.Clone(query[:12]), bytes.Repeat([]byte{7}, size-12)...)
		for name, r := range map[string]io.Reader{"at once": bytes.NewReader(msg), "octet by octet": iotest.OneByteReader(bytes.NewReader(msg)), "with its end": iotest.DataErrReader(bytes.NewReader(msg))} {
			asked := 0
			got, no := (&Body{More: func() ([]byte, *Refusal) { asked++; return room(), nil }}).ReadAll(r)
			if no != nil || !bytes.Equal(got, msg) {
				t.Errorf("%d octets, %s: %d octets, %v", size, name, len(got), no)
			}
			if want := map[bool]int{true: 1, false: 0}[size > limits.HTTPSmallBody]; asked > 1 || asked < want {
				t.Errorf("%d octets, %s: more room was asked for %d times", size, name, asked)
			}
		}
	}
}

func TestBodiesThatAreRefused(t *testing.T) {
	long := bytes.Repeat([]byte{0}, limits.HTTPBody+1)
	full := &Refusal{Status: http.StatusServiceUnavailable}
	response := bytes.Clone(query)
	response[2] |= 0x80
	for name, c := range map[string]struct {
		from io.Reader
		more func() ([]byte, *Refusal)
		want int
	}{
		"too long":   {bytes.NewReader(long), none, http.StatusRequestEntityTooLarge},
		"no room":    {bytes.NewReader(long), func() ([]byte, *Refusal) { return nil, full }, http.StatusServiceUnavailable},
		"slow":       {iotest.ErrReader(os.ErrDeadlineExceeded), none, http.StatusRequestTimeout},
		"cut":        {io.MultiReader(bytes.NewReader(query), iotest.ErrReader(errors.New("gone"))), none, http.StatusBadRequest},
		"empty":      {bytes.NewReader(nil), none, http.StatusBadRequest},
		"a response": {bytes.NewReader(response), none, http.StatusBadRequest},
	} {
		if msg, no := (&Body{More: c.more}).ReadAll(c.from); no == nil || no.Status != c.want || msg != nil {
			t.Errorf("%s: %d octets, %v", name, len(msg), no)
		}
	}
}

// A body of an octet too many was a question where its last octet came with its end.
func TestABodyThatEndsBehindTheLimitIsTooLong(t *testing.T) {
	long := iotest.DataErrReader(bytes.NewReader(make([]byte, limits.HTTPBody+1)))
	if msg, no := (&Body{More: none}).ReadAll(long); no == nil || no.Status != http.StatusRequestEntityTooLarge || !no.TooLong {
		t.Errorf("%d octets, %v", len(msg), no)
	}
}

// Line ends within the text were skipped, so that one question had many URLs.
func TestLineEndsInTheParameterAreRefused(t *testing.T) {
	text := base64.RawURLEncoding.EncodeToString(query)
	for _, end := range []string{"\n", "\r\n", "%0A", "%0d"} {
		if msg, no := Parameter("dns=" + text[:8] + end + text[8:]); no == nil || no.Status != http.StatusBadRequest {
			t.Errorf("%q: %x, %v", end, msg, no)
		}
	}
}

// FuzzParameter: whatever stands in a URL, it is a message that may be a question
// or a status.
func FuzzParameter(f *testing.F) {
	text := base64.RawURLEncoding.EncodeToString(query)
	for _, s := range []string{"dns=" + text, "a&b=c&dns=" + text + "&dns=x", "dns=%41" + text, "dns=" + text + "=", "dns=" + text[:8] + "\n" + text[8:], "dns", "dns=%", "=&&&", "dns=" + strings.Repeat("A", 683), strings.Repeat("dns", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		msg, no := Parameter(s)
		switch {
		case no != nil:
			if msg != nil || no.Status < 400 || no.Status > 499 || no.Error() == "" {
				t.Fatalf("%q: %v", s, no)
			}
		case len(msg) < 12 || len(msg) > limits.HTTPQuestion || msg[2]&0x80 != 0:
			t.Fatalf("%q: %x", s, msg)
		case !strings.Contains(s, "%") && !strings.Contains(s, "dns="+base64.RawURLEncoding.EncodeToString(msg)):
			t.Fatalf("%q: %x is not what stands there", s, msg)
		}
	})
}

// A body that does not come in time is told apart from one that is broken.
func TestASlowBodyIsSlow(t *testing.T) {
	for err, slow := range map[error]bool{os.ErrDeadlineExceeded: true, errors.New("gone"): false} {
		if _, no := (&Body{More: none}).ReadAll(iotest.ErrReader(err)); no == nil || no.Slow != slow || no.TooLong {
			t.Errorf("%v: %+v", err, no)
		}
	}
}
