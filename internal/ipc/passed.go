package ipc

import (
	"fmt"
	"strings"
)

// EnvPassed lists the sockets that a group was started with, "number:kind" with
// spaces between, where the number is the one that the supervisor had it under and by
// which messages name it. Each worker has all of them, in this order, behind the
// crash pipe; so has each that is started later, because the supervisor keeps them.
const EnvPassed = "KRESD_PASSED"

// passedFD is where a worker finds the first of them.
const passedFD = crashFD + 1

// A Passed is a socket that the supervisor inherited and hands on to each worker.
type Passed struct {
	Kind string // what it is to serve as
	FD   int    // in the worker
	Was  int    // its number when the supervisor inherited it
}

// PassedEnv is EnvPassed for sockets that are handed to a worker as its extra files
// behind the link and the crash pipe, "" for none.
func PassedEnv(sockets []Passed) string {
	words := make([]string, len(sockets))
	for i, s := range sockets {
		words[i] = fmt.Sprintf("%d:%s", s.Was, s.Kind)
	}
	return strings.Join(words, " ")
}

func parsePassed(s string) (list []Passed, err error) {
	for i, word := range strings.Fields(s) {
		p := Passed{FD: passedFD + i}
		number, kind, _ := strings.Cut(word, ":")
		if _, err := fmt.Sscanf(number, "%d", &p.Was); err != nil || kind == "" {
			return nil, fmt.Errorf("%s=%q is not of the form number:kind", EnvPassed, s)
		}
		p.Kind = kind
		list = append(list, p)
	}
	return list, nil
}
