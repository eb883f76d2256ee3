package luavalue

import (
	"reflect"
	"strings"
	"testing"
)

// What is read is what was written: the same values, under the same keys, in the same order.
func TestValuesComeBackTheSame(t *testing.T) {
	for _, v := range []any{nil, true, false, 1.5, "", "text", &Table{}, List("a", true, 2.0), (&Table{}).Add("k", List(1.0)).Add(false, "x").Add(2.5, List())} {
		b, err := Append([]byte("before"), v)
		if err != nil || !strings.HasPrefix(string(b), "before") {
			t.Fatalf("%v: %q, %v", v, b, err)
		}
		got, err := Decode(b[len("before"):])
		if table, ok := v.(*Table); ok && len(table.Pairs) == 0 {
			if g, ok := got.(*Table); !ok || len(g.Pairs) != 0 || err != nil {
				t.Errorf("an empty table became %v, %v", got, err)
			}
			continue
		}
		if err != nil || !same(got, v) {
			t.Errorf("%+v became %+v, %v", v, got, err)
		}
	}
	if b, err := Append(nil, 7); err != nil {
		t.Error(err)
	} else if got, _ := Decode(b); got != 7.0 {
		t.Errorf("an integer became %v", got)
	}
}

// same tells whether two values are equal; a table without entries is one however it came.
func same(a, b any) bool {
	x, xt := a.(*Table)
	y, yt := b.(*Table)
	if !xt || !yt {
		return reflect.DeepEqual(a, b)
	}
	if len(x.Pairs) != len(y.Pairs) {
		return false
	}
	for i := range x.Pairs {
		if !same(x.Pairs[i].Key, y.Pairs[i].Key) || !same(x.Pairs[i].Value, y.Pairs[i].Value) {
			return false
		}
	}
	return true
}

// A list has the keys 1, 2, … in this order, and ends at the first gap.
func TestListsCountFromOne(t *testing.T) {
	list := List("a", "b", "c")
	for i, want := range []any{"a", "b", "c"} {
		if p := list.Pairs[i]; p.Key != float64(i+1) || p.Value != want {
			t.Errorf("entry %d is %+v", i, p)
		}
	}
	if got := (&Table{}).Add(1.0, "a").Add(2.0, nil).Add(3.0, "c").Add("4", "d").Values(); !reflect.DeepEqual(got, []any{"a"}) {
		t.Errorf("up to a gap: %v", got)
	}
}

// Tables nest so deep and no deeper, on both sides, be it in keys' or in values' places; keys
// that cannot travel are refused as values are.
func TestHowDeepTablesNest(t *testing.T) {
	nest := func(n int) *Table {
		inner := &Table{}
		for range n - 1 {
			inner = List(inner)
		}
		return inner
	}
	b, err := Append(nil, nest(maxDepth))
	if err != nil {
		t.Errorf("%d tables: %v", maxDepth, err)
	}
	if _, err := Decode(b); err != nil {
		t.Errorf("%d tables are not read: %v", maxDepth, err)
	}
	if _, err := Append(nil, nest(maxDepth+1)); err != ErrDepth {
		t.Errorf("%d tables: %v", maxDepth+1, err)
	}
	one := []byte("{\x00\x00\x00\x01d\x3f\xf0\x00\x00\x00\x00\x00\x00") // a table of which the value under 1 follows
	if _, err := Decode(append(append([]byte{}, one...), b...)); err != ErrDepth {
		t.Errorf("%d tables are read: %v", maxDepth+1, err)
	}
	deep := []byte{}
	for range 100000 {
		deep = append(deep, "{\x00\x00\x00\x01"...)
	}
	if _, err := Decode(append(deep, make([]byte, 100000)...)); err != ErrDepth {
		t.Errorf("keys that nest without end: %v", err)
	}
	loop := &Table{}
	if _, err := Append(nil, loop.Add(loop, true)); err != ErrDepth {
		t.Errorf("a table that is its own key: %v", err)
	}
	if _, err := Append(nil, (&Table{}).Add(func() {}, true)); err == nil {
		t.Error("a function was encoded as a key")
	}
}
