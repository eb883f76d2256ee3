package logging

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
)

// A sink turns what hclog accepts into lines. hclog's own formats are not
// used: its text carries a time and no bracketed group, its JSON costs ten
// times what encoding the few fields by hand does.
type sink struct {
	opts Options
	switches
	outputs atomic.Pointer[outputs]
	opening sync.Mutex // held while the target changes
}

// Accept implements hclog.SinkAdapter. Each line is one Write, so that lines
// of several goroutines and of several workers on one pipe never mix.
func (s *sink) Accept(name string, level hclog.Level, msg string, args ...any) {
	if int32(level) < s.level.Load() && s.groups.Load() == nil { // the logger knows whose debug lines are wanted
		return
	}
	to := s.outputs.Load()
	out := to.out
	if level >= hclog.Error {
		out = to.err
	}
	mark := ""
	if out.priority {
		mark = "<" + string('0'+rune(priority(level))) + ">"
	}
	_, _ = out.Write(s.line(mark, name, level, msg, args))
}

// line is what is written; mark stands before each line of text.
func (s *sink) line(mark, name string, level hclog.Level, msg string, args []any) []byte {
	b := append(make([]byte, 0, len(mark)+len(name)+len(msg)+64), mark...)
	switch s.opts.Format {
	case JSON:
		return s.appendJSON(b, name, level, msg, args)
	case Logfmt:
		return s.appendLogfmt(b, name, level, msg, args)
	}
	return s.appendText(b, mark, name, msg, args)
}

// lossLine says that lines were lost, as all other lines are written.
func (s *sink) lossLine(n uint64) []byte {
	mark := ""
	if s.outputs.Load().out.priority {
		mark = "<4>"
	}
	return s.line(mark, "system", hclog.Warn, lost(n), nil)
}

func (s *sink) appendText(b []byte, mark, name string, msg string, args []any) []byte {
	b = append(b, Prefix(name)...)
	b = append(b, ' ')
	// A message of several lines stays one message: continuation lines are
	// indented, so that no text from outside can pose as a line of its own.
	indent := "\n" + mark + "  "
	if len(args) > 0 && args[0] == (asItIs{}) {
		indent, args = "\n"+mark, nil
	}
	for i, line := range strings.Split(strings.TrimRight(msg, "\n"), "\n") {
		if i > 0 {
			b = append(b, indent...)
		}
		b = appendSafe(b, line)
	}
	for i := 0; i < len(args); i += 2 {
		key, val := pair(args, i)
		b = append(b, ' ')
		b = append(b, key...)
		b = append(b, '=')
		b = append(b, quoteIfNeeded(shortened(val))...)
	}
	return append(b, '\n')
}

// fields calls add for each field of a line in order. A value is what JSON can say.
func (s *sink) fields(name string, level hclog.Level, msg string, args []any, add func(key string, val any)) {
	add(FieldTime, s.opts.Now().UTC().Format("2006-01-02T15:04:05.000000Z"))
	add(FieldLevel, levelName(level))
	add(FieldGroup, name)
	add(FieldMessage, cutLines(msg))
	if s.opts.Worker != "" {
		add(FieldWorker, s.opts.Worker)
	}
	for i := 0; i < len(args) && args[i] != (asItIs{}); i += 2 {
		key, val := pair(args, i)
		add(key, jsonable(val))
	}
}

func (s *sink) appendJSON(b []byte, name string, level hclog.Level, msg string, args []any) []byte {
	between := byte('{')
	s.fields(name, level, msg, args, func(key string, val any) {
		b = append(b, between)
		b = appendJSONValue(b, key)
		b = append(b, ':')
		b = appendJSONValue(b, val)
		between = ','
	})
	return append(b, '}', '\n')
}

func (s *sink) appendLogfmt(b []byte, name string, level hclog.Level, msg string, args []any) []byte {
	start := len(b)
	s.fields(name, level, msg, args, func(key string, val any) {
		if len(b) > start {
			b = append(b, ' ')
		}
		b = append(b, key...)
		b = append(b, '=')
		b = append(b, quoteIfNeeded(textOf(val))...)
	})
	return append(b, '\n')
}

// Prefix is a group's name as it stands in front of a line: "[cache]"; names
// of two letters get blanks around them, "[ ta ]".
func Prefix(group string) string {
	if len(group) <= 2 {
		return "[ " + group + " ]"
	}
	return "[" + group + "]"
}

// pair gives the i-th key and its value; a value without its partner is shown
// rather than lost.
func pair(args []any, i int) (string, any) {
	if i+1 >= len(args) {
		return hclog.MissingKey, args[i]
	}
	return textOf(args[i]), args[i+1]
}

func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case error:
		return v.Error()
	case fmt.Stringer:
		return v.String()
	}
	return fmt.Sprint(v)
}

// quoteIfNeeded quotes what would not read back as one word: log text often
// comes from the network.
func quoteIfNeeded(s string) string {
	if s == "" {
		return `""`
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f {
			return strconv.Quote(s)
		}
	}
	return s
}

func jsonable(v any) any {
	switch v.(type) {
	case nil, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64:
		return v
	}
	return shortened(v)
}

// appendJSONValue cannot fail for what jsonable lets through, except for
// infinities and NaN, which become text.
func appendJSONValue(b []byte, v any) []byte {
	if s, ok := v.(string); ok {
		return appendJSONString(b, s)
	}
	enc, err := json.Marshal(v)
	if err != nil {
		return appendJSONString(b, fmt.Sprint(v))
	}
	return append(b, enc...)
}

func levelName(l hclog.Level) string {
	switch {
	case l <= hclog.Debug:
		return "debug"
	case l == hclog.Info:
		return "notice"
	case l == hclog.Warn:
		return "warning"
	}
	return "error"
}

// priority is the syslog number of a level (RFC 5424, section 6.2.1).
func priority(l hclog.Level) byte {
	switch {
	case l <= hclog.Debug:
		return 7
	case l == hclog.Info:
		return 5
	case l == hclog.Warn:
		return 4
	}
	return 3
}
