// Package logging is the small door in front of hclog.
//
// Three things are decided here and nowhere else. The level is cached in an
// atomic, because asking hclog whether debug is on costs a hundred
// nanoseconds and three allocations per call: callers ask DebugOn first and
// pay one load. Output goes through a Ring that never blocks, so that a
// stopped terminal or a full pipe costs log lines and no answers. And a line
// looks as users of kresd know it: "[cache] text", without the time; JSON and
// logfmt with stable fields (Field…) are options.
//
// What comes from outside ends up in lines: names, text of extended errors. No
// octet of it can end a line, begin one or move a terminal's cursor, and no value
// is longer than limits.LogValue (escape.go).
//
// The way of a cached answer writes no log line at all; nothing here is made
// for it. There is no global logger: each owner is given its own.
package logging

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A Format is how lines look.
type Format uint8

// The formats. Text is "[group] message key=value"; JSON is one object a line, and
// Logfmt key=value pairs on one, both with ts, level, group and msg first.
const (
	Text Format = iota
	JSON
	Logfmt
)

// ParseFormat knows the names "text", "json" and "logfmt".
func ParseFormat(name string) (f Format, ok bool) {
	switch name {
	case "text", "":
		return Text, true
	case "json":
		return JSON, true
	case "logfmt":
		return Logfmt, true
	}
	return Text, false
}

// The names of fields that mean the same wherever they stand, in the log and in
// what modules write beside it. They are never renamed.
const (
	FieldTime    = "ts"     // RFC 3339 in UTC, with microseconds
	FieldLevel   = "level"  // debug, notice, warning or error
	FieldGroup   = "group"  // what wrote the line
	FieldMessage = "msg"    // one sentence for people
	FieldWorker  = "worker" // the worker's number
	FieldRequest = "req"    // number of request and query, as text lines begin with it
	FieldName    = "qname"  // of the question, in presentation format
	FieldType    = "qtype"  // of the question, a mnemonic
	FieldClient  = "client" // address of who asked
	FieldRcode   = "rcode"  // of the answer, a mnemonic
	FieldTook    = "dur"    // seconds from question to answer
)

// A Level is how much is logged. Notice is what a running daemon says of its
// own accord; Debug is everything (kresd -v).
type Level int32

// The levels, in growing importance.
const (
	Debug  Level = Level(hclog.Debug)
	Notice Level = Level(hclog.Info)
	Warn   Level = Level(hclog.Warn)
	Error  Level = Level(hclog.Error)
)

// Options say where and how to log. The zero value drops everything.
type Options struct {
	Out    io.Writer // what is below Error; usually a Ring over standard output
	Err    io.Writer // Error; nil means Out
	Format Format
	Level  Level // 0 means Notice
	// Priority puts the syslog priority in front of the lines that go to Out ("<4>"),
	// as journald wants it from what it reads on a service's output; ErrPriority does
	// so with those that go to Err.
	Priority, ErrPriority bool
	// Worker is this process's "id" in JSON lines; empty leaves it out.
	Worker string
	// Now gives the time in JSON lines; nil means the system's clock.
	Now func() time.Time
	// Still keeps lines where they go: SetTarget is remembered and nothing else.
	Still bool
	// Syslog is the socket of Syslog lines; "" means /dev/log.
	Syslog string
}

// A Logger writes lines of one group. All loggers that come from one New
// share their level, the groups that are followed, and the target. A nil *Logger
// is silent, and never says that debug is on.
type Logger struct {
	hc    hclog.Logger
	sink  *sink
	group string
}

// switches are what says which lines are written.
type switches struct {
	level  atomic.Int32
	groups atomic.Pointer[[]string] // whose debug lines are written at any level; nil for none
}

// on says whether a line of this level and group is written.
func (s *switches) on(at Level, group string) bool {
	if int32(at) >= s.level.Load() {
		return true
	}
	groups := s.groups.Load()
	return at == Debug && groups != nil && slices.Contains(*groups, group)
}

// New makes the root logger, of the group "system".
func New(o Options) *Logger {
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Err == nil {
		o.Err = o.Out
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Level == 0 {
		o.Level = Notice
	}
	if o.Syslog == "" {
		o.Syslog = "/dev/log"
	}
	s := &sink{opts: o}
	s.level.Store(int32(o.Level))
	s.outputs.Store(s.standard(Stdout))
	for _, w := range []io.Writer{o.Out, o.Err} {
		if ring, ok := w.(*Ring); ok {
			ring.tellLoss(s.lossLine)
		}
	}
	// The intercept logger itself is off: its sinks alone decide and write.
	hc := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "system", Level: hclog.Off, Output: io.Discard})
	hc.RegisterSink(s)
	return &Logger{hc: hc, sink: s, group: "system"}
}

// Group returns a logger whose lines carry another group's name, such as
// "cache" or "ta".
func (l *Logger) Group(name string) *Logger { return l.Labelled(name, name) }

// Labelled returns a logger of a group whose lines carry a label in place of the
// group's name.
func (l *Logger) Labelled(label, group string) *Logger {
	if l == nil {
		return nil
	}
	return &Logger{hc: l.hc.ResetNamed(label), sink: l.sink, group: group}
}

// HC gives the hclog logger behind, for libraries that want one.
func (l *Logger) HC() hclog.Logger {
	if l == nil {
		return hclog.NewNullLogger()
	}
	return l.hc
}

// DebugOn says whether debug lines of this logger's group are written. Every call
// of Debug stands behind it: the arguments of a variadic call are allocated even
// when nobody looks at them.
func (l *Logger) DebugOn() bool { return l != nil && l.sink.on(Debug, l.group) }

// Follows says whether debug lines of any group are written.
func (l *Logger) Follows() bool {
	return l != nil && (l.sink.level.Load() <= int32(Debug) || l.sink.groups.Load() != nil)
}

// Groups are those whose debug lines are written whatever the level is.
func (l *Logger) Groups() []string {
	if l == nil || l.sink.groups.Load() == nil {
		return nil
	}
	return slices.Clone(*l.sink.groups.Load())
}

// SetGroups has the debug lines of these groups written whatever the level is, and
// those of no other.
func (l *Logger) SetGroups(groups []string) {
	switch {
	case l == nil:
	case len(groups) == 0:
		l.sink.groups.Store(nil)
	default:
		groups = slices.Clone(groups)
		l.sink.groups.Store(&groups)
	}
}

// Level is the present level.
func (l *Logger) Level() Level {
	if l == nil {
		return Error
	}
	return Level(l.sink.level.Load())
}

// SetLevel changes the level of all loggers that share it.
func (l *Logger) SetLevel(to Level) {
	if l != nil {
		l.sink.level.Store(int32(to))
	}
}

// Debug writes a step of the daemon's work: msg and pairs of key and value, as
// in all methods that write. Guard it with DebugOn.
func (l *Logger) Debug(msg string, kv ...any) { l.log(Debug, msg, kv) }

// Notice writes what an operator wants to know of a healthy daemon.
func (l *Logger) Notice(msg string, kv ...any) { l.log(Notice, msg, kv) }

// Block writes a notice of several lines, none of which comes from outside, as they
// are: what the manual shows like that.
func (l *Logger) Block(head string, lines ...string) {
	l.log(Notice, strings.Join(append([]string{head}, lines...), "\n"), []any{asItIs{}, nil})
}

// asItIs is the key of a text whose lines may begin as they do.
type asItIs struct{}

// Step writes a debug line about a request, with its number and query's
// ("00001.02"): in the columns of text that readers of kresd know, indented by what it
// belongs to, or as fields. Guard it with DebugOn.
func (l *Logger) Step(request string, depth int, text string, kv ...any) {
	if l == nil {
		return
	}
	if l.sink.opts.Format == Text {
		l.Labelled(request, l.group).Debug(fmt.Sprintf("[%-4.4s] %s%s", l.group, strings.Repeat("  ", depth), text))
		return
	}
	l.Debug(text, append([]any{FieldRequest, request, "depth", depth}, kv...)...)
}

// Warn writes what an operator should look at.
func (l *Logger) Warn(msg string, kv ...any) { l.log(Warn, msg, kv) }

// Error writes, to the error output, what failed.
func (l *Logger) Error(msg string, kv ...any) { l.log(Error, msg, kv) }

func (l *Logger) log(at Level, msg string, kv []any) {
	if l == nil || !l.sink.on(at, l.group) {
		return
	}
	l.hc.Log(hclog.Level(at), msg, kv...)
}
