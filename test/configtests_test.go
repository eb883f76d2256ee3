package test

import (
	"os"
	"os/exec"
	"testing"

	"kresd/internal/proctest"
)

// TestConfigurationTests runs tests in Lua as others have them for their configuration: by
// the harness of the shared scenarios, in a coroutine that begins when the worker has
// started.
func TestConfigurationTests(t *testing.T) {
	harness := proctest.Shared(t, "rpl/config-tests/run-config-tests")
	cmd := exec.Command(harness, "--list", "testdata/configtests/list", "testdata/configtests")
	cmd.Env = append(os.Environ(), "KRESD_BIN="+proctest.Bin("kresd"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
