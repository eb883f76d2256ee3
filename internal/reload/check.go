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
//
// With the value ReportDefaults it tells what is in force where nothing is configured.
const ReportVar = "KRESD_CHECK_REPORT"

// FilesVar is set in the environment of such a process to the names of the files that were
// run for what is in force, a newline between them: one that is not there any more is no
// reason to go on without it.
const FilesVar = "KRESD_CHECK_FILES"

// ReportDefaults is that value of ReportVar.
const ReportDefaults = "defaults"

// A Report is what a check found.
type Report struct {
	// Mistakes are what --check-config prints as errors, in the order of the files and
	// their lines; none for a configuration that is in order.
	Mistakes []string `json:"mistakes"`
	// Defaults are what ReportDefaults asks for, a value in JSON.
	Defaults json.RawMessage `json:"defaults,omitempty"`
}

// A Checker runs checks of the configuration that a program was started with.
type Checker struct {
	Path string   // the program
	Args []string // its arguments, its name first
	Env  []string
	// Files are the names of those that were run for what is in force.
	Files []string
}

// Check tries the configuration, and returns what is wrong with it, or that it could
// not be tried.
func (c Checker) Check() []string { return c.run("1").Mistakes }

// Defaults is the configuration that is in force where there are neither files nor
// options, as JSON, or why that is not known.
func (c Checker) Defaults() (json.RawMessage, error) {
	c.Args = c.Args[:1]
	r := c.run(ReportDefaults)
	switch {
	case len(r.Mistakes) > 0:
		return nil, errors.New(r.Mistakes[0])
	case r.Defaults == nil:
		return nil, fmt.Errorf("'%s' does not say what is so by default", c.Path)
	}
	return r.Defaults, nil
}

// run has a process report what a value of ReportVar asks for.
func (c Checker) run(value string) Report {
	ctx, cancel := context.WithTimeout(context.Background(), limits.CheckTime+limits.CheckGrace)
	defer cancel()
	out, errs := &capped{max: limits.CheckReport}, &capped{max: limits.CheckReport}
	cmd := exec.CommandContext(ctx, c.Path)
	cmd.Args = slices.Insert(slices.Clone(c.Args), 1, "--check-config")
	cmd.Env = append(slices.Clone(c.Env), ReportVar+"="+value, FilesVar+"="+strings.Join(c.Files, "\n"))
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var r Report
	switch bad := json.Unmarshal(out.Bytes(), &r); {
	case ctx.Err() != nil:
		return Report{Mistakes: []string{fmt.Sprintf("the check of the configuration has not ended after %v", limits.CheckTime+limits.CheckGrace)}}
	case bad == nil && (len(r.Mistakes) > 0 || err == nil):
		return r
	}
	return Report{Mistakes: []string{fmt.Sprintf("'%s' cannot check the configuration: %s", c.Path, said(err, errs.String()))}}
}

// said is why a check came without a report: the first line of text, which the process
// wrote to its standard error, or how it ended.
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
