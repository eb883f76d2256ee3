package worker

import (
	"os"
	"testing"

	"kresd/internal/cli"
	"kresd/internal/reload"
)

// TestMain also plays the process that checks a configuration for a worker of a test.
func TestMain(m *testing.M) {
	if os.Getenv(reload.ReportVar) != "" {
		os.Exit(Check(Options{CLI: cli.Options{RunDir: "."}}))
	}
	os.Exit(m.Run())
}
