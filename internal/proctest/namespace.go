package proctest

import (
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// insideEnv marks the process that InNamespace started.
const insideEnv = "KRESD_TEST_NETNS"

// InNamespace runs the calling test in a network and mount namespace of its own,
// where it may bind port 53 of any address and mount things: it starts the test
// binary again for this one test. It returns true there; outside it returns
// false when the test has passed inside, and the caller returns. Root makes the
// namespace directly, others through a user namespace; where the kernel allows
// neither the test fails.
func InNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideEnv) != "" {
		Run(t, "ip", "link", "set", "lo", "up")
		return true
	}
	flags := []string{"--net", "--mount"}
	if os.Geteuid() != 0 {
		flags = append(flags, "--user", "--map-root-user")
	}
	if out, err := exec.Command("unshare", append(flags, "true")...).CombinedOutput(); err != nil {
		t.Fatalf("this test needs a network namespace, as root or by unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1): unshare: %v: %s", err, out)
	}
	args := append(flags, os.Args[0], "-test.run", "^"+regexp.QuoteMeta(t.Name())+"$", "-test.v", "-test.timeout", "10m")
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("inside the namespace: %v\n%s", err, out)
	}
	t.Logf("inside the namespace:\n%s", out)
	return false
}

// Run runs a program to its end and fails the test when it fails.
func Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}
