package worker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"kresd/internal/cli"
	"kresd/internal/digest"
	"kresd/internal/inforce"
	"kresd/internal/limits"
	"kresd/internal/reload"
	"kresd/internal/textfile"
	"kresd/internal/wording"
)

// ran is the code that this process has run at its start: its configuration. It is kept for
// the process that takes the place of this one, should this one die (package inforce), and
// by its digests it is told from what stands in the files later on. What is loaded after the
// start is not the configuration.
type ran struct {
	cli   *cli.Options
	from  *inforce.Configuration // that is run instead of the files; nil: the files are run
	group bool                   // this process is one of a group
	warn  func(line string)

	mu    sync.Mutex
	files []string          // that were run, in their order
	code  map[string]string // of all files of code; nil once the start is over
	data  map[string]string // of files of data (kept_data.go); nil where nobody takes them
	room  int               // octets that data may have beside
	kept  map[string]uint64 // their digests, then
}

func newRan(o *Options, warn func(line string)) *ran {
	r := &ran{cli: &o.CLI, from: o.InForce, group: o.Link != nil, warn: warn, code: map[string]string{}, room: limits.KeptData}
	if isTaken(o) {
		r.data = map[string]string{}
	}
	return r
}

// isTaken tells whether somebody takes what a process has run: the supervisor, or the
// service manager. They have it already where it came from them.
func isTaken(o *Options) bool { return o.InForce == nil && (o.Link != nil || o.Notify.Managed()) }

// configFiles are those that are to be run.
func (r *ran) configFiles() []string {
	if r.from != nil {
		return r.from.Files
	}
	return configFiles(r.cli)
}

// begins takes note of a file that is run.
func (r *ran) begins(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files = append(r.files, path)
}

// ranFiles are those that were run.
func (r *ran) ranFiles() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files
}

// instead is what is run in the place of what stands in a file of code.
func (r *ran) instead(path string) (text string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.code == nil {
		return "", false
	}
	return r.from.Text(path)
}

// loaded takes note of a file of code that is loaded.
func (r *ran) loaded(path, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.code != nil {
		r.code[path] = text
	}
}

// keep makes a file of what has run.
func (r *ran) keep() (*os.File, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return (&inforce.Configuration{Files: r.files, Code: r.code, Data: r.data}).Keep()
}

// started ends the start.
func (r *ran) started() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = make(map[string]uint64, len(r.code))
	for path, text := range r.code {
		r.kept[path] = digest.Of(text)
	}
	r.code, r.data, r.from = nil, nil, nil
}

// onDisk compares the files of code with what has run.
func (r *ran) onDisk() (found reload.OnDisk) {
	r.mu.Lock()
	kept, files := r.kept, r.files // which do not change any more once there are digests
	r.mu.Unlock()
	if kept == nil {
		return found
	}
	for path, sum := range kept {
		text, err := textfile.Read(path, limits.LuaString)
		switch {
		case errors.Is(err, fs.ErrPermission): // another user has read it at the start
			found.Unread = append(found.Unread, path)
		case err != nil || digest.Of(string(text)) != sum:
			found.Differ = append(found.Differ, path)
		}
	}
	for _, path := range configFiles(r.cli) {
		if !slices.Contains(files, path) { // it has come since
			found.Differ = append(found.Differ, path)
		}
	}
	slices.Sort(found.Differ)
	slices.Sort(found.Unread)
	found.Differ = slices.Compact(found.Differ)
	return found
}

// keepConfiguration leaves what this worker has run with the supervisor, or with the
// service manager, who give it to the next worker should this one die.
func (w *Worker) keepConfiguration() {
	taken := isTaken(&w.o)
	w.o.InForce = nil // nobody needs its text any more
	if !taken {
		return
	}
	f, err := w.reloads.keep()
	if err != nil {
		w.log.Warn(fmt.Sprintf("the configuration is not kept (%v): should this process die, the next one runs the files as they are then", wording.Reason(err)))
		w.o.Notify.Forget()
		return
	}
	defer f.Close()
	w.o.Link.Ran(f)
	w.o.Notify.Keep(f)
}
