package worker

import (
	"testing"

	"kresd/internal/dnsname"
)

func parse(t testing.TB, text string) dnsname.Name {
	t.Helper()
	n, err := dnsname.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
