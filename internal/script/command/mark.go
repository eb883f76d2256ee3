package command

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"

	lua "github.com/Shopify/go-lua"

	"kresd/internal/script/source"
	"kresd/internal/wording"
)

// didYouMean is "; did you mean '…'?" with the name that a mistyped one may stand for,
// of a global or behind a dotted path, or "". For the owner goroutine.
func (s *Session) didYouMean(l *lua.State, path string) string {
	cut := strings.LastIndexAny(path, ".:") + 1
	known := s.namesBehind(l, path[:cut])
	if near := wording.Suggest(path[cut:], known); near != "" && near != path[cut:] {
		return "; did you mean '" + path[:cut] + near + "'?"
	}
	return ""
}

// namesBehind are the names that can follow "" or a path that ends in a dot or colon.
func (s *Session) namesBehind(l *lua.State, path string) []string {
	defer l.SetTop(l.Top())
	if !l.CheckStack(lua.MinStack) {
		return nil
	}
	typed, _ := source.ReadTyped(path)
	return s.names(l, typed.Owners)
}

// aboutNil is the machine's message about a nil that was called or indexed.
var aboutNil = regexp.MustCompile(`attempt to (?:call|index) \w+ '(\w+)' \(a nil value\)$`)

// suggest adds to a message about a name without a value which one may be meant. The
// text is the one in which the error happened, line the number of its line.
func (s *Session) suggest(l *lua.State, msg, text string, line int) string {
	m := aboutNil.FindStringSubmatch(msg)
	if m == nil {
		return msg
	}
	for _, p := range source.Paths(source.Line(text, line)) {
		if p.Last() == m[1] {
			return msg + s.didYouMean(l, p.Text)
		}
	}
	return msg
}

// placed is the beginning of a message that has a place.
var placed = regexp.MustCompile(`^(.*?):(\d+): `)

// quotedName is a name that a message speaks of.
var quotedName = regexp.MustCompile(`'([A-Za-z_][\w.:]*)'`)

// explainError completes the message of a command that failed: which name may be
// meant, and, below, the line of the command with a mark under the place. A command of one
// line that is wrong from its beginning stands before the reader's eyes.
func (s *Session) explainError(l *lua.State, text, msg string) string {
	line, inText := 0, true
	if m := placed.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[2])
		inText = m[1] == source.Shown(source.CommandChunk(text))
	}
	if !inText { // in a function that was defined elsewhere
		return msg
	}
	if at := s.in.checker.firstWrong(text); at >= 0 {
		return s.in.checker.aboutToken(msg, text, at) + marked(text, at)
	}
	if line == 0 && strings.Count(text, "\n") == 0 {
		line = 1
	}
	if strings.HasSuffix(msg, "near <eof>") {
		return msg + marked(text, len(strings.TrimRight(text, " \t\r\n")))
	}
	better := s.suggest(l, msg, text, line)
	if at := placeOf(msg, text, line); at > 0 {
		return better + marked(text, at)
	}
	return better
}

// nearToken is the token that a message about syntax names.
var nearToken = regexp.MustCompile(`^(.*?:\d+: )(.* near '(.*)')$`)

// aboutToken is the message about the token at a place: that of the text as an
// expression, where the one as statements stumbles over another before.
func (c *checker) aboutToken(msg, text string, at int) string {
	n, _ := source.Token(text[at:])
	m := nearToken.FindStringSubmatch(msg)
	if m == nil || m[3] == text[at:at+n] {
		return msg
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if other := nearToken.FindStringSubmatch(c.compile("return " + text)); other != nil && other[3] == text[at:at+n] {
		return m[1] + other[2]
	}
	return msg
}

// aboutName is a message about a name that should be another.
var aboutName = regexp.MustCompile(`\(a nil value\)|^error: unknown `)

// placeOf is where the name stands that a message speaks of, in the line of the text,
// or in all of it when the line is 0; else where the line begins. It is -1 where
// nothing tells. When the name itself is wrong it is the last part that the mark is for.
func placeOf(msg, text string, line int) int {
	begin, within := 0, text
	if line > 0 {
		within = source.Line(text, line)
		begin = len(strings.Join(strings.Split(text, "\n")[:min(line, strings.Count(text, "\n")+1)-1], "\n"))
		if line > 1 {
			begin++
		}
	}
	paths := source.Paths(within)
	for _, m := range quotedName.FindAllStringSubmatch(msg, -1) {
		for _, p := range paths {
			switch {
			case p.Text != m[1] && p.Last() != m[1]:
			case aboutName.MatchString(msg):
				return begin + p.LastAt()
			default:
				return begin + p.At
			}
		}
	}
	if blank := len(within) - len(strings.TrimLeft(within, " \t")); line > 0 && blank < len(within) {
		return begin + blank
	}
	return -1
}

// markedWidth is how much of a line is shown.
const markedWidth = 100

// marked is the line of text around a place, and below it a mark under the place.
func marked(text string, at int) string {
	at = min(at, len(text))
	begin := strings.LastIndexByte(text[:at], '\n') + 1
	line, _, _ := strings.Cut(text[begin:], "\n")
	before, after := []rune(line[:at-begin]), []rune(line[at-begin:])
	dots := ""
	if len(before) > markedWidth-20 {
		before, dots = before[len(before)-(markedWidth-20):], "..."
	}
	if room := markedWidth - len(before); len(after) > room {
		after = append(after[:room:room], []rune("...")...)
	}
	shown := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, string(before)+string(after))
	return "\n    " + dots + strings.TrimRight(shown, " ") + "\n    " + strings.Repeat(" ", len(dots)+len(before)) + "^"
}
