package worker

import (
	"strings"
	"syscall"
	"testing"

	"kresd/internal/proctest"
)

func TestSIGQUITEndsLikeSIGTERM(t *testing.T) {
	l := begin(t, "env.KRESD_NO_LISTEN = '1'", Options{}).running()
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	l.ends(0)
	if log := l.log.String() + l.errs.String(); strings.Contains(log, "goroutine ") {
		t.Errorf("stacks were written: %s", log)
	}
}

func TestNoListenCountsWhenTheConfigurationSetsIt(t *testing.T) {
	for _, value := range []string{"'1'", "true"} {
		l := begin(t, "env.KRESD_NO_LISTEN = "+value, Options{}).running()
		if got := proctest.Eval(t, l.socket, "#net.endpoints()"); got != "0" {
			t.Errorf("env.KRESD_NO_LISTEN = %s: %s endpoints, want none", value, got)
		}
		l.quit()
	}
}
