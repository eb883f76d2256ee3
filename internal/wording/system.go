package wording

import (
	"errors"
	"strings"
	"syscall"
)

// System is an error of the system in the words of C's library, which manuals show and
// scripts compare: "No such file or directory".
func System(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		err = number
	}
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
