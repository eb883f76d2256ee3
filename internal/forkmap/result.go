package forkmap

import (
	"errors"
	"fmt"

	"kresd/internal/limits"
	"kresd/internal/luavalue"
)

// A Kind tells what became of the expression in one worker. It is an octet of
// the protocol.
type Kind byte

// The kinds.
const (
	Value    Kind = 'v' // Payload is the encoded value (package luavalue)
	Nothing  Kind = 'n' // the expression gave no value
	Error    Kind = 'e' // Payload is the message of its error
	NoAnswer Kind = '-' // the worker is gone, or took too long
)

// A Result is what one worker gave. The relay never looks into a value.
type Result struct {
	Kind    Kind
	Payload []byte
}

// maxPayload leaves room for the kind in a frame.
const maxPayload = limits.IPCFrame - 1

// ValueOf encodes a value; one that is too large or has no encoding becomes an
// error.
func ValueOf(v any) Result {
	b, err := luavalue.Append(nil, v)
	switch {
	case err != nil:
		return ErrorOf(err.Error())
	case len(b) > maxPayload:
		return ErrorOf(fmt.Sprintf("the result takes %d octets, more than %d", len(b), maxPayload))
	}
	return Result{Value, b}
}

// ErrorOf is the result of an expression that raised an error.
func ErrorOf(text string) Result {
	return Result{Error, []byte(text[:min(len(text), maxPayload)])}
}

func (r Result) frame() []byte { return append([]byte{byte(r.Kind)}, r.Payload...) }

var errMalformed = errors.New("malformed message of map()")

func parseResult(frame []byte) (Result, error) {
	if len(frame) == 0 {
		return Result{}, errMalformed
	}
	r := Result{Kind(frame[0]), frame[1:]}
	switch r.Kind {
	case Value, Error:
		return r, nil
	case Nothing, NoAnswer:
		if len(r.Payload) == 0 {
			return r, nil
		}
	}
	return Result{}, errMalformed
}

// table is what map() returns: entry id+1 is the worker's value, the message
// of its error, an empty string for no value, false for no answer. A value of
// nil leaves its entry out, as it does in every Lua table.
func table(results []Result) *luavalue.Table {
	t := &luavalue.Table{}
	for id, r := range results {
		if v := r.entry(); v != nil {
			t.Add(float64(id+1), v)
		}
	}
	return t
}

func (r Result) entry() any {
	switch r.Kind {
	case Nothing:
		return ""
	case Error:
		return string(r.Payload)
	case Value:
		if v, err := luavalue.Decode(r.Payload); err == nil {
			return v
		}
	}
	return false
}
