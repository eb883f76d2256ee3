package supervisor

import (
	"reflect"
	"testing"
)

// A worker that starts while the configuration is checked may have its program looked for
// again; the check has nothing to do with that (seen with -race).
func TestACheckDoesNotRaceWithAStart(t *testing.T) {
	s := bench(1)
	s.complete, s.events = true, make(chan func())
	defer close(s.done)
	s.Find = func() (*Program, error) { return This() }
	s.Check = func(string) []string { return []string{"config:1: no"} }
	s.askReload("test")
	if _, err := s.program(); err != nil {
		t.Fatal(err)
	}
	event := <-s.events
	event()
	if got := s.reloads.Errors(); !reflect.DeepEqual(got, []string{"config:1: no"}) {
		t.Errorf("the reload ended with %q", got)
	}
}
