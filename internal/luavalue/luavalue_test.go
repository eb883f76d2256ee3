package luavalue

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"testing"
)

func sample() *Table {
	inner := List("a\x00b", true, false)
	return (&Table{}).Add(1.0, "x").Add(2.0, inner).Add("n", -0.5).Add("huge", math.Inf(1)).Add(true, "yes")
}

func TestValuesSurviveTheJourneyByteForByte(t *testing.T) {
	for _, v := range []any{nil, true, false, 0.0, -1.5, math.MaxFloat64, "", "\x00\xff\n", &Table{}, sample()} {
		b, err := Append(nil, v)
		if err != nil {
			t.Fatalf("Append(%v): %v", v, err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Fatalf("Decode(Append(%v)): %v", v, err)
		}
		again, _ := Append(nil, got)
		if !bytes.Equal(b, again) {
			t.Errorf("%v came back as %v", v, got)
		}
	}
}

func TestAppendRefusesWhatCannotTravel(t *testing.T) {
	loop := &Table{}
	loop.Add(1.0, loop)
	if _, err := Append(nil, loop); !errors.Is(err, ErrDepth) {
		t.Errorf("a table that contains itself: %v", err)
	}
	if _, err := Append(nil, func() {}); err == nil {
		t.Error("a function was encoded")
	}
}

func TestDecodeRefusesDamage(t *testing.T) {
	good, err := Append(nil, sample())
	if err != nil {
		t.Fatal(err)
	}
	for n := range good {
		if _, err := Decode(good[:n]); err == nil {
			t.Errorf("the first %d of %d octets were accepted", n, len(good))
		}
	}
	for _, b := range [][]byte{append(good, 'n'), []byte("{\xff\xff\xff\xff"), []byte("{\x00\x00\x00\x01nn"), []byte("x")} {
		if _, err := Decode(b); err == nil {
			t.Errorf("%q was accepted", b)
		}
	}
	deep := bytes.Repeat([]byte("{\x00\x00\x00\x01t"), 1000)
	if _, err := Decode(append(deep, 't')); err == nil {
		t.Error("a thousand nested tables were accepted")
	}
}

func TestTableAccess(t *testing.T) {
	table := (&Table{}).Add("b", 1.0).Add(3.0, "z").Add(1.0, "x").Add(2.0, "y").Add("a", 2.0)
	if got := table.Values(); !reflect.DeepEqual(got, []any{"x", "y", "z"}) {
		t.Errorf("Values() = %v", got)
	}
	if table.Get("a") != 2.0 || table.Get("c") != nil {
		t.Errorf("Get is wrong: %v %v", table.Get("a"), table.Get("c"))
	}
	table.Sort()
	var keys []any
	for _, p := range table.Pairs {
		keys = append(keys, p.Key)
	}
	if want := []any{1.0, 2.0, 3.0, "a", "b"}; !reflect.DeepEqual(keys, want) {
		t.Errorf("Sort() gave %v, want %v", keys, want)
	}
	if (*Table)(nil).Get("x") != nil || (*Table)(nil).Values() != nil {
		t.Error("a nil table is not empty")
	}
}

func FuzzDecode(f *testing.F) {
	b, err := Append(nil, sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("{\x00\x00\x00\x01s\x00\x00\x00\x01at"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Append(nil, v)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q decodes to %v, which encodes to %q (%v)", b, v, again, err)
		}
	})
}
