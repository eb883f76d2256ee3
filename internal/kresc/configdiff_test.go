package kresc

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestChangesOfAConfiguration(t *testing.T) {
	const (
		now   = `{"a":1,"b":{"x":true,"10":"ten","9":"nine"},"gone":null,"list":["p","r"],"order":["b","a"],"empty":[],"same":["p"],"rules":{"0":"first"},"off":false}`
		usual = `{"a":2,"b":{"x":true},"was":"here","list":["p","q"],"order":["a","b"],"rules":[],"none":{},"same":["p"],"off":true}`
	)
	var values, defaults map[string]any
	if err := json.Unmarshal([]byte(now), &values); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(usual), &defaults); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes(flat("", values), flat("", defaults)) {
		got = append(got, c.text())
	}
	want := []string{
		"a = 1 (default: 2)", "b.9 = nine", "b.10 = ten", "list: + r, - q", "off = false (default: true)", "order = b, a (default: a, b)", "rules.0 = first",
		"was = none (default: here)",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if same := changes(flat("", values), flat("", values)); len(same) != 0 {
		t.Errorf("of itself: %+v", same)
	}
}
