package safe

import (
	"strings"
	"testing"
)

func TestGroupRecoversAndCounts(t *testing.T) {
	seen := make(chan *Panic, 2)
	g := &Group{OnPanic: func(p *Panic) { seen <- p }}
	g.Go("first", func() { panic("one") })
	g.Go("second", func() {})
	g.Wait()
	p := <-seen
	if p.Name != "first" || p.Value != "one" {
		t.Errorf("panic reported as %q %v, want first one", p.Name, p.Value)
	}
	if !strings.Contains(string(p.Stack), "safe_test.go") {
		t.Errorf("stack does not name the panicking file:\n%s", p.Stack)
	}
	if got := g.Panics(); got != 1 {
		t.Errorf("Panics() = %d, want 1", got)
	}
}

func TestRunReturnsThePanic(t *testing.T) {
	g := &Group{OnPanic: func(*Panic) {}}
	if p := g.Run("quiet", func() {}); p != nil {
		t.Errorf("Run without a panic = %v, want nil", p)
	}
	p := g.Run("loud", func() { panic(42) })
	if p == nil || p.Error() != "panic in loud: 42" {
		t.Errorf("Run with a panic = %v, want panic in loud: 42", p)
	}
}

func TestHookThatPanicsIsSurvived(t *testing.T) {
	g := &Group{OnPanic: func(*Panic) { panic("in the hook") }}
	g.Go("x", func() { panic("first") })
	g.Wait()
	if got := g.Panics(); got != 1 {
		t.Errorf("Panics() = %d, want 1", got)
	}
}

func TestGoGivesTheValueToItsHook(t *testing.T) {
	got := make(chan any, 1)
	Go("alone", func(v any) { got <- v }, func() { panic("value") })
	if v := <-got; v != "value" {
		t.Errorf("hook got %v, want value", v)
	}
}

func TestNilGroupWorks(t *testing.T) {
	var g *Group
	done := make(chan struct{})
	g.Go("nil", func() { close(done) })
	<-done
	g.Wait()
	if g.Panics() != 0 {
		t.Error("a nil group counted a panic")
	}
}
