package language_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"kresd/internal/script"
	"kresd/internal/script/command"
	"kresd/internal/script/sidebyside"
)

// Scripts print here what Lua prints.
func TestScriptsPrintWhatLuaPrints(t *testing.T) { sidebyside.Compare(t, "testdata/lua", printedHere) }

func printedHere(t *testing.T, path string) string {
	var out bytes.Buffer
	vm, err := command.New(script.Options{Stdout: &out, Stderr: &out})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = vm.RunFile(ctx, path)
	vm.Close()
	if err != nil {
		t.Errorf("it ends with: %v", err)
	}
	return out.String()
}
