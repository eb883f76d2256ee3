package worker

import (
	"fmt"
	"io"
	"os"
	"strings"

	"kresd/internal/memfile"
	"kresd/internal/textfile"
	"kresd/internal/wording"
)

// Files of data that the configuration names are kept beside its code, as far as there is
// room, so that a broken one keeps nobody away who takes the place of a dead process.

// spared follows what is wrong with a file.
const spared = "; what stood in the file when it was read for the configuration in force is used"

// inForce is the textfile.Reader of files that are read again at a reload only. Whoever
// takes the place of a dead worker of a group reads what the others have; a process alone,
// which may have read them again since, only what it cannot have otherwise.
func (r *ran) inForce(path string, use textfile.Use) error {
	if text, ok := r.spare(path); ok && r.group {
		if use(strings.NewReader(text), nil) == nil {
			return nil
		}
	}
	return r.latest(path, use)
}

// latest is the textfile.Reader of files that are read again when they change. What they
// said before counts where what they say now cannot be used.
func (r *ran) latest(path string, use textfile.Use) error {
	err := r.noted(path, use)
	if err == nil {
		return nil
	}
	old, ok := r.spare(path)
	if !ok || use(strings.NewReader(old), nil) != nil {
		return err
	}
	r.warn(err.Error() + spared)
	return nil
}

// noted is textfile.Disk and takes note of what use has read, if there is room.
func (r *ran) noted(path string, use textfile.Use) error {
	room := r.roomLeft()
	if room == 0 {
		return textfile.Disk(path, use)
	}
	read := &bounded{over: true}
	err := textfile.Disk(path, func(f io.Reader, err error) error {
		if err == nil && sizeOf(f) <= int64(room) {
			*read = bounded{room: room}
			f = io.TeeReader(f, read)
		}
		return use(f, err)
	})
	if err == nil && !read.over {
		r.noteData(path, read.text.String())
	}
	return err
}

// sizeOf is how many octets a file has, as far as the system knows.
func sizeOf(f io.Reader) int64 {
	file, is := f.(*os.File)
	if !is {
		return 0
	}
	info, err := file.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// opened stands behind what a script has opened to read, or could not open: in its place
// it gets what it has read when it was run first.
func (r *ran) opened(path string, f *os.File, err error) (*os.File, error) {
	if err == nil {
		r.noteFile(path, f)
		return f, nil
	}
	old, ok := r.spare(path)
	if !ok {
		return nil, err
	}
	memory, failed := memfile.New("data") // a path may be too long for a name
	if failed != nil {
		return nil, err
	}
	_, failed = memory.WriteString(old)
	if failed == nil {
		_, failed = memory.Seek(0, io.SeekStart)
	}
	if failed != nil {
		memory.Close()
		return nil, err
	}
	r.warn(fmt.Sprintf("'%s': %v%s", path, wording.Reason(err), spared))
	return memory, nil
}

// noteFile takes note of what stands in a file, whose position stays.
func (r *ran) noteFile(path string, f *os.File) {
	room := r.roomLeft()
	if room == 0 {
		return
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > int64(room) {
		return // the kernel's own files have no length
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, info.Size()))
	if err == nil {
		r.noteData(path, string(text))
	}
}

// spare is what was read of a file of data for what is in force.
func (r *ran) spare(path string) (text string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.from.Datum(path)
}

// roomLeft is how many octets of data can be kept yet: none where nobody takes them, or
// once the start is over.
func (r *ran) roomLeft() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.data == nil {
		return 0
	}
	return r.room
}

// noteData takes note of what was read, if there is room.
func (r *ran) noteData(path, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.data == nil {
		return
	}
	if old, ok := r.data[path]; ok {
		delete(r.data, path)
		r.room += len(path) + len(old)
	}
	if size := len(path) + len(text); size <= r.room {
		r.data[path] = text
		r.room -= size
	}
}

// A bounded collects what is written, if it is not too much.
type bounded struct {
	text strings.Builder
	room int
	over bool
}

// Write implements io.Writer. What is too much is lost, and all else with it.
func (b *bounded) Write(p []byte) (int, error) {
	if b.over = b.over || b.text.Len()+len(p) > b.room; b.over {
		b.text.Reset()
		return len(p), nil
	}
	return b.text.Write(p)
}
