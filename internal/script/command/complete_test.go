package command_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"kresd/internal/luavalue"
	"kresd/internal/script"
	"kresd/internal/script/scripttest"
)

func TestComplete(t *testing.T) {
	vm, _ := scripttest.New(t)
	scripttest.Do(t, vm, func(c *script.Call) error {
		vm.RegisterObject(script.Object{Name: "cellar", Protected: true,
			Funcs: []script.Func{{Name: "open", Fn: func(c *script.Call) error { return nil }}},
			Fields: []script.Field{{Name: "size", Get: func(c *script.Call) (any, error) { return 5.0, nil }}, {Name: "shelf", Get: func(c *script.Call) (any, error) {
				return &luavalue.Table{Pairs: []luavalue.Pair{{Key: "top", Value: 1.0}}}, nil
			}}},
			Entries: func(*script.Call) []script.Entry { return []script.Entry{{Key: "extra", Value: 1.0}} },
		})
		return nil
	})
	s := vm.NewSession()
	if out, isErr := s.Eval(context.Background(), "cider = { apple = { red = 1, green = 2 }, ['not a name'] = 1, _secret = 1 }  setmetatable(cider, { __index = { press = 1 } })\nlocal cherry = 'x'", nil); isErr {
		t.Fatal(out)
	}
	for text, want := range map[string]string{
		"ce":                  "cellar",
		"print(ce":            "cellar",
		"x = 1 + cid":         "cider",
		"che":                 "cherry",
		"cher.x":              "",
		"cellar.":             "cellar.extra cellar.open cellar.shelf cellar.size",
		"cellar.o":            "cellar.open",
		"cellar.shelf.":       "cellar.shelf.top",
		"cellar.size.":        "",
		"cellar.nosuch.":      "",
		"cider.":              "cider.apple cider.press",
		"cider._":             "cider._secret",
		"cider.apple.r":       "cider.apple.red",
		"cherry:uppe":         "cherry:upper",
		"string.for":          "string.format",
		"whi":                 "while",
		"f().":                "",
		"f().cid":             "",
		"t[1].cid":            "",
		"5cid":                "",
		"'cid":                "",
		"\"a\\\"cid":          "",
		"[[ cid":              "",
		"-- cid":              "",
		"'done' .. cid":       "cider",
		"-- note\ncid":        "cider",
		"table.concat(cider.": "cider.apple cider.press",
	} {
		if got := strings.Join(s.Complete(context.Background(), text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := s.Complete(context.Background(), ""); !slices.Contains(got, "cellar") || !slices.Contains(got, "cherry") || slices.Contains(got, "_G") {
		t.Errorf("nothing typed: %q", got)
	}
	if got := vm.NewSession().Complete(context.Background(), "cher"); len(got) != 0 {
		t.Errorf("another session sees the local: %q", got)
	}
}

// A table that is its own metatable's index ends.
func TestCompleteEndsInACircle(t *testing.T) {
	vm, _ := scripttest.New(t)
	s := vm.NewSession()
	s.Eval(context.Background(), "ring = { gem = 1 }  setmetatable(ring, ring)  ring.__index = ring", nil)
	if got := s.Complete(context.Background(), "ring.g"); !slices.Equal(got, []string{"ring.gem"}) {
		t.Errorf("%q", got)
	}
}

func TestEvalJSON(t *testing.T) {
	vm, _ := scripttest.New(t)
	s := vm.NewSession()
	for text, want := range map[string]string{
		"1 + 1":                           "2\n",
		"'a\"b'":                          "\"a\\\"b\"\n",
		"{ 1, 2, { x = true } }":          "[1,2,{\"x\":true}]\n",
		"nil":                             "null\n",
		"y = 5":                           "null\n",
		"local z = 2 return { z }":        "[2]\n",
		"print":                           "null\n",
		"{ [1] = 'a', b = 2 }":            "{\"1\":\"a\",\"b\":2}\n",
		"":                                "null\n",
		"for i = 1, 3 do end\nreturn 'x'": "\"x\"\n",
	} {
		got, isErr := s.EvalJSON(context.Background(), text, nil)
		if isErr || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, isErr, want)
		}
	}
	for text, want := range map[string]string{"error('oh', 0)": "oh", "0/0": "finite", "1 +": "<eof>"} {
		if got, isErr := s.EvalJSON(context.Background(), text, nil); !isErr || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v; want an error with %q", text, got, isErr, want)
		}
	}
}
