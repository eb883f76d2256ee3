// Package wording puts into an operator's words what the system and the libraries
// report: without the names of their functions, and without a path or an address that
// the message around it names already.
//
// What the errors are stays: errors.Is finds what it would have found.
package wording

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// Reason is what the system said about a file, a socket or a command, and nothing
// else: "no such file or directory", "address already in use". An error of another
// kind comes back as it is.
func Reason(err error) error {
	var (
		path *fs.PathError
		link *os.LinkError
		op   *net.OpError
		call *os.SyscallError
	)
	switch {
	case errors.As(err, &path):
		return Reason(path.Err)
	case errors.As(err, &link):
		return Reason(link.Err)
	case errors.As(err, &op):
		return Reason(op.Err)
	case errors.As(err, &call):
		return call.Err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return reworded{"it ends too early", err}
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return reworded{"it took too long", err}
	case errors.Is(err, context.Canceled):
		return reworded{"interrupted", err}
	}
	return err
}

// reworded is an error in other words.
type reworded struct {
	words string
	err   error
}

func (r reworded) Error() string { return r.words }

func (r reworded) Unwrap() error { return r.err }

var (
	// inZone is an error of miekg/dns about text in zone file format: what is wrong, the
	// word at which it was noticed, line and column.
	inZone = regexp.MustCompile(`^(?:.*: )?dns: (.*): (".*") at line: (\d+):(\d+)$`)
	// badData is what is wrong with the data of a record: its type, and the library's
	// name of the field.
	badData = regexp.MustCompile(`^bad ([A-Z0-9]+) `)
)

// Record is an error about text in zone file format (RFC 1035, section 5.1): the
// place in the file, the word that is wrong and why. A text that is no file has no
// place: file is "" then.
func Record(file string, err error) error {
	m := inZone.FindStringSubmatch(err.Error())
	if m == nil {
		return reworded{position(file, 0) + Reason(err).Error(), err}
	}
	line, _ := strconv.Atoi(m[3])
	word, unquoted := strconv.Unquote(m[2])
	if unquoted != nil {
		word = m[2]
	}
	if m[4] == "0" { // it is the end of the line before
		line--
	}
	return reworded{position(file, line) + mistake(m[1], strings.TrimSpace(word)), err}
}

// mistake says what is wrong at a word, which is "" at the end of a line.
func mistake(what, word string) string {
	data := badData.FindStringSubmatch(what)
	switch {
	case word == "" && data != nil:
		return "data of type " + data[1] + " end too early"
	case word == "":
		return "the line ends too early"
	case data != nil:
		return "'" + word + "' is wrong in data of type " + data[1]
	}
	switch what {
	case "not a TTL":
		return "'" + word + "' is no TTL, class or type"
	case "expecting RR type or class, not this...":
		return "a class or a type expected, not '" + word + "'"
	case "garbage after rdata":
		return "'" + word + "' is too much behind the data"
	case "unknown RR type":
		return "'" + word + "' is no type"
	case "bad owner name":
		return "'" + word + "' is no name"
	case "$INCLUDE directive not allowed":
		return "$INCLUDE is not allowed"
	}
	return "'" + word + "': " + what
}

// position is what stands before a message about a line of a file; line 0 is none of them.
func position(file string, line int) string {
	switch {
	case file == "":
		return ""
	case line == 0:
		return file + ": "
	}
	return file + ":" + strconv.Itoa(line) + ": "
}
