package resolve

import (
	"reflect"
	"testing"
)

// Each option takes part in With and Without, and in no other's place.
func TestOptionsAreJoinedAndTakenAway(t *testing.T) {
	fields := reflect.TypeFor[Options]()
	for i := range fields.NumField() {
		var one Options
		if f := reflect.ValueOf(&one).Elem().Field(i); f.Kind() == reflect.Bool {
			f.SetBool(true)
		} else {
			f.SetUint(5)
		}
		name := fields.Field(i).Name
		if got := (Options{}).With(one); got != one {
			t.Errorf("%s: nothing with it is %+v", name, got)
		}
		if got := one.With(Options{}); got != one {
			t.Errorf("%s: it with nothing is %+v", name, got)
		}
		if got := one.Without(one); got != (Options{}) {
			t.Errorf("%s: it without itself is %+v", name, got)
		}
		if got := one.Without(Options{}); got != one {
			t.Errorf("%s: it without nothing is %+v", name, got)
		}
		if one.Within(Options{}) || !one.Within(one) {
			t.Errorf("%s: within nothing, or not within itself", name)
		}
	}
	a, b := Options{NoIPv4: true, Stub: true, Marks: 6}, Options{NoIPv6: true, Stub: true, Marks: 3}
	if got, want := a.With(b), (Options{NoIPv4: true, NoIPv6: true, Stub: true, Marks: 7}); got != want {
		t.Errorf("joined: got %+v, want %+v", got, want)
	}
	if got, want := a.Without(b), (Options{NoIPv4: true, Marks: 4}); got != want {
		t.Errorf("taken away: got %+v, want %+v", got, want)
	}
}
