package lineedit

import (
	"bytes"
	"os"
	"testing"
)

// A terminal that was left as it was found stays so, also where a console begins a line
// just then: the process ends, and nobody would leave it again.
func TestATerminalThatWasLeftIsNotTakenAgain(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	var shown bytes.Buffer
	s := &Screen{in: null, out: null}
	s.Close()
	s.edit(&Editor{out: &shown})
	s.resume()
	if s.editor != nil || shown.Len() > 0 {
		t.Errorf("a line is edited, and %q is written", shown.String())
	}
}
