package wire

import (
	"errors"

	"kresd/internal/limits"
)

// overLimit is the error of a message that exceeds a limit. This package counts
// nothing: who gets the error does.
type overLimit struct {
	text  string
	limit limits.ID
}

func (e *overLimit) Error() string { return e.text }

// LimitOf is the limit that was hit when a function of this package returned
// err; limits.None when err has another reason.
func LimitOf(err error) limits.ID {
	for ; err != nil; err = errors.Unwrap(err) { // errors.As allocates
		if over, ok := err.(*overLimit); ok {
			return over.limit
		}
	}
	return limits.None
}
