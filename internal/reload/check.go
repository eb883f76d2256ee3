package reload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"kresd/internal/limits"
)

// ReportVar is set in the environment of a process that checks a configuration for
// a program: it is in the run directory already, and writes its mistakes, and
// nothing else, as a Report in JSON to its standard output.
const ReportVar = "KRESD_CHECK_REPORT"

// A Report is what a check found.
type Report struct {
	// Mistakes are what --check-config prints as errors, in the order of the files and
	// their lines. Without any the configuration is fine.
	Mistakes []string `json:"mistakes"`
}

// A Checker runs checks of the configuration that a program was started with.
type Checker struct {
	Path string   // the program
	Args []string // its arguments, its name first
	Env  []string
}

// Check tries the configuration, and returns what is wrong with it, or that it could
// not be tried.
func (c Checker) Check() []string {
	ctx, cancel := context.WithTimeout(context.Background(), limits.CheckTime+limits.CheckGrace)
	defer cancel()
	out, errs := &capped{max: limits.CheckReport}, &capped{max: limits.CheckReport}
	cmd := exec.CommandContext(ctx, c.Path)
	cmd.Args = slices.Insert(slices.Clone(c.Args), 1, "--check-config")
	cmd.Env = append(slices.Clone(c.Env), ReportVar+"=1")
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var r Report
	switch bad := json.Unmarshal(out.Bytes(), &r); {
	case ctx.Err() != nil:
		return []string{fmt.Sprintf("the check of the configuration has not ended after %v", limits.CheckTime+limits.CheckGrace)}
	case bad == nil && len(r.Mistakes) > 0:
		return r.Mistakes
	case bad == nil && err == nil:
		return nil
	}
	return []string{fmt.Sprintf("'%s' cannot check the configuration: %s", c.Path, said(err, errs.String()))}
}

// said is why a process failed: the first line that it wrote, or how it ended.
func said(err error, text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	var ended *exec.ExitError
	switch {
	case err == nil:
		return "it does not say what it found"
	case line != "" && errors.As(err, &ended):
		return line
	}
	return err.Error()
}

// capped keeps the beginning of what is written to it.
type capped struct {
	bytes.Buffer
	max int
}

// Write takes all and keeps what there is room for.
func (c *capped) Write(b []byte) (int, error) {
	c.Buffer.Write(b[:min(len(b), max(c.max-c.Len(), 0))])
	return len(b), nil
}
