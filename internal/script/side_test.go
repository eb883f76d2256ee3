package script

import (
	"bytes"
	"context"
	"testing"
	"time"

	"kresd/internal/script/sidebyside"
)

// Scripts print here what Lua prints.
func TestScriptsPrintWhatLuaPrints(t *testing.T) { sidebyside.Compare(t, "testdata/lua", printedHere) }

func printedHere(t *testing.T, script string) string {
	var out bytes.Buffer
	vm, err := New(Options{Stdout: &out, Stderr: &out})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = vm.RunFile(ctx, script)
	vm.Close()
	if err != nil {
		t.Errorf("it ends with: %v", err)
	}
	return out.String()
}
