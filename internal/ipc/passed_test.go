package ipc

import (
	"reflect"
	"testing"
)

func TestPassedSocketsKeepTheirNumbers(t *testing.T) {
	env := PassedEnv([]Passed{{Kind: "dns", Was: 3}, {Kind: "control", Was: 11}})
	got, err := parsePassed(env)
	want := []Passed{{Kind: "dns", FD: passedFD, Was: 3}, {Kind: "control", FD: passedFD + 1, Was: 11}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q is %v, %v; want %v", env, got, err, want)
	}
	if got, err := parsePassed(""); len(got) != 0 || err != nil {
		t.Errorf("none are %v, %v", got, err)
	}
	for _, bad := range []string{"3", "3:", "x:dns", "3:dns :tls"} {
		if _, err := parsePassed(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
