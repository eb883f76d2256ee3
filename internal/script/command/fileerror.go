package command

import (
	"fmt"
	"strconv"
	"strings"

	"kresd/internal/script/source"
	"kresd/internal/wording"
)

// A FileError is an error in a configuration file.
type FileError struct {
	File string
	Line int    // 0 when unknown
	Msg  string // without the position
}

// Error is "file:line: message", in one line for all but messages that have
// several themselves.
func (e *FileError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Msg
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

// fileError attributes an error to a file. Line is where the machine stood,
// for errors that do not begin with their position.
func fileError(file, chunk string, line int, msg string) *FileError {
	e := &FileError{File: file, Line: line, Msg: msg}
	if rest, ok := strings.CutPrefix(msg, source.Shown(chunk)+":"); ok {
		if digits, text, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(digits); err == nil {
				e.Line, e.Msg = n, text
			}
		}
	}
	return e
}

// readError is an error about reading a file.
func readError(path string, err error) *FileError {
	return &FileError{File: path, Msg: wording.Reason(err).Error()}
}
