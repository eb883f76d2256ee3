package doh

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"kresd/internal/limits"
)

// The message of a GET stands in the first parameter dns, in base64url without padding, which
// may have octets in the form of URLs (RFC 8484, section 6).
func TestTheParameterOfAGet(t *testing.T) {
	text := base64.RawURLEncoding.EncodeToString(query)
	escaped := "%" + string("0123456789ABCDEF"[text[0]>>4]) + string("0123456789ABCDEF"[text[0]&15]) + text[1:]
	for what, c := range map[string]struct {
		query string
		want  int
	}{
		"alone":                 {"dns=" + text, 0},
		"behind others":         {"a=b&c&dns=" + text, 0},
		"before another":        {"dns=" + text + "&dns=x", 0},
		"escaped":               {"dns=" + escaped, 0},
		"none":                  {"", http.StatusBadRequest},
		"another":               {"a=" + text, http.StatusBadRequest},
		"a name that is longer": {"xdns=" + text, http.StatusBadRequest},
		"without a value":       {"dns=", http.StatusBadRequest},
		"escaped badly":         {"dns=%" + text, http.StatusBadRequest},
		"with padding":          {"dns=" + text + "=", http.StatusBadRequest},
		"another alphabet":      {"dns=" + text[:4] + "+/" + text[6:], http.StatusBadRequest},
		"no question":           {"dns=" + base64.RawURLEncoding.EncodeToString(query[:5]), http.StatusBadRequest},
	} {
		msg, no := Parameter(c.query)
		switch {
		case c.want == 0 && (no != nil || !bytes.Equal(msg, query)):
			t.Errorf("%s: %x, %v", what, msg, no)
		case c.want != 0 && (no == nil || no.Status != c.want || no.TooLong || no.Slow):
			t.Errorf("%s: %x, %+v", what, msg, no)
		}
	}
}

// A message in a URL may have so many octets, and no more.
func TestTheLongestParameter(t *testing.T) {
	for n, want := range map[int]bool{limits.HTTPQuestion: true, limits.HTTPQuestion + 1: false} {
		msg := append(bytes.Clone(query[:12]), make([]byte, n-12)...)
		got, no := Parameter("dns=" + base64.RawURLEncoding.EncodeToString(msg))
		if (no == nil) != want || want && !bytes.Equal(got, msg) || no != nil && (no.Status != http.StatusRequestURITooLong || !no.TooLong) {
			t.Errorf("%d octets: %d, %+v", n, len(got), no)
		}
	}
	if _, no := (&Body{More: none}).ReadAll(strings.NewReader("")); no == nil || no.Slow || no.TooLong {
		t.Errorf("an empty body: %+v", no)
	}
}
