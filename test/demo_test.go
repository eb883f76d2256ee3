package test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"kresd/internal/proctest"
)

// lockedText collects what a program writes while the test reads it.
type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// digShows is what a line of the screen promises of dig's output, as patterns.
func digShows(args, comment string) []string {
	const answered = "status: (NOERROR|NXDOMAIN)"
	switch {
	case strings.Contains(comment, "SERVFAIL"):
		return []string{"status: SERVFAIL", `EDE: 7.*signature of expired\.example\.com\. A by key \d+ of example\.com\. expired 3 days ago`}
	case strings.Contains(comment, "proven"):
		return []string{answered, "flags:[a-z ]* ad[; ]"}
	case strings.Contains(args, "+cd"):
		return []string{"status: NOERROR", `192\.0\.2\.99`, "flags:[a-z ]* cd[; ]"}
	}
	return []string{"status: NOERROR", "flags: qr rd ra;"}
}

// `make run` where no root server answers: the first query is answered, the
// commands on the screen work, one signal ends everything.
func TestDemo(t *testing.T) {
	at := proctest.FreePort(t)
	rundir := filepath.Join(proctest.RunDir(t), "run")
	cmd := exec.Command(proctest.Bin("smallnet"), "-kresd", proctest.Bin("kresd"), "-zones", filepath.Join(proctest.Root(t), "testdata", "zones"),
		"-port", strconv.Itoa(int(at.Port())), "-rundir", rundir, "-workers", "2", "-roots", "127.0.0.1:1")
	var screen lockedText
	cmd.Stdout, cmd.Stderr = &screen, &screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	proctest.Eventually(t, 20*time.Second, "the screen tells how to query", func() bool {
		return strings.Contains(screen.String(), "ends everything")
	})
	if !strings.Contains(screen.String(), "small Internet") {
		t.Errorf("the screen does not tell of the small Internet:\n%s", &screen)
	}
	r, err := proctest.Exchange("udp", at, proctest.Query("www.example.com", dns.TypeA, 0))
	if err != nil || len(r.Answer) != 2 {
		t.Errorf("first query: %v, %v", r, err)
	}
	digs := regexp.MustCompile(`(?m)^  dig ([^#]*?) *# (.*)$`).FindAllStringSubmatch(screen.String(), -1)
	for _, dig := range digs {
		out := proctest.Run(t, "dig", strings.Fields(dig[1])...)
		for _, want := range digShows(dig[1], dig[2]) {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("dig %s # %s: no %s in\n%s", dig[1], dig[2], want, out)
			}
		}
	}
	consoles := regexp.MustCompile(`(?m)nc -U (\S+)`).FindAllStringSubmatch(screen.String(), -1)
	if len(digs) != 5 || len(consoles) != 2 {
		t.Errorf("%d dig lines and %d consoles on the screen:\n%s", len(digs), len(consoles), &screen)
	}
	for _, c := range consoles {
		if got := proctest.Eval(t, c[1], "worker.count"); got != "2\n" && got != "2" {
			t.Errorf("console %s: %q", c[1], got)
		}
	}
	client := regexp.MustCompile(`(?m)^  (\S+/kresc) (\S+) `).FindStringSubmatch(screen.String())
	if client == nil {
		t.Errorf("no kresc on the screen:\n%s", &screen)
	} else if out := proctest.Run(t, client[1], "-e", "worker.count", client[2]); out != "2\n" {
		t.Errorf("kresc: %q", out)
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) // to the whole group, as a terminal does
	ended := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
	if err := cmd.Wait(); err != nil || !ended.Stop() {
		t.Errorf("after Ctrl-C: %v; screen:\n%s", err, &screen)
	}
	if strings.Contains(screen.String(), "killing") {
		t.Errorf("workers were killed instead of drained:\n%s", &screen)
	}
	if _, err := proctest.Exchange("udp", at, proctest.Query("www.example.com", dns.TypeA, 0)); err == nil {
		t.Error("something still answers after the end")
	}
}
