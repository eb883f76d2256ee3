package house

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"regexp"
	"strings"
	"testing"
)

// speaks are the functions whose argument is a message for an operator: errors, lines
// of the log, and what scripts are told.
var speaks = strings.Fields("errors.New fmt.Errorf Warn Notice Error Info ArgError TypeError Usage usagef warn")

// faults are what no message has, and what to write instead.
var faults = []struct {
	what  *regexp.Regexp
	write string
}{
	{regexp.MustCompile(`[\t\n\r]`), "one line without tabs"},
	{regexp.MustCompile(`[.;:,]$`), "a message that goes on, or no mark at its end"},
	{regexp.MustCompile(`^\s|\s$|  `), "no superfluous blanks"},
	{regexp.MustCompile(`(?i)^(error|warning|fatal)\b:?`), "what is wrong: whoever shows it says that it is an error"},
	{regexp.MustCompile(`\ba ([aei]|o[^n])\w`), "'an'"},
	{regexp.MustCompile(`\ban ([bcdfgjkpqtvwyz])\w`), "'a'"},
	{regexp.MustCompile(`(?i)\bfailed to\b|\bunable to\b`), "what is wrong"},
	{regexp.MustCompile(`(?i)not (part of|available in|supported by|supported in|implemented in) this|not implemented|unsupported by`), "'is not in this version'"},
	{regexp.MustCompile(`%!|context deadline|strconv|(^|: )open %|invalid argument\b`), "no words of Go"},
	{regexp.MustCompile(`!$|!!|\bplease\b|\boops\b`), "a plain sentence"},
	{regexp.MustCompile(`\bi/o\b|\bEOF\b`), "what ended"},
}

// spokenElsewhere are messages that have faults because scripts know them so.
var spokenElsewhere = map[string]string{
	"unable to dump given function: bytecode is not supported": "as in Lua 5.1",
	"unable to generate a unique filename":                     "as in Lua 5.1",
	"assertion failed!":                                        "as in Lua 5.1",
}

// Every message in the sources is read by this test: one voice, one line, no words of
// Go, no mark at its end.
func TestMessagesAreSentencesForOperators(t *testing.T) {
	read := 0
	for _, c := range sources(t) {
		if c.isTool() {
			continue
		}
		c.each(func(n ast.Node) {
			call, ok := n.(*ast.CallExpr)
			if !ok || !c.speaks(call) {
				return
			}
			for _, arg := range call.Args {
				text, ok := c.message(arg)
				if !ok {
					continue
				}
				read++
				for _, f := range faults {
					if f.what.MatchString(text) && spokenElsewhere[text] == "" {
						t.Errorf("%s: %q: write %s", c.at(arg.Pos()), text, f.write)
					}
				}
				return // what follows is put into it
			}
		})
	}
	if read < 400 {
		t.Errorf("only %d messages were found", read)
	}
}

// speaks tells whether a call is given a message.
func (c *checked) speaks(call *ast.CallExpr) bool {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return has(speaks, f.Name)
	case *ast.SelectorExpr:
		if fn, ok := c.info.Uses[f.Sel].(*types.Func); ok && fn.Pkg() != nil && fn.Signature().Recv() == nil && !strings.HasPrefix(fn.Pkg().Path(), "kresd/") {
			return has(speaks, fn.Pkg().Name()+"."+f.Sel.Name)
		}
		return has(speaks, f.Sel.Name)
	}
	return false
}

// message is the text of an argument that is a message as a whole: a constant, or a
// format. What is joined of several pieces is read by whoever joins them.
func (c *checked) message(e ast.Expr) (string, bool) {
	if call, ok := e.(*ast.CallExpr); ok && len(call.Args) > 0 {
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sprintf" {
			e = call.Args[0]
		}
	}
	if lit, ok := e.(*ast.BasicLit); ok && lit.Kind != token.STRING {
		return "", false
	}
	v := c.info.Types[e].Value
	if v == nil || v.Kind() != constant.String {
		return "", false
	}
	text := constant.StringVal(v)
	return text, strings.Contains(text, " ")
}
