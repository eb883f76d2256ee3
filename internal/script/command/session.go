package command

import (
	"slices"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script"
	"kresd/internal/script/source"
)

// A Session is a dialogue whose commands share their top-level locals. The zero
// value is not usable: NewSession makes one.
//
// To Lua each command is a chunk of its own, and a local ends with its chunk. Here a
// command that declares locals also returns a function that has them as its upvalues,
// and one that uses them is compiled inside of declarations of the same names, whose
// places are then joined with those upvalues. So the variable itself is shared: closures
// of earlier commands see what later ones assign.
type Session struct {
	in     *Interpreter
	locals map[string]upvalue // for the owner goroutine
	rest   string             // what Split returned last, for the goroutine that calls it
}

// An upvalue is a variable: the one numbered i of a function.
type upvalue struct {
	fn *script.Ref
	i  int
}

// NewSession begins a dialogue.
func (in *Interpreter) NewSession() *Session { return &Session{in: in, locals: map[string]upvalue{}} }

// compile pushes the function of a command. Where there are kept locals, its first
// result is a closure that has them as its upvalues, unless it returns before its end.
func (s *Session) compile(l *lua.State, text, name string) (kept []string, err error) {
	if err := s.in.Load(l, text, name); err != nil {
		return nil, err // about the text as it was typed
	}
	found := source.ScanLocals(text)
	known := s.mentioned(found)
	if len(known) == 0 && len(found.Declared) == 0 {
		return nil, nil
	}
	for _, keeping := range []bool{true, false} { // a label at the end allows no return behind it
		body := text
		if keeping = keeping && len(found.Declared) > 0; keeping {
			body = found.WithClosure(text)
		}
		if err := s.in.Load(l, source.Within(known, body), name); err == nil {
			l.Remove(-2)
			l.Call(0, 1)
			s.join(l)
			if keeping {
				kept = found.Declared
			}
			return kept, nil
		}
	}
	return nil, nil // as a chunk of its own it compiles
}

// mentioned are the locals of the session that a command may use.
func (s *Session) mentioned(f source.Locals) (names []string) {
	for _, w := range f.Words {
		if s.locals[w].fn != nil {
			names = append(names, w)
		}
	}
	return names
}

// join makes the upvalues of the function on top of the stack those of the session.
func (s *Session) join(l *lua.State) {
	fn := l.Top()
	for i, name := range upvalueNames(l) {
		if v := s.locals[name]; v.fn != nil {
			v.fn.Push(l)
			lua.UpValueJoin(l, fn, i+1, l.Top(), v.i)
			l.Pop(1)
		}
	}
}

// keep takes the closure, if it is result number 1, off the results and remembers its
// upvalues, the kept locals, as those of the session. A command that returned before its
// end has none.
func (s *Session) keep(l *lua.State, kept []string) {
	if l.Top() == 0 || l.TypeOf(1) != lua.TypeFunction {
		return
	}
	l.PushValue(1)
	names, closure := upvalueNames(l), s.in.VM.RefTo(l, -1)
	l.Pop(1)
	if !slices.Equal(names, kept) {
		return
	}
	for i, name := range names {
		s.locals[name] = upvalue{closure, i + 1}
	}
	l.Remove(1)
}

// upvalueNames are the names of the upvalues of the function on top of the stack.
func upvalueNames(l *lua.State) (names []string) {
	for i := 1; ; i++ {
		name, ok := lua.UpValue(l, l.Top(), i)
		if !ok {
			return names
		}
		l.Pop(1)
		names = append(names, name)
	}
}
