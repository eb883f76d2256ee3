package json

import (
	"io"
	"strings"
	"testing"

	"kresd/internal/script"
	"kresd/internal/script/command"
)

// eval returns what a chunk shows in which cjson, safe and dkjson are the libraries.
func eval(t testing.TB, vm *command.Interpreter, chunk string) string {
	t.Helper()
	text, _ := vm.Eval(t.Context(), "local cjson, safe, dkjson = require('cjson'), require('cjson.safe'), require('dkjson') "+chunk)
	return text
}

func machine(t testing.TB) *command.Interpreter {
	t.Helper()
	vm, err := command.New(script.Options{Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(vm.Close)
	if err := vm.Do(t.Context(), func(*script.Call) error { vm.AddLibraries(Libraries()...); return nil }); err != nil {
		t.Fatal(err)
	}
	return vm
}

// What later versions of lua-cjson than Debian's have: arrays that are empty, or that are
// told to be arrays.
func TestArraysThatAreTold(t *testing.T) {
	vm := machine(t)
	for chunk, want := range map[string]string{
		"return cjson.encode({ a = cjson.empty_array })":                                                `{"a":[]}`,
		"return cjson.encode(setmetatable({}, cjson.empty_array_mt))":                                   "[]",
		"return cjson.encode(setmetatable({ x = 1 }, cjson.empty_array_mt))":                            `{"x":1}`,
		"return cjson.encode(setmetatable({ 1, 2, x = 3 }, cjson.array_mt))":                            "[1,2]",
		"local j = cjson.new() j.encode_empty_table_as_object(false) return j.encode({ {} })":           "[[]]",
		"local j = cjson.new() j.decode_array_with_array_mt(true) return j.encode(j.decode('[[],{}]'))": "[[],{}]",
		"return tostring(cjson.null == safe.null and cjson.null == cjson.decode('[null]')[1])":          "true",
		"local seen = {} seen[cjson.null] = 'key' return seen[cjson.decode('null')]":                    "key",
		"return tostring(cjson.array_mt == safe.array_mt)":                                              "true",
		"return dkjson.encode(dkjson.decode('{\"a\":[],\"b\":{}}'), { keyorder = { 'a', 'b' } })":       `{"a":[],"b":{}}`,
	} {
		if got := eval(t, vm, chunk); got != want {
			t.Errorf("%s\n got %q\nwant %q", chunk, got, want)
		}
	}
}

// No text and no value costs more than an error, however large or nested it is and
// whatever a script allows itself.
func TestHostileTextsAndValues(t *testing.T) {
	vm := machine(t)
	for chunk, want := range map[string]string{
		"cjson.decode_max_depth(2147483647) return select(2, safe.decode(('['):rep(1e7)))":                                          "Found too many nested data structures (1001) at character 1001",
		"local s = safe.new() s.decode_max_depth(2147483647) return select(2, s.decode(('['):rep(1e7)))":                            "Found too many nested data structures (10001) at character 10001",
		"return (select(3, dkjson.decode(('['):rep(1e6))))":                                                                         "nested too deeply at line 1, column 10001",
		"cjson.encode_max_depth(2147483647) local t = {} for i = 1, 1e6 do t = { t } end return tostring((pcall(cjson.encode, t)))": "false",
		"local t = {} for i = 1, 1e6 do t = { t } end return tostring((pcall(dkjson.encode, t)))":                                   "false",
		"local s = ('x'):rep(1e6) local t = {} for i = 1, 100 do t[i] = s end return tostring((pcall(cjson.encode, t)))":            "false",
		"return #safe.decode('[' .. ('1,'):rep(1e5) .. '1]')":                                                                       "100001",
	} {
		// What takes its time on a busy machine may be ended for that.
		if got := strings.TrimSpace(eval(t, vm, chunk)); got != want && !strings.HasPrefix(got, "ended: it ran longer") {
			t.Errorf("%s\n got %q\nwant %q", chunk, got, want)
		}
		if got := eval(t, vm, "return 1 + 1"); got != "2" {
			t.Fatalf("after %s the machine answers %q", chunk, got)
		}
	}
}

// No text ends the parser, and what it reads is read again from what it writes.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{`{"a":[1,-2.5e3,"\u00e9\ud83d\ude00",null,true]}`, "[[[", `"\`, "0x", "-", "1e", "nan", `{"a"`, "[1,]", "+.5"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := &parser{text: text, most: 100, invalid: true}
		v, err := p.whole()
		if err == nil && p.at != len(text) {
			t.Errorf("%q: it stopped at %d", text, p.at)
		}
		if s, ok := v.(string); ok && err == nil {
			again := &parser{text: quote(s), most: 1}
			if back, err := again.whole(); err != nil || back != s {
				t.Errorf("%q became %q, %v", s, back, err)
			}
		}
	})
}

// A text of many values took all memory before Lua was asked again.
func TestTextsOfManyValuesAreRefused(t *testing.T) {
	vm := machine(t)
	const many = "local text = '[' .. ('1,'):rep(2^20) .. '1]' "
	for chunk, want := range map[string]string{
		many + "return select(2, pcall(cjson.decode, text))": "Found too many values",
		many + "return select(2, safe.decode(text))":         "Found too many values",
		many + "return select(2, pcall(fromjson, text))":     "more than 1048576 values",
	} {
		// As a file is run, which may take long on a busy machine.
		text := "local cjson, safe = require('cjson'), require('cjson.safe') refusal = (function() " + chunk + " end)()"
		if err := vm.RunText(t.Context(), "many", text); err != nil {
			t.Errorf("%s: %v", chunk, err)
		}
		if got := eval(t, vm, "return refusal"); !strings.Contains(got, want) {
			t.Errorf("%s: got %.200q", chunk, got)
		}
	}
}
