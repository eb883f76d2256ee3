package module

import (
	"errors"
	"testing"

	"kresd/internal/dnsname"
	"kresd/internal/luavalue"
)

// Functions get what scripts wrote as values of Go types, or are not called.
func TestArgumentsArriveTyped(t *testing.T) {
	var got any
	take := func(v any) ([]any, error) { got = v; return nil, nil }
	text := Call1("get", Text("name", "name of a counter"), func(s string) ([]any, error) { return take(s) })
	number := Call1("ttl", Whole("seconds", "whole seconds from 0 to 10", 0, 10).Or(7), func(n float64) ([]any, error) { return take(n) })
	on := Call1("use", Switch("on", "true or false"), func(b bool) ([]any, error) { return take(b) })
	table := Call1("root", Table("hints", "a table").Or(nil), func(t *luavalue.Table) ([]any, error) { return take(t) })
	name := Call1("del", DomainName("name", "name"), func(n dnsname.Name) ([]any, error) { return take(n) })
	finite := Call1("set", Finite("value", "number"), func(n float64) ([]any, error) { return take(n) })
	for _, tc := range []struct {
		fn   Function
		args []any
		want any
		err  string
	}{
		{text, []any{"x"}, "x", ""},
		{text, []any{5.0}, nil, "name of a counter expected"},
		{text, []any{nil}, nil, "name of a counter expected"},
		{number, nil, 7.0, ""},
		{number, []any{nil}, 7.0, ""},
		{number, []any{0.0}, 0.0, ""},
		{number, []any{10.0}, 10.0, ""},
		{number, []any{10.5}, nil, "whole seconds from 0 to 10 expected"},
		{number, []any{0.5}, nil, "whole seconds from 0 to 10 expected"},
		{number, []any{-1.0}, nil, "whole seconds from 0 to 10 expected"},
		{number, []any{nan()}, nil, "whole seconds from 0 to 10 expected"},
		{finite, []any{-nan()}, nil, "number expected"},
		{on, []any{false}, false, ""},
		{on, []any{"yes"}, nil, "true or false expected"},
		{table, []any{"x"}, nil, "a table expected"},
		{name, []any{"Example.COM"}, dnsname.Name("\x07example\x03com\x00"), ""},
		{name, []any{true}, nil, "name expected"},
	} {
		got = nil
		_, err := tc.fn.Fn(tc.args)
		if tc.err != "" {
			if bad := new(ArgError); !errors.As(err, &bad) || err.Error() != tc.err || got != nil {
				t.Errorf("%s(%v): %v and %v, want the error %q", tc.fn.Name, tc.args, got, err, tc.err)
			}
		} else if err != nil || got != tc.want {
			t.Errorf("%s(%v): %v and %v, want %v", tc.fn.Name, tc.args, got, err, tc.want)
		}
	}
	if _, err := name.Fn([]any{"a..b"}); err == nil || err.Error()[:6] != "'a..b'" {
		t.Errorf("a bad name: %v", err)
	}
}

func nan() float64 { zero := 0.0; return zero / zero }

// What help() shows of a function, and how many arguments it takes, is of its
// parameters.
func TestUsageIsOfTheParameters(t *testing.T) {
	two := func(string, float64) ([]any, error) { return []any{true}, nil }
	for _, tc := range []struct {
		fn        Function
		args      string
		least, at int
	}{
		{Call0("list", func() ([]any, error) { return nil, nil }), "", 0, 0},
		{Call1("get", Text("name", "name"), func(string) ([]any, error) { return nil, nil }), "name", 1, 1},
		{Call1("get", Text("name", "name").Or(""), func(string) ([]any, error) { return nil, nil }), "[name]", 0, 1},
		{Call2("add", Text("name", "name"), Finite("n", "number").Or(1), two), "name, [n]", 1, 2},
		{Call2("add", Text("name", "name"), Finite("n", "number"), two), "name, n", 2, 2},
	} {
		if tc.fn.Args != tc.args || tc.fn.Min != tc.least || tc.fn.Max != tc.at {
			t.Errorf("%s(%s) takes %d to %d arguments, want (%s), %d to %d", tc.fn.Name, tc.fn.Args, tc.fn.Min, tc.fn.Max, tc.args, tc.least, tc.at)
		}
	}
	add := Call2("add", Text("name", "name"), Finite("n", "number").Or(1), two)
	if _, err := add.Fn([]any{"x", "y"}); err == nil {
		t.Error("a wrong second argument was taken")
	}
	if _, err := add.Fn([]any{5.0, 1.0}); err == nil {
		t.Error("a wrong first argument was taken")
	}
	if out, err := add.Fn([]any{"x"}); err != nil || len(out) != 1 {
		t.Errorf("without its optional argument: %v, %v", out, err)
	}
}
