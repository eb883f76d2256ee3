package version

import (
	"regexp"
	"testing"
)

func TestStringIsAVersion(t *testing.T) {
	form := regexp.MustCompile(`^\d+\.\d+\.\d+(\+[0-9a-z.-]+)?$`)
	if got := String(); !form.MatchString(got) {
		t.Errorf("String() = %q, want it to match %v", got, form)
	}
}
