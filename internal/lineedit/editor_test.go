package lineedit

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// on is an Editor on a terminal of so many columns, which has begun a line.
func on(width int, past ...string) (*Editor, *glass) {
	g := newGlass(width)
	e := &Editor{out: g, width: width, past: &history{lines: past}, back: -1, prompt: "> ", reading: true,
		complete: func(before string) []string {
			var list []string
			for _, w := range []string{"cache.clear", "cache.count", "größe", "mode"} {
				if strings.HasPrefix(w, before[WordStart(before):]) {
					list = append(list, w)
				}
			}
			return list
		}}
	e.show()
	return e, g
}

const (
	left, right, up, down    = "\x1b[D", "\x1b[C", "\x1b[A", "\x1b[B"
	wordLeft, wordRight, del = "\x1b[1;5D", "\x1bf", "\x1b[3~"
)

// What stands on the screen after some keys, with the cursor as |.
func TestWhatIsTypedStandsOnTheScreen(t *testing.T) {
	for _, c := range []struct{ keys, want string }{
		{"", "> |"},
		{"abc", "> abc|"},
		{"abc" + left + left + "x", "> ax|bc"},
		{"abc\x01x\x05y", "> xabcy|"},
		{"abc\x7f\x7fd", "> ad|"},
		{"abc\x01" + del + "\x04", "> |c"},
		{"a.b cd" + wordLeft + wordLeft + "\x0b", "> a.|"},
		{"ab cd\x17", "> ab |"},
		{"ab cd\x01" + wordRight + "x", "> abx| cd"},
		{"ab cd\x15\x19\x19", "> ab cdab\ncd|"},
		{"ab cd\x01\x1bd", "> | cd"},
		{"ab\x14", "> ba|"},
		{"12345678", "> 12345678\n|"},
		{"123456789", "> 12345678\n9|"},
		{"1234567890" + strings.Repeat(left, 4) + "x", "> 123456x|7\n890"},
		{"12345678" + "\x7f", "> 1234567|"},
		{"123456789" + "\x01", "> |12345678\n9"},
		{"123456789" + "\x15", "> |"},
		{"\x1b[99X\x1bZ\x00x\x1b\x1b[Dy", "> y|x"},
		{"a\x0cb", "> ab|"},
		// Wide characters take two columns, and one that does not fit stands in the next row.
		{"日本語", "> 日本語|"},
		{"日本語" + left + "x", "> 日本x|語"},
		{"日本語x\x7f\x7f", "> 日本|"},
		{"1日本語字", "> 1日本語\n字|"},
		{"日本語字", "> 日本語字\n|"},
		{"1日本語字" + left + left + "x", "> 1日本x|語\n字"},
		{"u\u0308x" + left + left + "y", "> y|ux"}, // what combines goes with its character
		{"u\u0308\x7fx", "> x|"},
		// Pasted text is taken as it is.
		{"\x1b[200~\tx\x1b[201~", ">  x|"},
	} {
		e, g := on(10)
		e.take([]byte(c.keys))
		if got := g.String(); got != c.want {
			t.Errorf("%q:\n%s\nwant\n%s", c.keys, got, c.want)
		}
		one, h := on(10) // an octet at a time it is the same
		for i := range len(c.keys) {
			one.take([]byte(c.keys[i : i+1]))
		}
		if h.String() != g.String() {
			t.Errorf("%q: octet by octet\n%s\nwant\n%s", c.keys, h, g)
		}
	}
}

// The tabulator completes a word as far as it is clear, lists what it may become, and moves
// in where a command goes on.
func TestTheTabulatorCompletes(t *testing.T) {
	for _, c := range []struct {
		more       bool
		keys, want string
	}{
		{false, "ca\t", "> cache.c|"},
		{false, "x mo\t", "> x mode|"},
		{false, "(ca)" + left + "\t", "> (cache.c|)"},
		{false, "zz\t", "> zz|"},
		{false, "日ca)" + left + "\t", "> 日cache.c|)"},
		{false, "cache.c\t", "cache.clear  cache.count\n> cache.c|"},
		{false, "\x1b[200~ca\x1b[201~\t", "> cache.c|"},
		{true, "\tx", ">     x|"},
		{true, "x\x01\t", ">     |x"},
		{true, "mo\t", "> mode|"},
	} {
		e, g := on(40)
		e.more = c.more
		e.take([]byte(c.keys))
		if got := g.String(); got != c.want {
			t.Errorf("%q:\n%s\nwant\n%s", c.keys, got, c.want)
		}
	}
}

// Earlier lines come back, by up and down and by a search for what is in them.
func TestTheHistoryComesBack(t *testing.T) {
	for _, c := range []struct{ keys, want string }{
		{up, "> third line|"},
		{up + up + up + up, "> first|"},
		{"mine" + up + up + down + down + down, "> mine|"},
		{"mine\x10\x10\x0ex", "> third linex|"},
		{"\x12", "(search) : |"},
		{"\x12ir", "(search) ir: th|ird line"},
		{"\x12ir\x12", "(search) ir: f|irst"},
		{"\x12ir\x12\x12", "(search) ir: f|irst"},
		{"\x12ecx\x7f", "(search) ec: s|econd"},
		{"\x12ec\x05!", "> second!|"},
		{"\x12ec\x07x", "> x|"},
		{"\x12nowhere\x05", "> third line|"}, // the last that had what was typed so far,
	} {
		e, g := on(40, "first", "second", "third line")
		e.take([]byte(c.keys))
		if got := g.String(); got != c.want {
			t.Errorf("%q:\n%s\nwant\n%s", c.keys, got, c.want)
		}
	}
}

// A line ends by Enter, Ctrl-C, or Ctrl-D where it is empty.
func TestHowALineEnds(t *testing.T) {
	for _, c := range []struct {
		keys, text, shows string
		err               error
	}{
		{"abc" + left + "\r", "abc", "> abc\n|", nil},
		{"日本\n", "日本", "> 日本\n|", nil},
		{"12345678\r", "12345678", "> 12345678\n|", nil},
		{"\r", "", ">\n|", nil},
		{"abc\x03", "abc", "> abc^C\n|", ErrInterrupted},
		{"\x12abc\x03", "", "> ^C\n|", ErrInterrupted},
		{"x\x7f\x04", "", "> |", io.EOF},
		{"\x1b[200~a\tb\r", "a\tb", "> a b\n|", nil},
		{"\x1b\r", "", ">\n|", nil},
	} {
		e, g := on(10)
		text, ended, err := e.take([]byte(c.keys))
		if !ended || text != c.text || !errors.Is(err, c.err) || g.String() != c.shows {
			t.Errorf("%q: %v, %q, %v\n%s\nwant %q, %v\n%s", c.keys, ended, text, err, g, c.text, c.err, c.shows)
		}
	}
}

// The line feed of CR LF was taken for an empty line, and each command behind it ran when the
// next key came.
func TestACarriageReturnWithALineFeedEndsOneLine(t *testing.T) {
	for _, reads := range [][]string{
		{"1\r\n2\r\n"}, {"1\r2\r"}, {"1\n2\n"}, {"1\r", "\n2\r", "\n"}, {"1\r", "\n", "2\r", "\n"}, {"1\n2\r\n"},
	} {
		e, _ := on(10)
		k, typed := typing(t)
		e.keys = k
		read, all := make(chan string), make(chan struct{})
		go func() {
			for {
				text, err := e.ReadLine("> ", false)
				if err != nil {
					close(read)
					return
				}
				read <- text
			}
		}()
		go func() {
			defer close(all)
			for _, text := range reads {
				typed(text)
				waitTyped(t, k, 0)
			}
		}()
		for _, want := range []string{"1", "2"} {
			select {
			case got := <-read:
				if got != want {
					t.Errorf("%q: the line %q, want %q", reads, got, want)
				}
			case <-time.After(patience):
				t.Fatalf("%q: no line, want %q", reads, want)
			}
		}
		<-all
		typed("3\r")
		if got := <-read; got != "3" {
			t.Errorf("%q: the next line is %q, want the third", reads, got)
		}
		k.end()
		<-read
	}
}

// Two line feeds, and two carriage returns, end two lines.
func TestEmptyLinesAreRead(t *testing.T) {
	for _, keys := range []string{"\n\nx\n", "\r\rx\r", "\r\n\r\nx\r\n", "\n\r\nx\r\n"} {
		e, _ := on(10)
		k, typed := typing(t)
		e.keys = k
		typed(keys)
		for _, want := range []string{"", "", "x"} {
			if got, err := e.ReadLine("> ", false); got != want || err != nil {
				t.Errorf("%q: the line %q, %v, want %q", keys, got, err, want)
			}
		}
	}
}

// What others write stands above the line that is being typed, and a line is painted anew
// where the terminal gets another width.
func TestWhatOthersWriteStandsAbove(t *testing.T) {
	e, g := on(10)
	e.take([]byte("1234567890" + left))
	for _, text := range []string{"one\n", "two\nthree\n", "四", ""} {
		if n, err := e.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	if got, want := g.String(), "one\ntwo\nthree\n四\n> 12345678\n9|0"; got != want {
		t.Errorf("\n%s\nwant\n%s", got, want)
	}
	e.take([]byte("\r"))
	e.pause()
	_, _ = e.Write([]byte("four"))
	if got, want := g.String(), "one\ntwo\nthree\n四\n> 12345678\n90\nfour|"; got != want {
		t.Errorf("behind the line:\n%s\nwant\n%s", got, want)
	}
	e, g = on(10)
	e.take([]byte("12345"))
	e.resize(10)
	g.width = 20
	e.resize(20)
	e.take([]byte("6789012"))
	if got, want := g.String(), "> 123456789012|"; got != want {
		t.Errorf("wider:\n%s\nwant\n%s", got, want)
	}
}

// Whatever is typed, the screen shows what painting all of the line anew would.
func FuzzKeys(f *testing.F) {
	for _, keys := range []string{"abc" + left + "日本語\x01x\t", up + up + "\x12s\x12\x05", "\x1b[200~a\tb\x1b[201~\x14\x17\x19", "\x1b[1;5Cé\x1b\x7f", strings.Repeat("字", 20) + "\x02\x02\x7f"} {
		f.Add(keys, 10)
	}
	f.Fuzz(func(t *testing.T, keys string, width int) {
		if width < 2 || width > 200 || len(keys) > 1000 || strings.ContainsRune(keys, '\x0c') {
			return
		}
		e, g := on(width, "first", "second", "größer 日本")
		if _, ended, _ := e.take([]byte(keys)); ended {
			return
		}
		got := strings.TrimRight(g.String(), "\n")
		h := newGlass(width)
		prompt := e.prompt
		if e.search != nil {
			prompt = e.search.prompt()
		}
		var p picture
		_, _ = h.Write([]byte(p.paint(append([]rune(prompt), shown(e.line.text)...), len([]rune(prompt))+e.line.pos, width)))
		want := h.String()
		if e.line.pos < 0 || e.line.pos > len(e.line.text) || !strings.HasSuffix(got, strings.TrimRight(want, "\n")) {
			t.Errorf("%q in %d columns:\n%s\nwant\n%s", keys, width, got, want)
		}
	})
}

// Of a sequence that is not complete nothing is taken, and none takes more than there is.
func FuzzDecode(f *testing.F) {
	for _, b := range []string{"a", "\x1b[A", "\x1b[1;5C", "\x1b[200~", "\x1bO", "日", "\x1b[" + strings.Repeat("1", 40)} {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			k, n := decode(b)
			if n > len(b) || n == 0 && (k != keyNothing || len(b) >= longestSequence) {
				t.Fatalf("%q: key %d, %d octets", b, k, n)
			}
			if n == 0 {
				return
			}
			b = b[n:]
		}
	})
}
