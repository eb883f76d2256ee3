package worker

import (
	"reflect"
	"testing"

	"kresd/internal/script"
)

// What answers a query reaches neither the whole worker nor the Lua machine by its
// fields: the only door to the machine is a function that a module was given.
func TestQueriesDoNotReachTheMachine(t *testing.T) {
	forbidden := map[reflect.Type]bool{reflect.TypeFor[Worker](): true, reflect.TypeFor[script.VM](): true}
	for _, part := range []reflect.Type{
		reflect.TypeFor[handler](), reflect.TypeFor[session](), reflect.TypeFor[requests](), reflect.TypeFor[storage](), reflect.TypeFor[own](),
	} {
		seen := map[reflect.Type]bool{}
		var walk func(typ reflect.Type, path string)
		walk = func(typ reflect.Type, path string) {
			if forbidden[typ] {
				t.Errorf("%s is a %s", path, typ)
			}
			if seen[typ] {
				return
			}
			seen[typ] = true
			switch typ.Kind() {
			case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Chan:
				walk(typ.Elem(), path)
			case reflect.Struct:
				for i := range typ.NumField() {
					walk(typ.Field(i).Type, path+"."+typ.Field(i).Name)
				}
			}
		}
		walk(part, part.Name())
	}
}
