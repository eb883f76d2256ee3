package trustanchor

import (
	"strings"
	"testing"
)

// A digest that is not hexadecimal is called so, in whatever type it comes.
func TestADigestThatIsNotHexadecimalIsCalledSo(t *testing.T) {
	for _, line := range []string{". IN DS 1 2 3 zz", ". IN DS 20326 8 2 " + strings.Repeat("g", 64)} {
		err := New().Add(line)
		if err == nil || !strings.HasSuffix(err.Error(), ": the digest is not hexadecimal") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
